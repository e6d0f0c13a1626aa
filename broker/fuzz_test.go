package broker

import (
	"context"
	"testing"
	"time"

	"weir/broker/packet"
)

// FuzzConnection feeds random bytes to connections: the first is CONNECT and what follows as it is, the second has a good
// CONNECT before it. Nothing panics, hangs, or is left behind.
func FuzzConnection(f *testing.F) {
	add := func(all ...appender) {
		for _, v := range versions {
			var b []byte
			for _, p := range all {
				if c, err := p.Append(b, v); err == nil {
					b = c
				}
			}
			f.Add(b, v == packet.V5)
		}
	}
	connect := &packet.Connect{CleanStart: true, ClientID: []byte("c")}
	filters := []packet.Subscription{{Filter: []byte("#"), QoS: 2}, {Filter: []byte("$share/g/x/+"), QoS: 1}}
	aliased := message1("up/x", "y", 0, 0)
	aliased.Props.SetTopicAlias(1)
	add(connect)
	add(message1("up/x", "y", 2, 1), message1("x", "y", 1, 2), &packet.Ack{Type: packet.TypePubrel, ID: 1})
	add(&packet.Subscribe{ID: 1, Filters: filters}, retainedMessage("up/x", "y", 2, 7), &packet.Ack{Type: packet.TypePuback, ID: 1},
		&packet.Ack{Type: packet.TypePubrec, ID: 2}, &packet.Ack{Type: packet.TypePubcomp, ID: 2})
	add(aliased, &packet.Unsubscribe{ID: 2, Filters: [][]byte{[]byte("#")}}, &packet.Pingreq{}, &packet.Disconnect{})
	add(&packet.Connect{ClientID: []byte("w"), HasWill: true, Will: packet.Will{QoS: 1, Retain: true, Topic: []byte("up/w"), Payload: []byte("p")}})
	f.Fuzz(func(t *testing.T, data []byte, five bool) {
		m := newMemory()
		j := newJournal()
		j.auto = len(data)%2 == 0
		b := New(Config{MaxPacket: 64 << 10, AllowanceBytes: 4 << 10, QueueMessages: 8, Inflight: 3}, j, stampNow, quietLog())
		j.b, j.room = b, len(data)%7
		b.SetRoutes([]Route{{Upstream: 1, Rule: 1, Filter: mustFilter(t, "up/#")}})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx, m) }()
		v := packet.V311
		if five {
			v = packet.V5
		}
		feed := func(head appender) {
			nc := m.dial(1 << 20)
			defer nc.Close()
			nc.SetDeadline(time.Now().Add(patience))
			var stream []byte
			if head != nil {
				stream, _ = head.Append(nil, v)
			}
			stream = append(stream, data...)
			closed := make(chan error, 1)
			go func() { // what comes back must be packets
				var got []byte
				part := make([]byte, 4096)
				for {
					n, err := nc.Read(part)
					got = append(got, part[:n]...)
					if err != nil {
						closed <- wellFormed(got)
						return
					}
				}
			}()
			nc.Write(stream)
			j.makeRoom(1)
			bye, _ := (&packet.Disconnect{}).Append(nil, v)
			nc.Write(bye)
			nc.Close()
			if err := <-closed; err != nil {
				t.Error(err)
			}
		}
		feed(nil)
		feed(connect)
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Fatal("the broker does not stop")
		}
		if s := b.Stats(); s.Connections != 0 || s.Sessions != 0 || s.Owed != 0 && s.WaitingBytes != 0 || s.Subscriptions != 0 {
			t.Errorf("left behind: %+v", s)
		}
	})
}

// wellFormed tells whether b is a sequence of packets; the last one may be cut off.
func wellFormed(b []byte) error {
	for len(b) > 0 {
		_, n, err := packet.Next(b, 0)
		if err != nil || n == 0 {
			return err
		}
		b = b[n:]
	}
	return nil
}
