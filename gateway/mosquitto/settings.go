package mosquitto

import (
	"strings"

	"weir/gateway/config"
)

// rule says what becomes of one setting of mosquitto.
type rule struct {
	take     func(c *converter, l line) (why string) // why it is not carried, "" if it is
	needless bool                                    // weir does so anyway, or has no such thing to set
	danger   bool                                    // without it more is possible than before
	closes   bool                                    // it may keep clients out, so a listener is not opened by one that means nothing
	why      string
}

func needless(why string) rule { return rule{needless: true, why: why} }
func left(why string) rule     { return rule{why: why} }
func danger(why string) rule   { return rule{why: why, danger: true} }

func closing(r rule) rule {
	r.closes = true
	return r
}

// forListener, forScope, forBridge and global are settings that are kept as they are for writing.
func forListener(at func(*listener) *setting) rule {
	return rule{take: func(c *converter, l line) string { *at(c.at) = setting{l.value, &l}; return "" }}
}

func forScope(at func(*listener) *setting) rule {
	return rule{take: func(c *converter, l line) string { *at(c.scope()) = setting{l.value, &l}; return "" }}
}

func global(at func(*converter) *setting) rule {
	return rule{take: func(c *converter, l line) string { *at(c) = setting{l.value, &l}; return "" }}
}

func forBridge(at func(*link) *setting) rule {
	return rule{take: func(c *converter, l line) string {
		if c.on == nil {
			return "stands before any connection"
		}
		*at(c.on) = setting{l.value, &l}
		return ""
	}}
}

// forPlaceholders is forBridge for values in which weir would see placeholders.
func forPlaceholders(at func(*link) *setting) rule {
	return rule{take: func(c *converter, l line) string {
		if strings.ContainsAny(l.value, "{}") {
			return "in weir braces are placeholders, such as {id}"
		}
		return forBridge(at).take(c, l)
	}}
}

// table is all settings of mosquitto 2.0, and some of 2.1.
func table() map[string]rule {
	all := map[string]rule{}
	for _, part := range []map[string]rule{generalSettings(), listenerSettings(), bridgeSettings()} {
		for key, r := range part {
			all[key] = r
		}
	}
	return all
}

func generalSettings() map[string]rule {
	journal := needless("weir logs to its standard error, which systemd keeps in the journal; what is logged is set by weir run --log")
	keeps := needless("weir keeps sessions, their queues and retained messages always, in gateway.data_dir, as they come")
	return map[string]rule{
		"per_listener_settings": {take: func(*converter, line) string { return "" }},
		"allow_anonymous":       forScope(func(l *listener) *setting { return &l.anonymous }),
		"password_file":         forScope(func(l *listener) *setting { return &l.passwords }),
		"acl_file":              forScope(func(l *listener) *setting { return &l.acl }),
		"max_queued_messages":   global(func(c *converter) *setting { return &c.queueMessages }),
		"max_queued_bytes":      global(func(c *converter) *setting { return &c.queueBytes }),
		"max_packet_size":       global(func(c *converter) *setting { return &c.maxPacket }),

		"persistence": {take: func(c *converter, l line) string {
			if l.value == "true" {
				c.needless = append(c.needless, note{l, keeps.why})
				return ""
			}
			return keeps.why
		}},
		"persistence_file": keeps, "persistence_location": keeps, "autosave_interval": keeps, "autosave_on_changes": keeps,
		"log_dest": journal, "log_facility": journal, "log_timestamp": journal, "log_timestamp_format": journal, "log_type": journal,
		"connection_messages": journal, "websockets_log_level": journal,
		"pid_file":                 needless("systemd knows the process"),
		"user":                     needless("the packaged service runs as the user weir; let it read the files named here"),
		"set_tcp_nodelay":          needless("weir does so always"),
		"allow_duplicate_messages": needless("a client gets a message once, whatever its subscriptions overlap in"),
		"upgrade_outgoing_qos":     left("the standard wants the lower QoS of publisher and subscription, and weir does that"),
		"queue_qos0_messages":      left("QoS 0 is not queued for clients that are away"),
		"max_inflight_messages":    global(func(c *converter) *setting { return &c.inflight }),
		"max_inflight_bytes":       left("weir has no such key; queue_bytes bounds what waits"),
		"message_size_limit":       left("weir bounds whole packets: broker.max_packet"),
		"max_keepalive":            global(func(c *converter) *setting { return &c.keepAlive }),
		"memory_limit":             global(func(c *converter) *setting { return &c.memory }),
		"persistent_client_expiration": left(
			"broker.session_expiry bounds all sessions, 30 days if it is not set; those of MQTT 3.1.1 end then, others when they said"),
		"retain_available":               global(func(c *converter) *setting { return &c.retain }),
		"sys_interval":                   global(func(c *converter) *setting { return &c.interval }),
		"check_retain_source":            left("what is retained stays, and readers are judged at delivery"),
		"auto_id_prefix":                 left("weir gives ids that begin with auto-"),
		"allow_zero_length_clientid":     {take: zeroLength},
		"clientid_prefixes":              danger("weir takes any client id"),
		"auth_plugin":                    danger("weir has no plugins; who may come in and do what must be said by users and rights"),
		"plugin":                         danger("weir has no plugins; who may come in and do what must be said by users and rights"),
		"auth_plugin_deny_special_chars": needless("names with + and # have no rights by patterns"),
		"psk_file":                       left("weir has no TLS with pre-shared keys"),
		"max_topic_alias":                left("weir has one number for all listeners: broker.topic_aliases, 32 if it is not set"),
		"accept_protocol_versions":       left("weir takes MQTT 3.1.1 and 5.0"),
	}
}

func zeroLength(c *converter, l line) string {
	if l.value == "true" {
		return ""
	}
	return "clients without an id of their own are given one, as the standard allows"
}

func listenerSettings() map[string]rule {
	return map[string]rule{
		"listener":     {take: (*converter).listen},
		"port":         {take: defaultListener(func(l *listener) *setting { return &l.port })},
		"bind_address": {take: defaultListener(func(l *listener) *setting { return &l.bind })},
		"protocol":     forListener(func(l *listener) *setting { return &l.protocol }),
		"certfile":     forListener(func(l *listener) *setting { return &l.cert }),
		"keyfile":      forListener(func(l *listener) *setting { return &l.key }),
		"cafile":       forListener(func(l *listener) *setting { return &l.ca }),
		"crlfile":      forListener(func(l *listener) *setting { return &l.crl }),
		"tls_version":  forListener(func(l *listener) *setting { return &l.tlsVersion }),

		"require_certificate":      closing(forListener(func(l *listener) *setting { return &l.requireCert })),
		"use_identity_as_username": closing(forListener(func(l *listener) *setting { return &l.identity })),

		"capath":                   {take: refusesCertificates("weir wants one file of authorities: cat the files of the directory into one")},
		"use_subject_as_username":  closing(rule{take: refusesCertificates("weir takes the common name or a subject alternative name: identity")}),
		"psk_hint":                 {take: refuses("weir has no TLS with pre-shared keys")},
		"ciphers":                  left("weir leaves the ciphers to Go's TLS, which has no weak ones"),
		"ciphers_tls1.3":           left("weir leaves the ciphers to Go's TLS, which has no weak ones"),
		"dhparamfile":              needless("Go's TLS uses elliptic curves"),
		"tls_engine":               left("keys are read from files"),
		"tls_keyform":              left("keys are read from files"),
		"tls_engine_kpass_sha1":    left("keys are read from files"),
		"bind_interface":           danger("weir listens at addresses: give the one of the interface"),
		"socket_domain":            left("give an address of the family"),
		"max_connections":          forListener(func(l *listener) *setting { return &l.maxConnections }),
		"max_qos":                  left("weir has one for all listeners: broker.max_qos, 2 if it is not set"),
		"mount_point":              {take: refuses("weir has no mount points, so its clients would see other topics than they do now")},
		"http_dir":                 left("weir serves no files"),
		"websockets_headers_size":  needless("weir bounds the request by itself"),
		"use_username_as_clientid": danger("weir takes the client id that a client gives"),
	}
}

// defaultListener is a setting of the default listener, wherever it stands.
func defaultListener(at func(*listener) *setting) func(*converter, line) string {
	return func(c *converter, l line) string { *at(c.all) = setting{l.value, &l}; return "" }
}

// refuses makes the listener of the line one that cannot be carried.
func refuses(why string) func(*converter, line) string {
	return func(c *converter, l line) string {
		c.at.refused = l.key + ": " + why
		return why
	}
}

// refusesCertificates is refuses for what decides who gets in; a value of false decides nothing.
func refusesCertificates(why string) func(*converter, line) string {
	return func(c *converter, l line) string {
		if l.value == "false" {
			return ""
		}
		return refuses(why)(c, l)
	}
}

func bridgeSettings() map[string]rule {
	user := func(b *link) *setting { return &b.user }
	password := func(b *link) *setting { return &b.password }
	clientID := func(b *link) *setting { return &b.clientID }
	local := needless("a bridge of weir is a part of it: it needs no login, and no session, with the broker here")
	state := left("weir publishes the state of a link retained at weir/ID/bridge/NAME, here and upstream")
	return map[string]rule{
		"connection": {take: (*converter).connection},
		"address":    {take: addresses}, "addresses": {take: addresses},
		"topic":           {take: topicLine},
		"remote_username": forPlaceholders(user), "username": forPlaceholders(user),
		"remote_password": forBridge(password), "password": forBridge(password),
		"remote_clientid": forPlaceholders(clientID), "clientid": forPlaceholders(clientID),
		"cleansession":            forBridge(func(b *link) *setting { return &b.clean }),
		"keepalive_interval":      forBridge(func(b *link) *setting { return &b.keepAlive }),
		"bridge_protocol_version": forBridge(func(b *link) *setting { return &b.version }),
		"bridge_outgoing_retain":  forBridge(func(b *link) *setting { return &b.outgoingRetain }),
		"bridge_cafile":           {take: bridgeTLS(func(b *link) *setting { return &b.ca })},
		"bridge_certfile":         {take: bridgeTLS(func(b *link) *setting { return &b.cert })},
		"bridge_keyfile":          {take: bridgeTLS(func(b *link) *setting { return &b.key })},
		"bridge_capath": {take: func(c *converter, l line) string {
			if why := bridgeTLS(func(*link) *setting { return &setting{} })(c, l); why != "" {
				return why
			}
			if strings.TrimRight(l.value, "/") == "/etc/ssl/certs" {
				c.needless = append(c.needless, note{l, "the authorities of the system are the default; with a bridge_cafile those in it hold alone"})
				return ""
			}
			return "weir wants one file of authorities; those of the system hold now, or ca = { file = ... }"
		}},
		"bridge_insecure": {take: func(c *converter, l line) string {
			if l.value == "false" {
				return ""
			}
			return "weir always looks whether the certificate is for the host it connects to; give the upstream a right one"
		}},
		"bridge_alpn":         {take: bridgeNote("weir has no ALPN yet: use the port 8883, which needs none")},
		"bridge_psk":          {take: bridgeNote("weir has no TLS with pre-shared keys, so the link will not come up")},
		"bridge_identity":     {take: bridgeNote("weir has no TLS with pre-shared keys, so the link will not come up")},
		"bridge_tls_version":  needless("TLS 1.2 and 1.3 are spoken, whichever the upstream has"),
		"bridge_require_ocsp": left("weir does not ask for OCSP"),
		"bridge_bind_address": left("the system chooses the address"),
		"bridge_max_packet_size": left(
			"weir keeps to what the upstream takes"),
		"bridge_attempt_unsubscribe": needless("weir subscribes to what its rules say, and to nothing else"),
		"local_cleansession":         local, "local_clientid": local, "local_username": local, "local_password": local,
		"notifications":            state,
		"notification_topic":       state,
		"notifications_local_only": state,
		"try_private":              needless("weir marks what it forwards, and does not take its own messages back"),
		"restart_timeout":          needless("weir waits longer from try to try, with chance in it, up to minutes"),
		"round_robin":              left("the addresses are tried in their order"),
		"start_type": {take: func(c *converter, l line) string {
			if l.value == "automatic" {
				return ""
			}
			return "a link of weir is up whenever it can be"
		}},
		"idle_timeout": left("a link of weir is up whenever it can be"),
		"threshold":    left("a link of weir is up whenever it can be"),
	}
}

func addresses(c *converter, l line) string {
	if c.on == nil {
		return "stands before any connection"
	}
	for _, a := range strings.Fields(l.value) {
		if _, err := config.ParseURL(urlOf(a, false)); err != nil {
			return "not a host, or a host and a port"
		}
	}
	c.on.addresses, c.on.address = strings.Fields(l.value), setting{l.value, &l}
	return ""
}

func topicLine(c *converter, l line) string {
	if c.on == nil {
		return "stands before any connection"
	}
	c.on.topics = append(c.on.topics, l)
	return ""
}

// bridgeTLS is a setting that makes a link speak TLS.
func bridgeTLS(at func(*link) *setting) func(*converter, line) string {
	return func(c *converter, l line) string {
		if c.on == nil {
			return "stands before any connection"
		}
		*at(c.on) = setting{l.value, &l}
		c.on.tls = true
		return ""
	}
}

// bridgeNote is one that is not carried, and means TLS.
func bridgeNote(why string) func(*converter, line) string {
	return func(c *converter, l line) string {
		if c.on != nil {
			c.on.tls = true
		}
		return why
	}
}
