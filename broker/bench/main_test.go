package bench

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"weir/broker"
	"weir/broker/leak"
	"weir/broker/message"
	"weir/broker/packet"
	"weir/broker/transport"
)

// childRole is the variable that makes the test program a broker: see TestMain.
const childRole = "WEIR_BENCH_TEST_ROLE"

// TestMain is the program that tests start as a broker, too: with childRole "bare" it serves Bare on the address in its last argument, and
// with "die" it fails. It fails if any goroutine of ours is left when all tests have ended.
func TestMain(m *testing.M) {
	switch os.Getenv(childRole) {
	case "bare":
		l, err := net.Listen("tcp", os.Args[len(os.Args)-1])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(l.Addr())
		if err := Bare(context.Background(), l); err != nil {
			os.Exit(1)
		}
		return
	case "die":
		fmt.Fprintln(os.Stderr, "no licence")
		os.Exit(3)
	}
	os.Exit(leak.Code(m.Run(), "weir/broker"))
}

// tiny is a size at which every scenario is over in a moment.
func tiny() Size {
	return Size{Payload: 64, Publishers: 3, Subscribers: 4, Window: 5, Ahead: 60, AheadQueued: 60, Rate: 500, Idle: 20, Filters: 250,
		Retained: 300, For: 50 * time.Millisecond, EmptyFor: 20 * time.Millisecond, WarmUp: 10 * time.Millisecond,
		Settle: 10 * time.Millisecond, Patience: 20 * time.Second}
}

// keepNothing is a journal nobody needs: there are no routes.
type keepNothing struct{}

func (keepNothing) Append(batch []broker.Entry) (uint64, int) { return 1, len(batch) }
func (keepNothing) Settled(uint64) bool                       { return true }

// serveBroker runs weir's broker, and gives its URL.
func serveBroker(t *testing.T) string {
	t.Helper()
	l, err := transport.Listen(transport.Options{Name: "test", Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	stamp := func() message.Stamp { return message.Stamp{Boot: 1, Since: time.Since(began)} }
	b := broker.New(broker.Config{}, keepNothing{}, stamp, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return "mqtt://" + l.Addr().String()
}

// serveBare runs Bare, and gives its address.
func serveBare(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Bare(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Bare: %v", err)
		}
	})
	return l.Addr().String()
}

// runOne runs scenarios and wants a result of each.
func runOne(t *testing.T, o Options) *Report {
	t.Helper()
	told := 0
	report, err := Run(t.Context(), o, func(Result) { told++ })
	if err != nil {
		t.Fatal(err)
	}
	if told != len(report.Results) {
		t.Errorf("told %d results, want %d", told, len(report.Results))
	}
	return report
}

// each runs f for both versions of the protocol.
func each(t *testing.T, f func(t *testing.T, v packet.Version)) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		t.Run(v.String(), func(t *testing.T) { f(t, v) })
	}
}
