package config

import "strings"

// named tells whether clients can be known by their certificates alone.
func (l *Listener) named() bool { return l.Identity != "" && l.ClientCA != nil }

// crossTLS checks the settings of a listener that need each other.
func (c *checker) crossTLS(l *Listener, path string) {
	given := func(key string) bool {
		_, set := c.cfg.origin[join(path, key)]
		return set && !c.bad[join(path, key)]
	}
	needs := func(because string, met bool, keys ...string) {
		for _, key := range keys {
			if given(key) && !met {
				c.wrong(join(path, key), "%s", because)
			}
		}
	}
	hasCert, hasKey := l.Cert != nil || c.bad[join(path, "cert")], l.Key != nil || c.bad[join(path, "key")]
	switch {
	case hasCert && !hasKey:
		c.wrong(join(path, "cert"), "a certificate needs its private key; add key = { file = \"gateway.key\" }")
	case hasKey && !hasCert:
		c.wrong(join(path, "key"), "a private key needs its certificate; add cert = { file = \"gateway.crt\" }")
	}
	hasCA := l.ClientCA != nil || c.bad[join(path, "client_ca")]
	needs("clients show certificates in TLS only; add cert and key", hasCert || hasKey, "client_ca")
	needs("nothing is encrypted without cert and key; add them", hasCert || hasKey, "tls_min")
	needs("it is not said whose certificates are good; add client_ca = { file = \"clients-ca.crt\" }", hasCA, "client_certificates", "identity", "crl")
	needs("there are no revocation lists; add crl = [\"clients.crl\"]", len(l.CRL) > 0 || c.bad[join(path, "crl")], "crl_expired")
	needs("only WebSocket has it; add protocol = \"websocket\"", l.Protocol == "websocket" || c.bad[join(path, "protocol")], "path", "origins")
	needs("only a Unix socket has permissions; its address begins with unix:", l.Address.Path != "" || c.bad[join(path, "address")], "mode")
	needs("it is not said where clients are to go; add redirect = \"gateway2.example.com:1883\"", l.Redirect != "" || c.bad[join(path, "redirect")], "redirect_permanent")
	for i, o := range l.Origins {
		if o == "*" && len(l.Origins) > 1 {
			c.warn(element(join(path, "origins"), i+1), "\"*\" lets every page in, so %s says nothing", strings.Join(quoted(others(l.Origins, i)), ", "))
		}
	}
}

func others(list []string, at int) []string {
	return append(append([]string(nil), list[:at]...), list[at+1:]...)
}
