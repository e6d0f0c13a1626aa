package gateway

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/broker"
	"weir/broker/message"
	"weir/broker/packet"
	"weir/broker/topic"
	"weir/broker/transport"
	"weir/buffer"
	"weir/gateway/journal"
)

// card is a directory of this machine whose syncs take longer, as on a memory card. It is a simulation: a real card has
// syncs of varying length, and a cache that fills.
type card struct {
	buffer.FS
	sync time.Duration
}

func (c card) Create(name string) (buffer.File, error) { return c.file(c.FS.Create(name)) }
func (c card) Open(name string, write bool) (buffer.File, error) {
	return c.file(c.FS.Open(name, write))
}

func (c card) file(f buffer.File, err error) (buffer.File, error) {
	if err != nil {
		return nil, err
	}
	return cardFile{f, c.sync}, nil
}

type cardFile struct {
	buffer.File
	sync time.Duration
}

// Sync waits instead of syncing: what the disk of this machine adds is not measured.
func (f cardFile) Sync() error {
	time.Sleep(f.sync)
	return nil
}

// cardHouse is a broker with a journal on a card, and an upstream that is away, so that each message must be written.
type cardHouse struct {
	address string
	journal *journal.Journal
	stop    func()
}

func newCardHouse(b *testing.B, sync time.Duration) *cardHouse {
	b.Helper()
	dir := b.TempDir()
	pace := journal.DefaultPace
	pace.FlashBudget = 1 << 40
	j, err := journal.Open(journal.Config{Pace: pace, Buffer: buffer.Options{Dir: dir, FS: card{buffer.DirFS(dir), sync}, MaxSize: 256 << 20}})
	if err != nil {
		b.Fatal(err)
	}
	source, err := j.Source("cloud")
	if err != nil {
		b.Fatal(err)
	}
	l, err := transport.Listen(transport.Options{Name: "card", Address: "127.0.0.1:0"})
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	br := broker.New(broker.Config{}, j, func() message.Stamp { return message.Stamp{Boot: 1, Since: time.Since(start)} }, slog.New(slog.DiscardHandler))
	filter, err := topic.ParseFilter("up/#")
	if err != nil {
		b.Fatal(err)
	}
	br.SetRoutes([]broker.Route{{Upstream: source.ID(), Rule: 1, Filter: filter}})
	ctx, cancel := context.WithCancel(context.Background())
	var work waits
	work.Go(func() { _ = j.Run(ctx, br.Notify) })
	work.Go(func() { _ = br.Run(ctx, l) })
	return &cardHouse{address: l.Addr().String(), journal: j, stop: func() {
		cancel()
		work.Wait()
		if err := j.Close(); err != nil {
			b.Error(err)
		}
	}}
}

type waits = sync.WaitGroup

// sender publishes at QoS 1 over a connection of its own: with a window, or steadily whatever is acknowledged.
type sender struct {
	nc      net.Conn
	window  int
	steady  time.Duration // between two messages; 0: as the window allows
	stopped *atomic.Bool
	sent    [1 << 16]time.Time // by packet id
	free    chan uint16        // ids that may be used
	took    []time.Duration
}

func newSender(b *testing.B, address, id string, window int, steady time.Duration, stopped *atomic.Bool) *sender {
	b.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	hello, err := (&packet.Connect{CleanStart: true, ClientID: []byte(id)}).Append(nil, packet.V311)
	if err != nil {
		b.Fatal(err)
	}
	var answer [4]byte
	if _, err := nc.Write(hello); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(nc, answer[:]); err != nil || answer[3] != 0 {
		b.Fatalf("CONNACK % x, %v", answer, err)
	}
	if window == 0 {
		window = 60_000
	}
	s := &sender{nc: nc, window: window, steady: steady, stopped: stopped, free: make(chan uint16, window)}
	for id := range window {
		s.free <- uint16(id + 1)
	}
	return s
}

// write publishes until stopped, then waits for what is owed.
func (s *sender) write() error {
	payload := []byte(`{"time":"2026-11-22T14:02:11.250Z","value":21.53,"unit":"°C","quality":"good"}`)
	next := time.Now()
	var out []byte
	for !s.stopped.Load() {
		out = out[:0]
		for id := range s.ids() {
			var err error
			p := packet.Publish{QoS: 1, ID: id, Topic: []byte("up/Home/Floor1/Room1/Temperature"), Payload: payload}
			if out, err = p.Append(out, packet.V311); err != nil {
				return err
			}
			s.sent[id] = time.Now()
		}
		if _, err := s.nc.Write(out); err != nil {
			return err
		}
		if s.steady > 0 {
			next = next.Add(s.steady)
			time.Sleep(time.Until(next))
		}
	}
	for range s.window {
		<-s.free
	}
	return s.nc.Close()
}

// ids gives the ids that may be used now: one for a steady sender, all that are free otherwise, at least one.
func (s *sender) ids() func(yield func(uint16) bool) {
	return func(yield func(uint16) bool) {
		more := yield(<-s.free)
		for more && s.steady == 0 {
			select {
			case id := <-s.free:
				more = yield(id)
			default:
				more = false
			}
		}
	}
}

// read takes PUBACKs until the connection is closed.
func (s *sender) read() {
	var buf [4096]byte
	have := 0
	for {
		n, err := s.nc.Read(buf[have:])
		if err != nil {
			return
		}
		have += n
		at := 0
		for ; have-at >= 4; at += 4 {
			id := uint16(buf[at+2])<<8 | uint16(buf[at+3])
			s.took = append(s.took, time.Since(s.sent[id]))
			s.free <- id
		}
		have = copy(buf[:], buf[at:have])
	}
}

// BenchmarkAcknowledgement measures what a publisher waits for its PUBACK while the upstream is away, on a simulated card,
// in real time: -benchtime 5s. What it prints for one message (ns/op) means nothing.
func BenchmarkAcknowledgement(b *testing.B) {
	for _, sync := range []time.Duration{0, 5 * time.Millisecond, 20 * time.Millisecond} {
		for _, load := range []struct {
			publishers, window int
			steady             time.Duration
		}{{1, 1, 0}, {1, 20, 0}, {20, 1, 0}, {20, 20, 0}, {1, 0, time.Millisecond}} {
			name := fmt.Sprintf("sync=%v/publishers=%d/window=%d", sync, load.publishers, load.window)
			if load.steady > 0 {
				name = fmt.Sprintf("sync=%v/publishers=%d/steady=%d", sync, load.publishers, time.Second/load.steady)
			}
			b.Run(name, func(b *testing.B) { acknowledgement(b, sync, load.publishers, load.window, load.steady) })
		}
	}
}

func acknowledgement(b *testing.B, sync time.Duration, publishers, window int, steady time.Duration) {
	h := newCardHouse(b, sync)
	defer h.stop()
	var stopped atomic.Bool
	var senders []*sender
	var writers, readers waits
	for i := range publishers {
		senders = append(senders, newSender(b, h.address, fmt.Sprint("p", i), window, steady, &stopped))
	}
	before, early := h.journal.Log().Stats().Commits, h.journal.Flash().Early
	for _, s := range senders {
		readers.Go(s.read)
		writers.Go(func() {
			if err := s.write(); err != nil {
				b.Error(err)
			}
		})
	}
	for b.Loop() {
		time.Sleep(time.Millisecond)
	}
	commits, earlies := h.journal.Log().Stats().Commits-before, h.journal.Flash().Early-early
	took := b.Elapsed().Seconds()
	stopped.Store(true)
	writers.Wait()
	readers.Wait()
	var all []time.Duration
	for _, s := range senders {
		all = append(all, s.took...)
	}
	slices.Sort(all)
	milliseconds := func(part float64) float64 {
		return float64(all[int(part*float64(len(all)-1))].Microseconds()) / 1000
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(len(all))/took, "messages/s")
	b.ReportMetric(milliseconds(0.5), "p50-ms")
	b.ReportMetric(milliseconds(0.99), "p99-ms")
	b.ReportMetric(float64(commits)/took, "commits/s")
	b.ReportMetric(float64(earlies)/took, "early/s")
}
