package gateway

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"weir/bridge"
	"weir/bridge/client"
	"weir/broker"
	"weir/broker/message"
	"weir/broker/packet"
	"weir/broker/topic"
	"weir/buffer"
	"weir/gateway/config"
	"weir/gateway/journal"
	"weir/gateway/status"
)

// link is one upstream: its bridge, and where that reads and writes.
type link struct {
	name   string
	bridge *bridge.Bridge
}

// ruleText is how a forward rule is kept in the store, so that a record leaves as the rule said when it was accepted.
type ruleText struct {
	Filter  string   `json:"filter"`
	Exclude []string `json:"exclude,omitempty"`
	Strip   string   `json:"strip,omitempty"`
	Prefix  string   `json:"prefix,omitempty"`
	QoS     byte     `json:"qos"`
	Retain  byte     `json:"retain,omitempty"`
	Format  byte     `json:"format,omitempty"`
}

// buildLinks makes the bridges and hands the broker their rules.
func (g *Gateway) buildLinks() error {
	var routes []broker.Route
	for _, name := range slices.Sorted(maps.Keys(g.cfg.Bridge)) {
		b := g.cfg.Bridge[name]
		source, err := g.store.journal.Source(name)
		if err != nil {
			return fmt.Errorf("bridge.%s: %w", name, err)
		}
		source.SetLimits(buffer.Limits{
			MaxBytes: int64(b.MaxSize), MaxAge: cmp.Or(b.MaxAge, g.cfg.Buffer.MaxAge), Newest: b.WhenFull == "drop-newest",
		})
		rules, ids, err := g.rules(b)
		if err != nil {
			return fmt.Errorf("bridge.%s: %w", name, err)
		}
		for i, f := range b.Forward {
			if slices.Index(ids, ids[i]) == i { // of two rules alike the first takes the messages
				g.store.journal.SetDurability(source.ID(), ids[i], durability(f))
			}
			routes = append(routes, broker.Route{
				Upstream: source.ID(), Rule: ids[i], Order: i, Filter: f.Filter, Exclude: f.Exclude, NotFrom: origin(name),
			})
		}
		l, err := g.buildLink(b, source, rules)
		if err != nil {
			return fmt.Errorf("bridge.%s: %w", name, err)
		}
		g.links = append(g.links, l)
	}
	g.broker.SetRoutes(routes)
	return nil
}

// durability is what a rule asks of the disk. What goes upstream at QoS 2 is always on disk first.
func durability(f *config.Forward) journal.Durability {
	switch {
	case f.Durability == "memory":
		return journal.MemoryOnly
	case f.Durability == "disk", f.QoS == 2:
		return journal.DiskAlways
	case f.QoS == config.AsPublished:
		return journal.AutoAsPublished
	}
	return journal.Auto
}

// origin marks messages that came from an upstream, so that they are not sent back to it.
func origin(bridge string) string { return "bridge/" + bridge }

// rules interns the forward rules and gives every rule a record may name, old ones included.
func (g *Gateway) rules(b *config.Bridge) (map[uint32]bridge.Rule, []uint32, error) {
	var texts []string
	for _, f := range b.Forward {
		text := ruleText{
			Filter: f.Filter.String(), Strip: f.Strip, Prefix: f.Prefix, QoS: qosUpstream(f.QoS), Format: byte(formats[f.Format]),
		}
		if f.Retain == config.StripRetain {
			text.Retain = byte(bridge.StripRetain)
		}
		for _, e := range f.Exclude {
			text.Exclude = append(text.Exclude, e.String())
		}
		b, err := json.Marshal(text)
		if err != nil {
			return nil, nil, err
		}
		texts = append(texts, string(b))
	}
	ids, err := g.store.journal.Intern(b.Name, texts)
	if ids == nil && err != nil {
		return nil, nil, err
	}
	if err != nil {
		g.log.Error("forward rules are not on disk yet: backlog could not be told apart after a restart", "bridge", b.Name, "err", err)
	}
	rules := map[uint32]bridge.Rule{}
	for id, text := range g.store.journal.Rules(b.Name) {
		rule, err := readRule(text)
		if err != nil {
			return nil, nil, fmt.Errorf("rule %d in the store: %w", id, err)
		}
		rules[id] = rule
	}
	return rules, ids, nil
}

// qosUpstream is the QoS of a rule as the bridge takes it.
func qosUpstream(q config.QoS) byte {
	if q == config.AsPublished {
		return bridge.AsPublished
	}
	return byte(q)
}

func readRule(text string) (bridge.Rule, error) {
	var t ruleText
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return bridge.Rule{}, err
	}
	filter, err := topic.ParseFilter(t.Filter, topic.InnerWildcard())
	if err != nil {
		return bridge.Rule{}, err
	}
	return bridge.Rule{
		Filter: filter, Strip: t.Strip, Prefix: t.Prefix, QoS: t.QoS, Retain: bridge.Retain(t.Retain), Format: bridge.Format(t.Format),
	}, nil
}

var formats = map[string]bridge.Format{"raw": bridge.Raw, "json": bridge.JSON}

func (g *Gateway) buildLink(b *config.Bridge, source *journal.Source, rules map[uint32]bridge.Rule) (*link, error) {
	connect, err := connectOptions(b)
	if err != nil {
		return nil, err
	}
	cfg := bridge.Config{
		Name: b.Name, Gateway: g.cfg.Gateway.ID, Program: g.o.Version, Connect: connect, Forward: rules, Window: b.Window,
	}
	cfg.Persist, cfg.Cluster = !b.Clean, b.Cluster
	for _, r := range rules { // the backlog of a rule leaves as it said, also when it is there no more
		cfg.Persist = cfg.Persist || r.QoS >= 2
	}
	if !g.store.journal.Volatile() {
		cfg.Keeper = source
	}
	for _, u := range b.URLs {
		cfg.Servers = append(cfg.Servers, u.String())
	}
	for _, r := range b.Receive {
		cfg.Receive = append(cfg.Receive, bridge.ReceiveRule{Filter: r.Filter, Strip: r.Strip, Prefix: r.Prefix, QoS: r.QoS})
	}
	state := g.broker.NewPublisher("", nil)
	cfg.Announce = func(topic string, payload []byte, retain bool) {
		err := state.Publish([]message.Message{{Stamp: g.clock.Now(), Publish: packet.Publish{QoS: 1, Retain: retain, Topic: []byte(topic), Payload: payload}}})
		if err != nil {
			g.log.Warn("link state not published locally", "bridge", b.Name, "err", err)
		}
	}
	l := &link{name: b.Name}
	received := g.broker.NewPublisher(origin(b.Name), func(n int) { l.bridge.Settled(n) })
	received.KeepWith(source.HeldKey)
	l.bridge = bridge.New(cfg, source, received, g.clock, g.log.With("bridge", b.Name))
	return l, nil
}

// connectOptions reads the secrets of a bridge.
func connectOptions(b *config.Bridge) (client.Options, error) {
	o := client.Options{
		URL: b.URLs[0].String(), Version: packet.Version(b.Version), ClientID: b.ClientID, Username: b.Username, KeepAlive: b.KeepAlive,
		SessionExpiry: b.SessionExpiry,
	}
	for _, s := range []struct {
		key    string
		secret *config.Secret
		to     *[]byte
	}{{"password", b.Password, &o.Password}, {"ca", b.CA, &o.TLS.CAPEM}, {"cert", b.Cert, &o.TLS.CertPEM}, {"key", b.Key, &o.TLS.KeyPEM}} {
		if s.secret == nil {
			continue
		}
		text, err := s.secret.Read()
		if err != nil {
			return o, fmt.Errorf("%s: %w", s.key, err)
		}
		*s.to = []byte(text)
	}
	return o, nil
}

// status is what the snapshot says of a link.
func (l *link) status() status.Bridge {
	s := l.bridge.Status()
	return status.Bridge{
		Name: l.name, State: s.State, Since: s.Since, Err: s.Err, NextTry: s.NextTry, RTT: s.RTT, InFlight: s.InFlight, Window: s.Window,
		Backlog: s.Backlog.Records, Bytes: s.Backlog.Bytes, OldestAge: s.OldestAge, Aside: s.Backlog.Aside, Dropped: s.Backlog.Dropped,
		Dead: s.Backlog.Dead, DeadLost: s.Backlog.DeadDropped, Repeats: s.Repeats,
		Sent: s.Sent, Acked: s.Acked, Reconnects: s.Reconnects,
	}
}
