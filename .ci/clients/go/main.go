// Command clients runs the basic flows of a broker through Eclipse Paho's clients for Go, one for each version of the
// protocol: every QoS, retained, will, a session with a queue, shared subscriptions. It prints a line for each flow and exits
// with 1 if one is wrong.
//
//	clients v3|v5 HOST:PORT
//	clients scram HOST:PORT USER PASSWORD: logs in with SCRAM-SHA-256, on 5.0
package main

import (
	"fmt"
	"os"
	"slices"
	"time"
)

// message is what a client received.
type message struct {
	topic, payload string
	qos            byte
	retained       bool
}

// client is what the flows need of a library.
type client interface {
	subscribe(filter string, qos byte) error
	publish(topic, payload string, qos byte, retain bool) error
	received() <-chan message
	leave()  // in order
	vanish() // without a word
}

// options of a connection.
type options struct {
	id   string
	keep bool // the session
	will string
}

type connect func(address string, o options) (client, error)

var connects = map[string]connect{"v3": connectV3, "v5": connectV5}

func main() {
	if len(os.Args) == 5 && os.Args[1] == "scram" {
		if err := scramLogin(os.Args[2], os.Args[3], os.Args[4]); err != nil {
			fmt.Printf("v5: SCRAM-SHA-256: WRONG: %v\n", err)
			os.Exit(1)
		}
		fmt.Println("v5: SCRAM-SHA-256, twice on one connection")
		return
	}
	if len(os.Args) != 3 || connects[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: clients v3|v5 HOST:PORT, or clients scram HOST:PORT USER PASSWORD")
		os.Exit(2)
	}
	f := flows{version: os.Args[1], address: os.Args[2], connect: connects[os.Args[1]]}
	for _, flow := range []struct {
		name string
		run  func() error
	}{
		{"every QoS", f.everyQoS}, {"retained", f.retained}, {"will", f.will}, {"session with a queue", f.queue}, {"shared subscription", f.shared},
	} {
		if err := flow.run(); err != nil {
			fmt.Printf("%s: %s: WRONG: %v\n", f.version, flow.name, err)
			f.bad = true
		} else {
			fmt.Printf("%s: %s\n", f.version, flow.name)
		}
	}
	if f.bad {
		os.Exit(1)
	}
}

type flows struct {
	version, address string
	connect          connect
	bad              bool
}

const patience = 10 * time.Second

// next wants a message.
func next(c client, want message) error {
	select {
	case got := <-c.received():
		if got != want {
			return fmt.Errorf("got %+v, want %+v", got, want)
		}
		return nil
	case <-time.After(patience):
		return fmt.Errorf("nothing came, want %+v", want)
	}
}

func (f *flows) everyQoS() error {
	c, err := f.connect(f.address, options{id: "clients-qos"})
	if err != nil {
		return err
	}
	defer c.leave()
	for granted := range byte(3) {
		filter := fmt.Sprintf("clients/%d/+", granted)
		if err := c.subscribe(filter, granted); err != nil {
			return err
		}
		for q := range byte(3) {
			for n := range 50 {
				topic, payload := fmt.Sprintf("clients/%d/%d", granted, q), fmt.Sprint(n)
				if err := c.publish(topic, payload, q, false); err != nil {
					return err
				}
				if err := next(c, message{topic, payload, min(q, granted), false}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (f *flows) retained() error {
	c, err := f.connect(f.address, options{id: "clients-retained"})
	if err != nil {
		return err
	}
	defer c.leave()
	if err := c.publish("clients/kept", "21.5", 1, true); err != nil {
		return err
	}
	if err := c.subscribe("clients/kept", 1); err != nil {
		return err
	}
	if err := next(c, message{"clients/kept", "21.5", 1, true}); err != nil {
		return err
	}
	return c.publish("clients/kept", "", 1, true)
}

func (f *flows) will() error {
	watch, err := f.connect(f.address, options{id: "clients-watch"})
	if err != nil {
		return err
	}
	defer watch.leave()
	if err := watch.subscribe("clients/will", 1); err != nil {
		return err
	}
	for _, lost := range []bool{false, true} {
		c, err := f.connect(f.address, options{id: "clients-doomed", will: "clients/will"})
		if err != nil {
			return err
		}
		if !lost {
			c.leave()
			continue
		}
		c.vanish()
	}
	return next(watch, message{"clients/will", "gone", 1, false})
}

func (f *flows) queue() error {
	pub, err := f.connect(f.address, options{id: "clients-pub"})
	if err != nil {
		return err
	}
	defer pub.leave()
	o := options{id: "clients-away", keep: true}
	c, err := f.connect(f.address, o)
	if err != nil {
		return err
	}
	if err := c.subscribe("clients/queue", 2); err != nil {
		return err
	}
	c.leave()
	var want []message
	for n := range 100 {
		q := byte(n%2 + 1)
		want = append(want, message{"clients/queue", fmt.Sprint(n), q, false})
		if err := pub.publish("clients/queue", fmt.Sprint(n), q, false); err != nil {
			return err
		}
	}
	if c, err = f.connect(f.address, o); err != nil {
		return err
	}
	defer c.leave()
	for _, m := range want {
		if err := next(c, m); err != nil {
			return err
		}
	}
	return nil
}

func (f *flows) shared() error {
	var all []client
	for i := range 3 {
		c, err := f.connect(f.address, options{id: fmt.Sprint("clients-member", i)})
		if err != nil {
			return err
		}
		defer c.leave()
		if err := c.subscribe("$share/clients/jobs/#", 1); err != nil {
			return err
		}
		all = append(all, c)
	}
	var got []string
	counts := make([]int, len(all))
	for n := range 90 {
		if err := all[0].publish("jobs/x", fmt.Sprintf("%02d", n), 1, false); err != nil {
			return err
		}
	}
	limit := time.After(patience)
	for len(got) < 90 {
		at := 0
		var m message
		select {
		case m = <-all[0].received():
		case m = <-all[1].received():
			at = 1
		case m = <-all[2].received():
			at = 2
		case <-limit:
			return fmt.Errorf("%d of 90 came", len(got))
		}
		got = append(got, m.payload)
		counts[at]++
	}
	slices.Sort(got)
	if n := len(slices.Compact(got)); n != 90 || slices.Min(counts) == 0 {
		return fmt.Errorf("%d different ones of 90, shared as %v", n, counts)
	}
	return nil
}
