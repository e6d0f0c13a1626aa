package config

import "io/fs"

func listenerSection() *section {
	s := &section{pattern: "listener.NAME", reload: true, meaning: "one address where local clients connect",
		open: func(cfg *Config, _ any, name string) any {
			cfg.Listener[name] = &Listener{Name: name}
			return cfg.Listener[name]
		}}
	add(s, "address", addressKind, nil, func(l *Listener) *Address { return &l.Address },
		"IP address and port, 0.0.0.0 is every interface; or the path of a Unix socket", example(`"0.0.0.0:1883"`), required, restart)
	add(s, "max_connections", integerKind[int](1, 1_000_000), nil, func(l *Listener) *int { return &l.MaxConnections },
		"how many clients may be connected here at once", byDefault("as many as [broker] allows"), example("100"))
	add(s, "anonymous", boolKind, nil, func(l *Listener) *bool { return &l.Anonymous },
		"whether clients may connect without user and password",
		byDefault("true on a loopback address and a Unix socket, false on any other"), example("true"))
	add(s, "passwords", pathKind, nil, func(l *Listener) *string { return &l.Passwords },
		"the password file of the listener, written by weir passwd, with keys for SCRAM-SHA-256 if asked for, or by mosquitto_passwd",
		byDefault("the file passwords beside this one"), example(`"/etc/weir/passwords"`))
	add(s, "acl", pathKind, nil, func(l *Listener) *string { return &l.ACL },
		"an access control list in mosquitto's form; clients of the listener may do what it and the [user.NAME] tables grant, and nothing else",
		byDefault("none"), example(`"/etc/mosquitto/acl"`))
	add(s, "acl_check", choiceKind([]string{"subscribe", "delivery"}), nil, func(l *Listener) *string { return &l.ACLCheck },
		"when it is judged what a client may read: once, when it subscribes, and more than it may have is refused; or at each delivery, as mosquitto does, where it may subscribe to # and gets what it may have",
		byDefault("\"delivery\" with acl, \"subscribe\" without"), example(`"delivery"`))
	add(s, "redirect", referenceKind, nil, func(l *Listener) *string { return &l.Redirect },
		"where clients are to go instead: each is refused and told, and at a reload those that are connected are sent away; 3.1.1 clients cannot be told where and find the server unavailable",
		byDefault("they are served here"), example(`"gateway2.example.com:1883"`))
	add(s, "redirect_permanent", boolKind, false, func(l *Listener) *bool { return &l.RedirectPermanent },
		"whether clients are told that this server has moved for good (0x9D), so that they may forget it, or to use another one for now (0x9C)", example("true"))
	add(s, "protocol", choiceKind([]string{"mqtt", "websocket"}), "mqtt", func(l *Listener) *string { return &l.Protocol },
		"whether MQTT is spoken directly or, as browsers need it, inside WebSocket", example(`"websocket"`), restart)
	add(s, "path", requestPathKind, "/mqtt", func(l *Listener) *string { return &l.Path },
		"the path that WebSocket clients ask for", example(`"/mqtt"`), restart)
	add(s, "origins", originsKind, nil, func(l *Listener) *[]string { return &l.Origins },
		`the web pages that may connect by WebSocket, "*" for all; programs that are no browsers are not judged by it`,
		byDefault("pages from the host they connect to"), example(`["https://panel.example.com"]`), restart)
	add(s, "mode", modeKind, "0660", func(l *Listener) *fs.FileMode { return &l.Mode },
		"who may connect to a Unix socket, as file permissions", example(`"0660"`), restart)
	tlsFields(s)
	return s
}

func tlsFields(s *section) {
	add(s, "cert", secretKind("gateway.crt", isPEM), nil, func(l *Listener) **Secret { return &l.Cert },
		"the certificate of this gateway, with those between it and its root behind it, as PEM; with it the listener speaks TLS", example(`{ file = "gateway.crt" }`))
	add(s, "key", secretKind("gateway.key", isPEM), nil, func(l *Listener) **Secret { return &l.Key },
		"the private key of the certificate, as PEM", example(`{ file = "gateway.key" }`), secret)
	add(s, "tls_min", choiceKind([]string{"1.2", "1.3"}), "1.2", func(l *Listener) *string { return &l.TLSMin },
		"the oldest version of TLS that is spoken", example(`"1.3"`))
	add(s, "client_ca", secretKind("clients-ca.crt", isPEM), nil, func(l *Listener) **Secret { return &l.ClientCA },
		"whose certificates clients may have, as PEM; each certificate in it is trusted by itself", example(`{ file = "clients-ca.crt" }`))
	add(s, "client_certificates", choiceKind([]string{"required", "optional"}), nil, func(l *Listener) *string { return &l.ClientCertificates },
		"whether clients must show a certificate, or may; one that is shown must be valid", byDefault(`"required" with client_ca`), example(`"optional"`))
	add(s, "identity", choiceKind([]string{"cn", "san"}), nil, func(l *Listener) *string { return &l.Identity },
		"the name in a client's certificate that is its user name, in place of a login: the common name, or the one DNS name, e-mail address or URI",
		byDefault("none: certificates log nobody in"), example(`"cn"`))
	add(s, "crl", pathsKind, nil, func(l *Listener) *[]string { return &l.CRL },
		"the revocation lists of the authorities in client_ca, as PEM or DER; with any, every authority whose clients come needs one", example(`["clients.crl"]`))
	add(s, "crl_expired", choiceKind([]string{"accept", "refuse"}), "accept", func(l *Listener) *string { return &l.CRLExpired },
		"what a revocation list is worth after its time: it is used as it is, with a warning, or lets nobody in", example(`"refuse"`))
}

// defaultListener is the one there is when a file names none.
func (c *checker) defaultListener() *Listener {
	l := &Listener{Name: "default"}
	c.defaults(listenerSection(), &table{target: l, path: "listener.default"})
	l.Address = Address{Host: "127.0.0.1", Port: 1883}
	return l
}
