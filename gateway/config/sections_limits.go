package config

import (
	"math"
	"time"
)

// limitFields are the keys of [broker] that say how much clients may ask of it. What a client is told when it asks for more
// stands in the doc.go of package broker, along with the reasons for the defaults.
func limitFields(s *section) {
	count := func(key string, most int64, def int64, at func(*Broker) *int, meaning string) {
		add(s, key, integerKind[int](1, most), def, at, meaning, example(tomlText(def)))
	}
	count("queue_total", 100_000_000, 200_000, func(b *Broker) *int { return &b.QueueTotal },
		"how many messages may wait in memory for all clients together")
	count("max_connections", 1_000_000, 10_000, func(b *Broker) *int { return &b.MaxConnections },
		"how many clients may be connected at once")
	count("max_sessions", 10_000_000, 20_000, func(b *Broker) *int { return &b.MaxSessions },
		"how many sessions there may be, of clients that are connected and of those that are away")
	count("max_subscriptions", 100_000_000, 200_000, func(b *Broker) *int { return &b.MaxSubscriptions },
		"how many subscriptions all clients together may have")
	count("max_client_subscriptions", 100_000_000, 100_000, func(b *Broker) *int { return &b.MaxClientSubscriptions },
		"how many subscriptions one client may have")
	count("max_retained", 100_000_000, 200_000, func(b *Broker) *int { return &b.MaxRetained },
		"how many retained messages there may be; what the gateway itself publishes is always retained")
	add(s, "max_retained_bytes", sizeKind(1<<10, 1<<40, 1, "64MiB"), "64MiB", func(b *Broker) *Size { return &b.MaxRetainedBytes },
		"how many bytes retained messages may take", example(`"64MiB"`))
	add(s, "memory", sizeKind(4<<20, 1<<40, 1, "128MiB"), "128MiB", func(b *Broker) *Size { return &b.Memory },
		"how many bytes clients may make the broker hold altogether, about: connections, sessions, subscriptions, retained and waiting messages",
		example(`"128MiB"`))
	count("inflight", 65_535, 256, func(b *Broker) *int { return &b.Inflight },
		"how many messages of QoS 1 and 2 may be on their way to one client without its acknowledgement")
	count("receive_maximum", 65_535, 1024, func(b *Broker) *int { return &b.ReceiveMaximum },
		"how many messages of QoS 1 and 2 one MQTT 5.0 client may publish without an acknowledgement")
	add(s, "topic_aliases", integerKind[int](0, 65_535), int64(32), func(b *Broker) *int { return &b.TopicAliases },
		"how many topic aliases one MQTT 5.0 client may use; 0: none", example("32"))
	count("max_topic_levels", 65_535, 128, func(b *Broker) *int { return &b.MaxTopicLevels },
		"how many levels a topic or filter may have")
	count("max_topic_length", 65_535, 4096, func(b *Broker) *int { return &b.MaxTopicLength },
		"how many bytes a topic or filter may have")
	add(s, "max_keep_alive", durationKind(0, 65_535*time.Second, "10m"), "0s", func(b *Broker) *time.Duration { return &b.MaxKeepAlive },
		"the longest keep alive: MQTT 5.0 clients that want longer are told, 3.1.1 clients refused; 0s: there is none, nor need clients have one",
		example(`"10m"`))
	add(s, "session_expiry", durationKind(time.Second, math.MaxUint32*time.Second, "30d"), "30d", func(b *Broker) *time.Duration { return &b.SessionExpiry },
		"how long a session is kept for a client that is away, at most", example(`"30d"`))
	add(s, "max_qos", integerKind[byte](0, 2), int64(2), func(b *Broker) *byte { return &b.MaxQoS },
		"the highest QoS that clients may publish with and subscribe with", example("1"))
	add(s, "retain", boolKind, true, func(b *Broker) *bool { return &b.Retain },
		"whether messages are retained; if not, what was retained before comes back when they are again", example("false"), restart)
	add(s, "sys_interval", durationKind(0, 24*time.Hour, "10s"), "10s", func(b *Broker) *time.Duration { return &b.SysInterval },
		"how often the topics below $SYS are published while a client has subscribed to them; 0s: there are none", example(`"10s"`), restart)
	connectFields(s)
}

// connectFields are the keys of [broker] that bound what clients may do before they are logged in.
func connectFields(s *section) {
	count := func(key string, most int64, def int64, at func(*Broker) *int, meaning string) {
		add(s, key, integerKind[int](1, most), def, at, meaning, example(tomlText(def)))
	}
	span := func(key string, least time.Duration, def string, at func(*Broker) *time.Duration, meaning string) {
		add(s, key, durationKind(least, 24*time.Hour, def), def, at, meaning, example(tomlText(def)))
	}
	count("max_connecting", 1_000_000, 1000, func(b *Broker) *int { return &b.MaxConnecting },
		"how many connections there may be that have not sent CONNECT, or not finished the exchange that it began; further ones are closed unheard")
	count("max_address_connecting", 1_000_000, 100, func(b *Broker) *int { return &b.MaxAddressConnecting },
		"the same for one address, or one network of 64 bits of IPv6; addresses of this machine are not bounded, as a proxy stands for many")
	span("connect_timeout", 100*time.Millisecond, "10s", func(b *Broker) *time.Duration { return &b.ConnectTimeout },
		"how long a connection may take to send CONNECT and have its login checked, with the exchange of SCRAM-SHA-256 if there is one")
	count("login_failures", 10_000, 5, func(b *Broker) *int { return &b.LoginFailures },
		"how many logins of one user name may fail from one address before it has to wait")
	count("login_address_failures", 1_000_000, 30, func(b *Broker) *int { return &b.LoginAddressFailures },
		"how many logins of all user names may fail from one address before it has to wait")
	span("login_wait", 10*time.Millisecond, "1s", func(b *Broker) *time.Duration { return &b.LoginWait },
		"how long it has to wait the first time; each further failure doubles that")
	span("login_max_wait", 10*time.Millisecond, "1m", func(b *Broker) *time.Duration { return &b.LoginMaxWait },
		"the longest it has to wait")
	span("login_forget", time.Second, "1m", func(b *Broker) *time.Duration { return &b.LoginForget },
		"how long without a failure it takes until one of a user name is forgotten")
	span("login_address_forget", time.Second, "10s", func(b *Broker) *time.Duration { return &b.LoginAddressForget },
		"how long without a failure it takes until one of an address is forgotten")
	count("login_checks", 100_000, 64, func(b *Broker) *int { return &b.LoginChecks },
		"how many logins may wait for their check at a time; one is checked at a time, and further ones are refused")
	count("login_address_checks", 100_000, 8, func(b *Broker) *int { return &b.LoginAddressChecks },
		"how many of them may be of one address")
}
