package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"weir/bridge/client"
	"weir/broker/packet"
	"weir/broker/topic"
)

// publication is what pub sends, from its flags.
type publication struct {
	topic, text, file  string
	lines, null, stdin bool
	retain             bool
}

func runPub(ctx context.Context, c console, args []string) int {
	f := flags("pub", "-t TOPIC (-m TEXT | -l | -n | -s | -f FILE) [-q QOS] [-r] [-h HOST]")
	var o connectFlags
	var p publication
	o.register(f)
	f.StringVar(&p.topic, "t", "", "topic")
	f.StringVar(&p.text, "m", "", "the message")
	f.BoolVar(&p.lines, "l", false, "each line of standard input is a message")
	f.BoolVar(&p.stdin, "s", false, "all of standard input is the message")
	f.BoolVar(&p.null, "n", false, "an empty message; with -r it deletes the retained one")
	f.StringVar(&p.file, "f", "", "the message is this file")
	f.BoolVar(&p.retain, "r", false, "retain")
	if status, done := parseFlags(c, f, args); done {
		return status
	}
	if f.NArg() > 0 {
		return c.fail(exitUsage, "pub: got %q, want only flags", f.Arg(0))
	}
	options, err := o.options()
	if err == nil {
		err = p.check(given(f, "m"))
	}
	if err != nil {
		return c.fail(exitUsage, "pub: %v", err)
	}
	return p.send(ctx, c, &o, options)
}

// check sees to it that there is a topic and exactly one source of messages.
func (p *publication) check(hasText bool) error {
	if p.topic == "" {
		return errors.New("want -t TOPIC")
	}
	if err := topic.ValidName([]byte(p.topic)); err != nil {
		return fmt.Errorf("-t %.60q: %w", p.topic, err)
	}
	n := 0
	for _, set := range []bool{hasText, p.lines, p.null, p.stdin, p.file != ""} {
		if set {
			n++
		}
	}
	if n != 1 {
		return fmt.Errorf("want exactly one of -m, -l, -n, -s, -f; got %d", n)
	}
	return nil
}

func (p *publication) send(ctx context.Context, c console, f *connectFlags, o client.Options) int {
	text, err := p.message(ctx, c)
	if err != nil {
		return c.fail(exitFailed, "pub: %v", err)
	}
	conn, err := client.Connect(ctx, o)
	if err != nil {
		return c.fail(exitFailed, "pub: %v", f.explain(err))
	}
	defer conn.Close()
	one := func(payload []byte) error {
		err := conn.Publish(ctx, packet.Publish{Topic: []byte(p.topic), Payload: payload, QoS: byte(f.qos), Retain: p.retain})
		if errors.Is(err, context.Canceled) {
			err = context.Cause(ctx) // which signal it was
		}
		return err
	}
	if p.lines {
		err = eachLine(ctx, c.in, conn, one)
	} else {
		err = one(text)
	}
	if err != nil {
		return c.fail(exitFailed, "pub: %v", err)
	}
	goodbye, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := conn.Disconnect(goodbye, packet.Success); err != nil {
		return c.fail(exitFailed, "pub: %v", err)
	}
	return exitOK
}

// message is the one message, when there is only one.
func (p *publication) message(ctx context.Context, c console) ([]byte, error) {
	switch {
	case p.file != "":
		return os.ReadFile(p.file)
	case p.stdin:
		return waitFor(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(c.in, largestPacket)) })
	}
	return []byte(p.text), nil
}

// longestLine bounds what -l keeps in memory.
const longestLine = 16 << 20

// eachLine calls send for each line; the last needs no line end. It does not wait for input when the connection is gone.
func eachLine(ctx context.Context, r io.Reader, conn *client.Conn, send func([]byte) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-conn.Done():
			cancel(conn.Err())
		case <-ctx.Done():
		}
	}()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longestLine)
	for {
		line, err := waitFor(ctx, func() ([]byte, error) { return nextLine(lines) })
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = send(line)
		}
		if err != nil {
			return err
		}
	}
}

func nextLine(lines *bufio.Scanner) ([]byte, error) {
	switch {
	case lines.Scan():
		return lines.Bytes(), nil
	case errors.Is(lines.Err(), bufio.ErrTooLong):
		return nil, fmt.Errorf("standard input has a line of more than %d bytes; -s sends all of it as one message", longestLine)
	case lines.Err() != nil:
		return nil, lines.Err()
	}
	return nil, io.EOF
}
