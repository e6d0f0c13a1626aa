package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"weir/bridge"
	"weir/broker/message"
	"weir/broker/packet"
)

// remains are the retained messages of the gateway: the states of sensors and bridges, and the values of sensors where retain
// is set. Those of a sensor or bridge that was removed, renamed or moved to another topic would otherwise stay in the broker
// for ever and look alive. So each topic is kept in the store before it is used, and cleared when it is used no more.
//
//	left/TOPIC   (no value)
type remains struct {
	keep    keeper
	publish func(topic string, payload []byte) error // at QoS 1, retained
	topics  func() []string                          // those that are used now
	sought  func() bool                              // sensors that are found have been looked for
	log     *slog.Logger

	mu     sync.Mutex      // held by a look; guards the fields below
	known  map[string]bool // topics
	failed string          // what was told last
}

const keyLeft = "left/"

func (g *Gateway) newRemains() *remains {
	r := &remains{keep: g.store.journal, publish: g.retainer(), topics: g.retains, sought: g.hasSought, log: g.log, known: map[string]bool{}}
	r.keep.Range(keyLeft, func(key string, _ []byte) bool {
		r.known[key[len(keyLeft):]] = true
		return true
	})
	return r
}

// look remembers the topics that are used now and clears those that are no more. Before it is known which sensors are
// found, nothing is cleared. A sensor that is found runs only after a look since it was added: so what it publishes is
// remembered, and not cleared by a look that began before.
func (r *remains) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	sought := r.sought() // asked first: a sensor that is found after it is among those there are
	now := map[string]bool{}
	for _, topic := range r.topics() {
		now[topic] = true
	}
	var errs []error
	for _, topic := range slices.Sorted(maps.Keys(now)) {
		if !r.known[topic] {
			errs = append(errs, r.remember(topic))
		}
	}
	for _, topic := range slices.Sorted(maps.Keys(r.known)) {
		if sought && !now[topic] {
			errs = append(errs, r.clear(topic))
		}
	}
	err := errors.Join(errs...)
	if failed := fmt.Sprint(err); err != nil && failed != r.failed {
		r.failed = failed
		r.log.Warn("not all that is left retained is known, or cleared when it is used no more", "err", err)
	}
}

func (r *remains) remember(topic string) error {
	if err := r.keep.Put(keyLeft+topic, nil); err != nil {
		return fmt.Errorf("remember that %s is retained: %w", topic, err)
	}
	r.known[topic] = true
	return nil
}

func (r *remains) clear(topic string) error {
	if err := r.publish(topic, nil); err != nil {
		return fmt.Errorf("clear %s: %w", topic, err)
	}
	r.keep.Delete(keyLeft + topic)
	delete(r.known, topic)
	r.log.Info("cleared what was left retained at a topic that is used no more", "topic", topic)
	return nil
}

// clearRemains looks again and again until ctx ends.
func (g *Gateway) clearRemains(ctx context.Context) error {
	tick := time.NewTicker(g.o.looksEvery())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			g.remains.look()
		}
	}
}

// retains are all topics at which something is retained, or may be.
func (g *Gateway) retains() (topics []string) {
	for _, s := range g.all() {
		topics = append(topics, s.retains()...)
	}
	for name := range g.cfg.Bridge {
		topics = append(topics, bridge.StateTopic(g.cfg.Gateway.ID, name))
	}
	return topics
}

// retains are the topics at which the sensor has something retained, or may have: its state, and its values where that is set.
func (s *sampler) retains() []string {
	topics := []string{s.stateTopic}
	if !s.judge.c.Retain {
		return topics
	}
	for _, q := range s.announced().Quantities {
		if q.Topic != "" && !slices.Contains(topics, q.Topic) { // several share that of an object
			topics = append(topics, q.Topic)
		}
	}
	return topics
}

// hasSought tells whether all sensors there are have been found.
func (g *Gateway) hasSought() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sought || !g.cfg.Sensors.Auto
}

// retainer publishes retained messages of the gateway itself.
func (g *Gateway) retainer() func(topic string, payload []byte) error {
	out := g.broker.NewPublisher("", nil)
	return func(topic string, payload []byte) error {
		return out.Publish([]message.Message{{Stamp: g.clock.Now(), Publish: packet.Publish{QoS: 1, Retain: true, Topic: []byte(topic), Payload: payload}}})
	}
}
