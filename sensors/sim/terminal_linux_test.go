package sim

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// openSlave opens the program's end of a terminal.
func openSlave(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if err := f.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return f
}

// serve serves an instrument on a new terminal until the test ends.
func serve(t *testing.T, i Instrument) *Terminal {
	t.Helper()
	terminal, err := OpenTerminal(filepath.Join(t.TempDir(), "usb-adapter"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- terminal.Serve(ctx, i) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := terminal.Close(); err != nil {
			t.Error(err)
		}
	})
	return terminal
}

func TestTerminalUnplugAndPlug(t *testing.T) {
	l := NewLine(Steady(room))
	l.Poll = "?"
	terminal := serve(t, l)
	askLine := func(f *os.File) {
		t.Helper()
		if _, err := f.Write([]byte("?")); err != nil {
			t.Fatal(err)
		}
		if got, err := bufio.NewReader(f).ReadString('\n'); err != nil || got != "T=21.50 P=1013.25 H=45.0\r\n" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	first := terminal.Path()
	f := openSlave(t, terminal.Link())
	askLine(f)

	if err := terminal.Unplug(); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Read(make([]byte, 1)); !errors.Is(err, syscall.EIO) && !errors.Is(err, io.EOF) {
		t.Errorf("read from an unplugged terminal: %d, %v", n, err)
	}
	if _, err := f.Write([]byte("?")); !errors.Is(err, syscall.EIO) {
		t.Errorf("write to an unplugged terminal: %v", err)
	}
	if _, err := os.Lstat(terminal.Link()); !os.IsNotExist(err) {
		t.Errorf("link of an unplugged terminal: %v", err)
	}
	if err := terminal.Unplug(); err != nil {
		t.Errorf("second Unplug: %v", err)
	}

	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := terminal.Plug(); err != nil {
			t.Fatal(err)
		}
		if got := terminal.Path(); got == first {
			t.Errorf("back as %s again, want another name", got)
		}
		first = terminal.Path()
		if target, err := os.Readlink(terminal.Link()); err != nil || target != terminal.Path() {
			t.Errorf("link leads to %s, %v, want %s", target, err, terminal.Path())
		}
		again := openSlave(t, terminal.Link())
		askLine(again)
		_ = again.Close()
		if err := terminal.Unplug(); err != nil {
			t.Fatal(err)
		}
	}
}

// A line that nobody reads is lost and holds nothing up.
func TestTerminalWithoutReader(t *testing.T) {
	terminal, err := OpenTerminal("")
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	start, block := time.Now(), make([]byte, 4096)
	for range 6 {
		if n, err := terminal.port.Write(block); err != nil || n != len(block) {
			t.Fatalf("%d, %v", n, err)
		}
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("24 KiB that nobody reads took %v", took)
	}
}

// Nothing is echoed and nothing is edited, even before the program sets the line up.
func TestTerminalIsRaw(t *testing.T) {
	terminal, err := OpenTerminal("")
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	if _, err := terminal.port.Write(all); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(all))
	f := openSlave(t, terminal.Path())
	if _, err := io.ReadFull(f, got); err != nil || string(got) != string(all) {
		t.Errorf("% x, %v, want all 256 bytes", got, err)
	}
	if err := terminal.port.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := terminal.port.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes came back, %v", n, err)
	}
}

type failing struct{}

func (failing) Run(context.Context, io.ReadWriter) error { return errors.New("burnt out") }

func TestServeReturnsTheInstrumentsError(t *testing.T) {
	terminal, err := OpenTerminal(filepath.Join(t.TempDir(), "link"))
	if err != nil {
		t.Fatal(err)
	}
	if err := terminal.Serve(t.Context(), failing{}); err == nil || err.Error() != "burnt out" {
		t.Errorf("got %v", err)
	}
	if err := terminal.Close(); err != nil {
		t.Error(err)
	}
	if err := terminal.Plug(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Plug after Close: %v", err)
	}
	if err := terminal.Serve(t.Context(), failing{}); err != nil {
		t.Errorf("Serve after Close: %v", err)
	}
}

func TestServeEndsWithClose(t *testing.T) {
	terminal, err := OpenTerminal("")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- terminal.Serve(context.Background(), NewModbusLine()) }()
	if err := terminal.Close(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("Serve goes on after Close")
	}
}
