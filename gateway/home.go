package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"weir/broker/message"
	"weir/broker/topic"
	"weir/gateway/config"
	"weir/gateway/discovery"
	"weir/sensors"
)

// home tells Home Assistant of the gateway and its sensors, and takes back what is no more. What was announced is kept in
// the store before it is published, and forgotten after it was taken back, so that nothing stays behind across restarts,
// other settings, or with discovery switched off.
//
//	home/TOPIC   {"parts":{"temperature":"sensor"},"found":true}
type home struct {
	gateway   discovery.Gateway
	on        bool
	keep      keeper
	publish   func(topic string, payload []byte) error // at QoS 1, retained
	sensors   func() []announced                       // those there are now
	sought    func() bool                              // sensors that are found have been looked for
	log       *slog.Logger
	began     time.Time
	remembers map[string]memory // by topic: all that was announced and not taken back
	published map[string][]byte // by topic: the payload, of this process
}

// keeper is the part of the store that is used.
type keeper interface {
	Put(key string, value []byte) error
	Delete(key string)
	Range(prefix string, f func(key string, value []byte) bool)
}

// announced is a sensor as it is to be announced.
type announced struct {
	discovery.Sensor
	found bool // it has no table of its own
}

// memory is what is kept of one document.
type memory struct {
	Parts map[string]string `json:"parts"`
	Found bool              `json:"found,omitempty"` // of a sensor that was found
}

const keyHome = "home/"

// A sensor that was found before a restart and is not there yet may only be unplugged, or slow. Taking it back would have
// Home Assistant forget what people have set for it.
const foundAgainWithin = 10 * time.Minute

// recall reads what was announced.
func (h *home) recall() {
	h.remembers, h.published = map[string]memory{}, map[string][]byte{}
	h.keep.Range(keyHome, func(key string, value []byte) bool {
		var m memory
		if err := json.Unmarshal(value, &m); err != nil {
			h.log.Warn("what was told to Home Assistant cannot be read, and is taken back as a whole", "err", err)
		}
		h.remembers[key[len(keyHome):]] = m
		return true
	})
}

// busy tells whether there is anything to do.
func (h *home) busy() bool { return h.on || len(h.remembers) > 0 }

// documents are what is to be announced now.
func (h *home) documents() (all []discovery.Document, found map[string]bool) {
	found = map[string]bool{}
	if !h.on {
		return nil, found
	}
	before := func(d discovery.Document) map[string]string { return h.remembers[d.Topic].Parts }
	all = append(all, h.gateway.Gateway(before(h.gateway.Gateway(nil))))
	for _, s := range h.sensors() {
		d := h.gateway.Sensor(s.Sensor, before(h.gateway.Sensor(s.Sensor, nil)))
		found[d.Topic] = s.found
		all = append(all, d)
	}
	return all, found
}

// look publishes what is new or has changed, or everything, and takes back what is no more.
func (h *home) look(everything bool) error {
	documents, found := h.documents()
	var errs []error
	now := map[string]bool{}
	for _, d := range documents {
		now[d.Topic] = true
		if !everything && bytes.Equal(h.published[d.Topic], d.Payload) {
			continue
		}
		errs = append(errs, h.announce(d, found[d.Topic]))
	}
	for _, topic := range slices.Sorted(maps.Keys(h.remembers)) {
		if !now[topic] && !h.mayReturn(topic) {
			errs = append(errs, h.takeBack(topic))
		}
	}
	return errors.Join(errs...)
}

// mayReturn tells whether a document is one of a sensor that was found before the restart, and may be found again.
func (h *home) mayReturn(topic string) bool {
	was := h.remembers[topic]
	return h.on && was.Found && h.published[topic] == nil && (!h.sought() || time.Since(h.began) < foundAgainWithin)
}

func (h *home) announce(d discovery.Document, found bool) error {
	m := memory{Parts: d.Parts, Found: found}
	if was, known := h.remembers[d.Topic]; !known || !maps.Equal(was.Parts, m.Parts) || was.Found != m.Found {
		value, err := json.Marshal(m)
		if err == nil {
			err = h.keep.Put(keyHome+d.Topic, value)
		}
		if err != nil {
			return fmt.Errorf("remember %s: %w", d.Topic, err)
		}
		h.remembers[d.Topic] = m
	}
	if err := h.publish(d.Topic, d.Payload); err != nil {
		return err
	}
	h.published[d.Topic] = d.Payload
	return nil
}

func (h *home) takeBack(topic string) error {
	if err := h.publish(topic, nil); err != nil {
		return err
	}
	h.keep.Delete(keyHome + topic)
	delete(h.remembers, topic)
	delete(h.published, topic)
	h.log.Info("taken back from Home Assistant", "topic", topic)
	return nil
}

// newHome makes what tells Home Assistant, or takes back what it was told when that was switched on.
func (g *Gateway) newHome() *home {
	c := g.cfg.HomeAssistant
	h := &home{
		on: c.Discovery, keep: g.store.journal, log: g.log, began: time.Now(),
		gateway: discovery.Gateway{Prefix: c.Prefix, ID: g.cfg.Gateway.ID, Version: g.o.Version},
		sought:  g.hasSought, publish: g.retainer(),
		sensors: func() (all []announced) {
			for _, s := range g.all() {
				all = append(all, s.announced())
			}
			return all
		},
	}
	for _, name := range slices.Sorted(maps.Keys(g.cfg.Bridge)) {
		h.gateway.Links = append(h.gateway.Links, name)
		if g.cfg.Bridge[name].Profile == "home-assistant" {
			h.gateway.Through = append(h.gateway.Through, name)
		}
	}
	h.recall()
	return h
}

// tellHome keeps Home Assistant told until ctx ends, and then says that the gateway is going.
func (g *Gateway) tellHome(ctx context.Context) error {
	h := g.newHome()
	if !h.busy() {
		return nil
	}
	born, stop, err := g.births()
	if err != nil {
		return err
	}
	defer stop()
	say := func(payload string) error { return h.publish(h.gateway.StatusTopic(), []byte(payload)) }
	var first error
	if h.on {
		first = say("online")
	} else {
		first = say("")
	}
	tick := time.NewTicker(g.o.looksEvery())
	defer tick.Stop()
	failed := ""
	for everything := false; ; {
		if err := errors.Join(first, h.look(everything)); err == nil {
			first, failed = nil, ""
		} else if failed != err.Error() {
			failed = err.Error()
			g.log.Warn("Home Assistant cannot be told of everything", "err", err)
		}
		if !h.busy() {
			return nil
		}
		everything = false
		select {
		case <-ctx.Done():
			if h.on {
				if err := say("offline"); err != nil {
					g.log.Warn("Home Assistant is not told that the gateway stops", "err", err)
				}
			}
			return nil
		case <-born:
			everything = true
		case <-tick.C:
		}
	}
}

// births tells of each start of Home Assistant.
func (g *Gateway) births() (born <-chan struct{}, stop func(), err error) {
	f, err := topic.ParseFilter(discovery.Birth(g.cfg.HomeAssistant.Prefix))
	if err != nil {
		return nil, nil, fmt.Errorf("home_assistant.prefix: %w", err)
	}
	all := make(chan struct{}, 1)
	stop = g.broker.Watch(f, func(m *message.Message) {
		if string(m.Payload) != "online" {
			return
		}
		select {
		case all <- struct{}{}:
		default:
		}
	})
	return all, stop, nil
}

// outdoors is the most a sensor for the pressure of the air measures, in Pa; one for pipes measures more.
const outdoors = 130_000

// quantitiesOf are what a configured sensor delivers, computed quantities too, as it is published.
func quantitiesOf(c *config.Sensor, d *sensors.Driver) (all []discovery.Quantity) {
	for _, m := range d.Delivers(c.Settings) {
		q := quantityOf(c, m.Quantity, m.Unit, m.Publish)
		q.Outdoors = m.Unit.Base() == sensors.Pascal && m.Max > 0 && m.Max <= outdoors
		all = append(all, q)
	}
	for _, what := range c.Derive {
		q := quantityOf(c, what, sensors.Derive(what).Unit, "")
		q.Outdoors = what == sensors.SeaLevelPressure
		all = append(all, q)
	}
	return all
}

// quantityOf is one quantity as it is published: its readings are in unit, and shown otherwise if the device wants that.
func quantityOf(c *config.Sensor, what sensors.Quantity, unit, shown sensors.Unit) discovery.Quantity {
	if shown == "" {
		shown = unit.Shown()
	}
	q := discovery.Quantity{Name: string(what), Topic: c.TopicOf(what), Unit: config.Own(c, c.Units, what, shown), Every: silence(c, what)}
	format, name := formatOf(c.Format), c.NameOf(what)
	if format == asSenML {
		q.Unit = unit.Base()
	}
	switch together := q.Topic == ""; {
	case together && format == asSenML:
		q.Topic, q.Template = string(c.Object), discovery.RecordOf(senmlName(name, c.BaseName == ""))
	case together:
		q.Topic, q.Template = string(c.Object), discovery.Member(name)
	case format == asSenML:
		q.Template = discovery.Record
	case format == asJSON:
		q.Template = discovery.Value
	}
	return q
}

// silence is how long a quantity of a sensor that works may say nothing; below 0: for ever, as only changes are published.
func silence(c *config.Sensor, q sensors.Quantity) time.Duration {
	longest := max(c.Every, config.Of(c.PublishEvery, q, 0), config.Of(c.MinInterval, q, 0))
	heartbeat := config.Of(c.Heartbeat, q, 0)
	switch {
	case config.Own(c, c.Deadband, q, 0) == 0 && config.Of(c.DeadbandPercent, q, 0) == 0:
		return longest
	case heartbeat == 0:
		return -1
	}
	return max(longest, heartbeat)
}

// announced is what Home Assistant is to know of the sensor: what it is said to deliver, and what it has delivered besides.
func (s *sampler) announced() announced {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := announced{found: s.found}
	a.Name, a.Model, a.StateTopic, a.Every = s.name, s.chip, s.stateTopic, s.every
	if a.Model == "" {
		a.Model = s.driver
	}
	a.Quantities = slices.Clone(s.delivers)
	for _, o := range s.current {
		if len(o.text) == 0 || slices.ContainsFunc(a.Quantities, func(q discovery.Quantity) bool { return q.Name == string(o.quantity) }) {
			continue
		}
		a.Quantities = append(a.Quantities, quantityOf(s.judge.c, o.quantity, o.unit, o.unit))
	}
	return a
}
