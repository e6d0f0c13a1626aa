package broker

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"weir/broker/packet"
	"weir/broker/transport"
)

// page is what was logged. Safe for concurrent use.
type page struct {
	mu   sync.Mutex // guards the field below
	text bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *page) lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Split(p.text.String(), "\n")
}

// TestLogIsTerse: whoever connects can choose names of 64 KiB, and does not fill the log with them, logged in or not.
func TestLogIsTerse(t *testing.T) {
	l, err := transport.Listen(transport.Options{Name: "test", Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	var log page
	h := &house{t: t, journal: newJournal(), address: l.Addr().String(), log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	long := strings.Repeat("\x7f", 60_000) // a byte of it takes four when it is quoted
	h.run(Config{Users: users{"pump": "secret"}, Rights: grants{}.of}, l)
	c := h.dial(packet.V5)
	if a := c.connect(long, as(long), func(p *packet.Connect) { p.HasPassword, p.Password = true, []byte("x") }); a.Reason != packet.BadUserNameOrPassword {
		t.Errorf("CONNACK %s", a.Reason)
	}
	c = h.dial(packet.V5)
	if a := c.connect(long, as("pump"), func(p *packet.Connect) { p.HasPassword, p.Password = true, []byte("secret") }); a.Reason != packet.Success {
		t.Errorf("CONNACK %s", a.Reason)
	}
	c.publish("no/right", "x", 0, 0)
	c.subscribe(0, "no/right")
	c.write([]byte{0xF1, 0x00})
	said := func(sentence string) bool {
		for _, line := range log.lines() {
			if strings.Contains(line, sentence) {
				return true
			}
		}
		return false
	}
	for _, sentence := range []string{"client refused", "not allowed to publish", "not allowed to subscribe", "client disconnected because", "client connected", "client gone"} {
		h.until(func() bool { return said(sentence) })
	}
	for _, line := range log.lines() {
		if len(line) > 5000 {
			t.Errorf("a line of %d bytes: %.100s", len(line), line)
		}
		if strings.Contains(line, "client refused") && !strings.Contains(line, "bytes)") {
			t.Errorf("it is not told how long it was: %.600s", line)
		}
	}
}
