package transport

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestNoGoroutines: hundreds of idle connections have none, and no buffer.
func TestNoGoroutines(t *testing.T) { t.Run(polling, noGoroutines) }

func noGoroutines(t *testing.T) {
	l := listen(t)
	handlers, _ := serve(t, l, func() *echo { return &echo{piece: 2, waits: true} })
	const n = 300
	var all []*echo
	for range n {
		nc := dial(t, l)
		nc.Write([]byte("xy"))
		if _, err := io.ReadFull(nc, make([]byte, 2)); err != nil {
			t.Fatal(err)
		}
		all = append(all, <-handlers)
	}
	stacks := make([]byte, 8<<20)
	var ours int
	for limit := time.Now().Add(patience); time.Now().Before(limit); { // those that had a connection are about to end
		ours = strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "weir/broker/transport.(")
		if ours < 20 {
			break
		}
		runtime.Gosched()
	}
	if ours >= 20 {
		t.Errorf("%d frames of ours for %d idle connections", ours, n)
	}
	for _, e := range all {
		c := e.conn.driver
		e.conn.Shutdown() // its poller is through with it when it was told of the end
		<-e.closed
		if c.part != nil {
			t.Fatal("a connection that waits for nothing has a buffer")
		}
	}
}

// still makes a poller that does not run, with a connection to a socket pair.
func still(t *testing.T, e *echo) (*poller, *polled, *os.File) {
	t.Helper()
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	peer := os.NewFile(uintptr(pair[1]), "peer")
	s := &served{listener: &single{}, counts: new(tally)}
	c := newPolled(pair[0], nil, s, p)
	e.conn, e.closed = &c.Conn, make(chan error, 1)
	c.handler = e
	p.arrived(c)
	t.Cleanup(func() {
		if !c.gone {
			p.end(c, false, io.EOF)
		}
		s.running.Wait()
		p.close()
		peer.Close()
	})
	return p, c, peer
}

// TestPolledSize: there may be very many of them. 144 is a size of the allocator; the next one is 160.
func TestPolledSize(t *testing.T) {
	if n := unsafe.Sizeof(polled{}); n > 144 {
		t.Errorf("a connection has %d bytes, want 144 at most", n)
	}
}

// TestShare: one connection that floods has its share of each round, no more.
func TestShare(t *testing.T) {
	e := &echo{}
	p, c, peer := still(t, e)
	sent := 0
	for peer.SetWriteDeadline(time.Now().Add(10*time.Millisecond)) == nil {
		n, err := peer.Write(make([]byte, 8<<10))
		if sent += n; err != nil {
			break
		}
	}
	if sent < 2*turnBytes {
		t.Fatalf("the socket takes only %d bytes", sent)
	}
	for i := range p.wait() {
		p.event(&p.events[i])
	}
	if e.received == 0 || e.received > turnBytes {
		t.Errorf("%d bytes in the first round, want some and at most %d", e.received, turnBytes)
	}
	for i := 0; len(p.again) > 0; i++ {
		before := e.received
		p.turns()
		if e.received-before > turnBytes || i > 100 {
			t.Fatalf("round %d: %d bytes", i, e.received-before)
		}
	}
	if e.received != sent || c.queued {
		t.Errorf("%d bytes received, want %d; queued %t", e.received, sent, c.queued)
	}
}

// TestOldEvent: an event of a connection that is gone does not touch the one that has its place now.
func TestOldEvent(t *testing.T) {
	p, c, peer := still(t, &echo{})
	old := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLHUP, Fd: c.slot, Pad: c.generation}
	p.end(c, false, io.EOF)
	peer.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[1])
	young := newPolled(pair[0], nil, c.served, p)
	e := &echo{conn: &young.Conn, closed: make(chan error, 1)}
	young.handler = e
	p.arrived(young)
	if young.slot != c.slot {
		t.Fatalf("slot %d, want the one that is free again, %d", young.slot, c.slot)
	}
	unix.Write(pair[1], []byte("x"))
	p.event(&old)
	if e.received != 0 || young.hung {
		t.Error("the old event went to the new connection")
	}
	p.end(young, false, io.EOF)
}

// TestRest feeds units of random sizes in random pieces through the buffers: nothing is lost, and what is kept is no larger
// than it has to be.
func TestRest(t *testing.T) {
	p := &poller{scratch: make([]byte, 1<<10)}
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		c := &polled{}
		var sent, got []byte
		for unit := range 50 {
			size := 1 + random.IntN(1<<random.IntN(15))
			u := bytes.Repeat([]byte{byte(unit)}, size)
			sent = append(sent, u...)
			for len(u) > 0 {
				space := p.space(c)
				n := copy(space, u[:min(len(u), 1+random.IntN(len(space)))])
				u = u[n:]
				b := p.joined(c, n)
				if random.IntN(4) == 0 { // as for a goroutine
					p.own(c, b)
					b = c.part.rest
				}
				used := 0
				if len(u) == 0 {
					used = len(b)
				} else if random.IntN(8) == 0 {
					used = random.IntN(len(b))
				}
				got = append(got, b[:used]...)
				p.keep(c, b[used:])
				if left := len(b) - used; cap(c.waiting()) > max(spareSize, 8*left) && left > 0 {
					t.Fatalf("seed %d: a buffer of %d bytes for %d", seed, cap(c.waiting()), left)
				}
			}
		}
		if !bytes.Equal(sent, got) {
			t.Fatalf("seed %d: %d bytes came out of %d, or other ones", seed, len(got), len(sent))
		}
		if c.part != nil {
			t.Fatalf("seed %d: a buffer of %d bytes for nothing", seed, cap(c.waiting()))
		}
	}
}

// TestDeadlineHeap holds the heap against a search through all.
func TestDeadlineHeap(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 2))
		var d deadlines
		all := make([]*polled, 300)
		for i := range all {
			all[i] = &polled{}
		}
		set := map[*polled]int64{}
		for step := range 3000 {
			c := all[random.IntN(1+random.IntN(len(all)))]
			if random.IntN(3) == 0 {
				d.remove(c)
				delete(set, c)
			} else {
				at := random.Int64N(1000)
				d.set(c, at)
				set[c] = at
			}
			least, first := int64(1<<62), d.first()
			for _, at := range set {
				least = min(least, at)
			}
			if len(set) != len(d.heap) || first == nil != (len(set) == 0) || first != nil && (first.due != least || set[first] != least) {
				t.Fatalf("seed %d, step %d: the first is wrong, or %d are there, want %d", seed, step, len(d.heap), len(set))
			}
		}
	}
}

// TestPeerAddress: what is said of a peer is what package net says.
func TestPeerAddress(t *testing.T) { t.Run(polling, peerAddress) }

func peerAddress(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		l, err := Listen(Options{Address: address})
		if err != nil {
			fmt.Println("NOT RUN:", address, err) // a machine without IPv6
			continue
		}
		handlers, stop := serve(t, l, func() *echo { return &echo{} })
		nc := dial(t, l)
		e := <-handlers
		if got, want := e.conn.RemoteAddr().String(), nc.LocalAddr().String(); got != want {
			t.Errorf("listening on %s: peer %s, want %s", address, got, want)
		}
		nc.Close()
		<-e.closed
		stop()
	}
}
