package bench

import (
	"fmt"
	"time"

	"weir/broker/packet"
)

// empty is a broker without connections. One was there before, if only to see that it answers.
func empty(r *run) error {
	c, err := r.dial("bench-empty")
	if err != nil {
		return plain(err)
	}
	r.forget(c)
	if err := r.rest(r.o.Size.Settle); err != nil {
		return err
	}
	size, sizeKnown := residentOf(r.process.PID)
	began := time.Now()
	before, beforeKnown := cpuOf(r.process.PID)
	if err := r.rest(r.o.Size.EmptyFor); err != nil {
		return err
	}
	after, afterKnown := cpuOf(r.process.PID)
	r.sayIf(sizeKnown, "resident", "bytes", float64(size))
	r.sayIf(beforeKnown && afterKnown, "cpu", "% of a core", 100*float64(after-before)/float64(time.Since(began)))
	r.sayIf(r.ready > 0, "ready", "ms", float64(r.ready)/float64(time.Millisecond)) // only of a broker that was started here
	return nil
}

// connectAtOnce is how many connections are opened at the same time.
const connectAtOnce = 16

// idle is connections that do nothing.
func idle(r *run) error {
	n := r.o.Size.Idle
	if _, err := r.dial("bench-idle"); err != nil { // the broker has everything that the first connection needs
		return plain(err)
	}
	if err := r.rest(r.o.Size.Settle); err != nil {
		return err
	}
	before, beforeKnown := residentOf(r.process.PID)
	began := time.Now()
	conns := make([]*conn, n)
	err := r.each(n, connectAtOnce, func(i int) error {
		c, err := r.dial(fmt.Sprintf("bench-idle%d", i))
		if err == nil {
			err = c.subscribe(fmt.Sprintf("bench/idle/%d", i), 0)
		}
		if err != nil {
			return fmt.Errorf("connection %d: %w", i+1, plain(err))
		}
		conns[i] = c
		return nil
	})
	if err != nil {
		return err
	}
	r.say("rate", "connections/s", float64(n)/time.Since(began).Seconds())
	if err := r.rest(r.o.Size.Settle); err != nil {
		return err
	}
	after, afterKnown := residentOf(r.process.PID)
	r.sayIf(beforeKnown && afterKnown, "resident", "bytes/connection", float64(after-before)/float64(n))
	return r.each(n, connectAtOnce, func(i int) error {
		if err := conns[i].ping(); err != nil {
			return fmt.Errorf("connection %d: %w", i+1, plain(err))
		}
		return nil
	})
}

// pingreq is a whole packet.
type pingreq struct{}

// Append adds it.
func (pingreq) Append(dst []byte, _ packet.Version) ([]byte, error) {
	return append(dst, byte(packet.TypePingreq)<<4, 0), nil
}

// ping sees whether the broker still answers on a connection.
func (c *conn) ping() error {
	_, err := c.ask(pingreq{}, packet.TypePingresp)
	return err
}
