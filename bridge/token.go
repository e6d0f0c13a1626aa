package bridge

import (
	"slices"
	"strings"

	"weir/broker/packet"
)

// token names whose session it is: server, client id, protocol. The parts hold no newline.
func token(server, client string, v packet.Version) string {
	return server + "\n" + client + "\n" + v.String()
}

// tokenOf is the token of a server. The servers of a cluster share their sessions and count as one.
func (c *Config) tokenOf(server int, v packet.Version) string {
	name := c.Servers[server]
	if c.Cluster {
		all := slices.Sorted(slices.Values(c.Servers))
		name = strings.Join(all, " ")
	}
	return token(name, c.Connect.ClientID, v)
}

// opening is how a connection begins.
type opening struct {
	token    string // of whom is called; empty: the session ends with the connection
	resume   bool   // Clean Start 0
	withdraw bool   // the kept token is withdrawn, durably, before CONNECT
}

// open decides how to begin with the server that wanted names; empty: nothing outlives the connection. kept is the token
// in the store. Clean Start 0 needs a token that names exactly this session.
func open(kept, wanted string) opening {
	if wanted != "" && kept == wanted {
		return opening{token: wanted, resume: true}
	}
	return opening{token: wanted, withdraw: wanted != "" || kept != ""}
}

// begins reports whether a new token is to be written, durably, after CONNACK and before anything else is sent.
func (o opening) begins(present bool) bool { return o.token != "" && !(o.resume && present) }

// recall finds the server and protocol that a kept token names, so that a restart goes on where it was.
func (c *Config) recall(kept string) (server int, v packet.Version, ok bool) {
	for _, v := range []packet.Version{packet.V5, packet.V311} {
		if c.Connect.Version != 0 && c.Connect.Version != v {
			continue
		}
		for i := range c.Servers {
			if c.tokenOf(i, v) == kept {
				return i, v, true
			}
		}
	}
	return 0, 0, false
}
