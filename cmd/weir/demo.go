package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"weir/gateway/demo"
	"weir/sensors/chip"
)

func runDemo(ctx context.Context, c console, args []string) int {
	f := flags("demo", "[--for DURATION]")
	length := f.Duration("for", 0, "end by itself after this time, such as 30s; at least 4s")
	if status, done := parseFlags(c, f, args); done {
		return status
	}
	if f.NArg() > 0 || *length < 0 || *length > 0 && *length < 4*time.Second {
		return c.fail(exitUsage, "demo: want only --for, with a duration of at least 4s, such as 30s")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signal.Ignore(syscall.SIGPIPE) // a reader that goes away must not leave the demo's data behind
	o := demo.Options{For: *length, Out: &watched{to: c.out, gone: cancel}, Drivers: chip.Drivers, Version: version()}
	if out, ok := c.out.(*output); ok && term.IsTerminal(int(out.file.Fd())) && os.Getenv("TERM") != "dumb" {
		o.Terminal = true
		if width, height, err := term.GetSize(int(out.file.Fd())); err == nil {
			o.Width, o.Height = width, height
		}
	}
	r, err := demo.Run(ctx, o)
	switch {
	case err != nil:
		return c.fail(exitFailed, "demo: %v", err)
	case r.Lost > 0 || r.Taken == 0:
		return exitFailed
	}
	return exitOK
}

// watched calls gone when nobody takes what is written.
type watched struct {
	to   io.Writer
	gone func()
}

func (w *watched) Write(b []byte) (int, error) {
	n, err := w.to.Write(b)
	if err != nil {
		w.gone()
	}
	return n, err
}
