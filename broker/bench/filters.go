package bench

import (
	"fmt"
	"time"

	"weir/broker/packet"
)

// Of the many filters: how many connections have them, how many stand in one SUBSCRIBE, and how many SUBSCRIBEs of a
// connection are not answered at a time.
const (
	filterConns     = 10
	filtersInPacket = 100
	filterPackets   = 8
)

// filterNumber is the i-th of many filters. All have wildcards: a third + in the middle, a third # at the end, a third both.
func filterNumber(i int) string {
	switch i % 3 {
	case 0:
		return fmt.Sprintf("bench/filters/+/a%d/value", i)
	case 1:
		return fmt.Sprintf("bench/filters/s%d/a%d/#", i%100, i)
	}
	return fmt.Sprintf("bench/filters/+/a%d/+/#", i)
}

// filters is one flow whose topic matches one filter, before and after there are many others.
func filters(r *run) error {
	f, err := r.newFlow(0, []string{"bench/filters/+/probe/value"}, []string{"bench/filters/s7/probe/value"})
	if err != nil {
		return err
	}
	if err := f.measure(); err != nil {
		return err
	}
	before := f.figures
	if err := r.addFilters(); err != nil {
		return err
	}
	if err := f.measure(); err != nil {
		return err
	}
	after := f.figures
	r.say("rate_before", "messages/s", before.rate)
	r.say("rate_after", "messages/s", after.rate)
	r.sayIf(before.cpuKnown, "cpu_before", "µs/message", before.cpu)
	r.sayIf(after.cpuKnown, "cpu_after", "µs/message", after.cpu)
	r.sayIf(before.cpuKnown && after.cpuKnown, "growth", "%", 100*(after.cpu/before.cpu-1))
	r.say("lost", "messages", float64(after.lost))
	return after.broken(0)
}

// addFilters subscribes to all of them, and says what they cost.
func (r *run) addFilters() error {
	n := r.o.Size.Filters
	conns := make([]*conn, min(n, filterConns))
	for i := range conns {
		c, err := r.dial(fmt.Sprintf("bench-filters%d", i))
		if err != nil {
			return plain(err)
		}
		conns[i] = c
	}
	if err := r.rest(r.o.Size.Settle); err != nil {
		return err
	}
	size, sizeKnown := residentOf(r.process.PID)
	began := time.Now()
	err := r.each(len(conns), len(conns), func(i int) error {
		return conns[i].subscribeMany(n*i/len(conns), n*(i+1)/len(conns))
	})
	if err != nil {
		return err
	}
	r.say("rate", "filters/s", float64(n)/time.Since(began).Seconds())
	if err := r.rest(r.o.Size.Settle); err != nil {
		return err
	}
	grown, grownKnown := residentOf(r.process.PID)
	r.sayIf(sizeKnown && grownKnown, "resident", "bytes/filter", float64(grown-size)/float64(n))
	return nil
}

// subscribeMany subscribes to the filters from one number up to another, some packets ahead of the answers.
func (c *conn) subscribeMany(from, to int) error {
	var asked []int // filters in each packet that is not answered
	for id := uint16(1); from < to || len(asked) > 0; {
		for from < to && len(asked) < filterPackets {
			p := packet.Subscribe{ID: id}
			for ; from < to && len(p.Filters) < filtersInPacket; from++ {
				p.Filters = append(p.Filters, packet.Subscription{Filter: []byte(filterNumber(from))})
			}
			var err error
			if c.out, err = p.Append(c.out, c.r.o.Version); err != nil {
				return err
			}
			asked = append(asked, len(p.Filters))
			id = id%65_535 + 1
		}
		if err := c.flush(); err != nil {
			return err
		}
		first, body, err := c.next()
		if err != nil {
			return err
		}
		if t := packet.Type(first >> 4); t != packet.TypeSuback {
			return c.unexpected(t, body)
		}
		if err := c.granted(body, asked[0], 0); err != nil {
			return fmt.Errorf("SUBSCRIBE: %w", err)
		}
		asked = asked[1:]
	}
	return nil
}
