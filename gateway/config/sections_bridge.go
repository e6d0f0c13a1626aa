package config

import (
	"math"
	"time"

	"weir/broker/topic"
)

// The largest keep-alive of CONNECT, in seconds: MQTT 5.0 and 3.1.1, 3.1.2.10.
const maxKeepAlive = 65535 * time.Second

var profiles = []string{"aws-iot-core", "azure-iot-hub", "azure-event-grid", "hivemq-cloud", "emqx", "mosquitto"}

func bridgeSection() *section {
	s := &section{pattern: "bridge.NAME", meaning: "one upstream broker",
		open: func(cfg *Config, _ any, name string) any {
			cfg.Bridge[name] = &Bridge{Name: name}
			return cfg.Bridge[name]
		}}
	add(s, "url", urlKind, nil, func(b *Bridge) *[]URL { return &b.URLs },
		"the upstream broker, or an array of them tried in turn; mqtts is TLS, the ports are 1883 and 8883 unless given",
		example(`"mqtts://broker.example.com"`), required)
	add(s, "profile", choiceKind([]string{"generic", "home-assistant"}, profiles...), "generic", func(b *Bridge) *string { return &b.Profile },
		"the kind of cloud, for its limits and good defaults", example(`"generic"`))
	add(s, "version", versionKind, nil, func(b *Bridge) *Version { return &b.Version },
		"the version of MQTT spoken upstream", byDefault("5, and 3.1.1 where that is refused"), example(`"3.1.1"`))
	add(s, "client_id", textKind("a text of at most 65535 bytes", 65535), "{id}", func(b *Bridge) *string { return &b.ClientID },
		"the client id upstream; it must be the only one of its kind there", example(`"{id}"`), placeholders("id"))
	add(s, "username", textKind("a text of at most 65535 bytes", 65535), nil, func(b *Bridge) *string { return &b.Username },
		"the user name upstream", example(`"{id}"`), placeholders("id"))
	add(s, "password", secretKind("cloud.password", anyText), nil, func(b *Bridge) **Secret { return &b.Password },
		"the password upstream", example(`{ file = "cloud.password" }`), secret)
	add(s, "ca", secretKind("ca.pem", isPEM), nil, func(b *Bridge) **Secret { return &b.CA },
		"the certificates that sign the upstream's, as PEM", byDefault("those of the system"), example(`{ file = "ca.pem" }`))
	add(s, "cert", secretKind("device.pem.crt", isPEM), nil, func(b *Bridge) **Secret { return &b.Cert },
		"the certificate of this gateway, as PEM", example(`{ file = "device.pem.crt" }`))
	add(s, "key", secretKind("private.pem.key", isPEM), nil, func(b *Bridge) **Secret { return &b.Key },
		"the private key of the certificate, as PEM", example(`{ file = "private.pem.key" }`), secret)
	add(s, "keepalive", durationKind(time.Second, maxKeepAlive, "60s"), "60s", func(b *Bridge) *time.Duration { return &b.KeepAlive },
		"the longest silence before the link is probed", example(`"60s"`))
	add(s, "window", integerKind[int](1, 65535), int64(100), func(b *Bridge) *int { return &b.Window },
		"how many messages may wait for their acknowledgement upstream", example("20"))
	add(s, "max_size", sizeKind(64<<10, 0, 1, "256MiB"), nil, func(b *Bridge) *Size { return &b.MaxSize },
		"the most that may wait for this upstream", byDefault("buffer.max_size, shared with all"), example(`"256MiB"`))
	add(s, "max_age", durationKind(time.Second, math.MaxInt64, "720h"), nil, func(b *Bridge) *time.Duration { return &b.MaxAge },
		"how old a waiting message may become; older ones are dropped and counted", byDefault("buffer.max_age"), example(`"720h"`))
	add(s, "when_full", choiceKind(whenFull), "drop-oldest", func(b *Bridge) *string { return &b.WhenFull },
		"what is dropped, and counted, beyond max_size: the oldest messages, or those that come", example(`"drop-newest"`))
	add(s, "clean", boolKind, nil, func(b *Bridge) *bool { return &b.Clean },
		"whether each connection starts a new session upstream; exactly once needs one that lasts",
		byDefault("false if a rule sends or receives at QoS 2, else true"), example("false"))
	add(s, "session_expiry", durationKind(time.Minute, maxSessionExpiry, "168h"), "168h", func(b *Bridge) *time.Duration { return &b.SessionExpiry },
		"how long the upstream is asked to keep the session while the link is down (MQTT 5.0)", example(`"168h"`))
	add(s, "cluster", boolKind, false, func(b *Bridge) *bool { return &b.Cluster },
		"whether all servers in url share their sessions, so that changing between them repeats nothing", example("true"))
	return s
}

var whenFull = []string{"drop-oldest", "drop-newest"}

// The largest session expiry interval that ends, in seconds: MQTT 5.0, 3.1.2.11.2.
const maxSessionExpiry = (1<<32 - 2) * time.Second

func forwardSection() *section {
	s := &section{pattern: "bridge.NAME.forward[]", meaning: "what goes upstream; of the rules of a bridge the first that matches takes a message",
		open: func(_ *Config, parent any, _ string) any {
			b, r := parent.(*Bridge), &Forward{}
			b.Forward = append(b.Forward, r)
			return r
		}}
	add(s, "filter", filterKind(topic.InnerWildcard()), nil, func(r *Forward) *topic.Filter { return &r.Filter },
		"which local topics", example(`"/Home/#"`), required, placeholders("id"))
	add(s, "exclude", filtersKind(topic.InnerWildcard()), nil, func(r *Forward) *[]topic.Filter { return &r.Exclude },
		"which of them not", example(`["/Home/private/#"]`), placeholders("id"))
	add(s, "strip", levelsKind, nil, func(r *Forward) *string { return &r.Strip },
		"levels taken off the front of the topic", example(`"plant"`), placeholders("id"))
	add(s, "prefix", levelsKind, nil, func(r *Forward) *string { return &r.Prefix },
		"levels put in front of the topic", example(`"sites/{id}"`), placeholders("id"))
	add(s, "qos", qosKind, int64(1), func(r *Forward) *QoS { return &r.QoS },
		"the quality of service used upstream, whatever the publisher used", example("1"))
	add(s, "retain", retainKind, "as published", func(r *Forward) *Retain { return &r.Retain },
		"the retain flag used upstream: as it came, or never set", example(`false`))
	add(s, "format", choiceKind([]string{"raw", "json"}, "senml"), "raw", func(r *Forward) *string { return &r.Format },
		"the payload upstream: as it is, or a JSON object with time, value, unit and quality", example(`"json"`))
	add(s, "durability", choiceKind([]string{"auto", "disk", "memory"}), "auto", func(r *Forward) *string { return &r.Durability },
		"when a message is written to disk: if the upstream does not take it at once, always, or never on account of this rule", example(`"disk"`))
	return s
}

func receiveSection() *section {
	s := &section{pattern: "bridge.NAME.receive[]", meaning: "what comes from upstream",
		open: func(_ *Config, parent any, _ string) any {
			b, r := parent.(*Bridge), &Receive{}
			b.Receive = append(b.Receive, r)
			return r
		}}
	add(s, "filter", filterKind(), nil, func(r *Receive) *topic.Filter { return &r.Filter },
		"which upstream topics are subscribed to", example(`"sites/{id}/command/#"`), required, placeholders("id"))
	add(s, "strip", levelsKind, nil, func(r *Receive) *string { return &r.Strip },
		"levels taken off the front of the topic", example(`"sites/{id}"`), placeholders("id"))
	add(s, "prefix", levelsKind, nil, func(r *Receive) *string { return &r.Prefix },
		"levels put in front of the topic", example(`"cloud"`), placeholders("id"))
	add(s, "qos", integerKind[byte](0, 2), int64(1), func(r *Receive) *byte { return &r.QoS },
		"the quality of service asked for", example("1"))
	return s
}

func bufferSection() *section {
	s := &section{pattern: "buffer", meaning: "the log on disk that keeps what is not delivered yet",
		open: func(cfg *Config, _ any, _ string) any { return &cfg.Buffer }}
	add(s, "max_size", sizeKind(1<<20, 0, 1, "512MiB"), nil, func(b *Buffer) *Size { return &b.MaxSize },
		"the most the log may take on disk, all its files together",
		byDefault("a quarter of the space free at the first start, at most 4GiB"), example(`"512MiB"`))
	add(s, "max_age", durationKind(time.Second, math.MaxInt64, "720h"), nil, func(b *Buffer) *time.Duration { return &b.MaxAge },
		"how old a waiting message may become; older ones are dropped and counted", byDefault("any"), example(`"720h"`))
	add(s, "when_full", choiceKind(whenFull), "drop-oldest", func(b *Buffer) *string { return &b.WhenFull },
		"what is dropped, and counted, when the log has no more room: the oldest messages, or those that come", example(`"drop-newest"`))
	add(s, "min_free", sizeKind(0, 0, 1, "256MiB"), "256MiB", func(b *Buffer) *Size { return &b.MinFree },
		"the space on the disk the log leaves to others", example(`"256MiB"`))
	add(s, "segment", sizeKind(64<<10, 1<<30, 4096, "4MiB"), "4MiB", func(b *Buffer) *Size { return &b.Segment },
		"the size of each file of the log", example(`"4MiB"`))
	add(s, "tail", sizeKind(256<<10, 1<<30, 1, "8MiB"), "8MiB", func(b *Buffer) *Size { return &b.Tail },
		"the most memory for messages that are not settled yet", example(`"8MiB"`))
	add(s, "spill_after", durationKind(time.Millisecond, time.Minute, "200ms"), "200ms", func(b *Buffer) *time.Duration { return &b.SpillAfter },
		"how long a message waits for an upstream that is up before it is written to disk", example(`"200ms"`))
	add(s, "gather", durationKind(0, time.Minute, "100ms"), "100ms", func(b *Buffer) *time.Duration { return &b.Gather },
		"how long messages that must be written are gathered for one write", example(`"100ms"`))
	add(s, "own_gather", durationKind(0, 10*time.Minute, "2s"), "2s", func(b *Buffer) *time.Duration { return &b.OwnGather },
		"the same for the gateway's own readings; a power cut loses at most that much of them", example(`"2s"`))
	add(s, "ack_flush", durationKind(10*time.Millisecond, 10*time.Minute, "5s"), "5s", func(b *Buffer) *time.Duration { return &b.AckFlush },
		"how often it is written down what the upstreams have", example(`"5s"`))
	add(s, "retain_flush", durationKind(time.Second, time.Hour, "30s"), "30s", func(b *Buffer) *time.Duration { return &b.RetainFlush },
		"how old the value of a retained topic may be that a crash brings back", example(`"30s"`))
	add(s, "flash_budget", sizeKind(0, 0, 1, "64MiB"), "64MiB", func(b *Buffer) *Size { return &b.FlashBudget },
		"how many bytes an hour may be spent on writing before gather is over, so that publishers which wait need not; 0B: none",
		example(`"64MiB"`))
	add(s, "compress", choiceKind([]string{"zstd", "none"}), "zstd", func(b *Buffer) *string { return &b.Compress },
		"how what is written is compressed, where that saves a page of the disk; what is there already is read in any case",
		example(`"none"`))
	return s
}
