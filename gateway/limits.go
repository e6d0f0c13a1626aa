package gateway

import (
	"fmt"
	"slices"
	"strings"

	"weir/broker"
	"weir/gateway/config"
)

// limitsOf is what [broker] and the listeners of a configuration say about limits, as the broker takes it.
func limitsOf(cfg *config.Config) broker.Config {
	b, listeners := cfg.Broker, cfg.Listener
	c := broker.Config{
		MaxPacket: int(b.MaxPacket), QueueMessages: b.QueueMessages, QueueBytes: int(b.QueueBytes),
		MaxConnections: b.MaxConnections, MaxSessions: b.MaxSessions, MaxSubscriptions: b.MaxSubscriptions, MaxClientSubscriptions: b.MaxClientSubscriptions,
		MaxRetained: b.MaxRetained, MaxRetainedBytes: int(b.MaxRetainedBytes), QueueTotal: b.QueueTotal, Memory: int(b.Memory),
		Inflight: b.Inflight, ReceiveMaximum: b.ReceiveMaximum, TopicAliases: b.TopicAliases,
		MaxTopicLevels: b.MaxTopicLevels, MaxTopicLength: b.MaxTopicLength, MaxKeepAlive: b.MaxKeepAlive, MaxSessionExpiry: b.SessionExpiry,
		MaxQoS: &b.MaxQoS, NoRetain: !b.Retain, SysInterval: b.SysInterval,
		MaxConnecting: b.MaxConnecting, AddressConnecting: b.MaxAddressConnecting, ConnectWait: b.ConnectTimeout,
		Logins: broker.Logins{
			Failures: b.LoginFailures, AddressFailures: b.LoginAddressFailures, Forget: b.LoginForget, AddressForget: b.LoginAddressForget,
			Wait: b.LoginWait, MaxWait: b.LoginMaxWait, Checks: b.LoginChecks, AddressChecks: b.LoginAddressChecks,
		},
	}
	c.ListenerConnections = func(name string) int {
		if l := listeners[name]; l != nil {
			return l.MaxConnections
		}
		return 0
	}
	if b.TopicAliases == 0 {
		c.TopicAliases = -1
	}
	if b.SysInterval == 0 {
		c.SysInterval = -1
	}
	return c
}

// reloadableLimits is the broker's limits as a part that takes a new configuration: the keys of [broker] that the table of fields
// says a reload applies, and how many clients a listener may have.
func (g *Gateway) reloadableLimits() reloadable {
	var keys []string
	for _, f := range config.Fields(nil) {
		if strings.HasPrefix(f.Path, "broker.") && f.Reload {
			keys = append(keys, f.Path)
		}
	}
	return reloadable{
		takes: func(setting string) bool {
			if slices.Contains(keys, setting) {
				return true
			}
			name, key, ok := cutListener(setting)
			return ok && key == "max_connections" && slices.ContainsFunc(g.listeners, func(l *listener) bool { return l.name == name })
		},
		prepare: func(cfg *config.Config) (func(), error) {
			running := g.cfg.Buffer // which takes a restart
			if most := min(running.Segment, running.Tail)/2 - 4<<10; running.Segment > 0 && running.Tail > 0 && cfg.Broker.MaxPacket > most {
				return nil, fmt.Errorf("broker.max_packet: got %v, want at most %v while weir runs with the buffer.segment and buffer.tail it was started with; more takes a restart",
					cfg.Broker.MaxPacket, most)
			}
			return func() { g.broker.SetLimits(limitsOf(cfg)) }, nil
		},
	}
}
