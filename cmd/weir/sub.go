package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"weir/bridge/client"
	"weir/broker/packet"
	"weir/broker/topic"
)

// subscription is what sub asks for, from its flags.
type subscription struct {
	filters []topic.Filter
	verbose bool
	format  string
	count   int
	wait    int
	noOld   bool
}

func runSub(ctx context.Context, c console, args []string) int {
	f := flags("sub", "-t FILTER [-t FILTER...] [-v | -F FORMAT] [-q QOS] [-C COUNT] [-W SECONDS] [-h HOST]")
	var o connectFlags
	var s subscription
	var texts []string
	o.register(f)
	f.Func("t", "topic filter; may be given several times. A # in the middle is understood: /Home/#/Temperature", func(t string) error {
		texts = append(texts, t)
		return nil
	})
	f.BoolVar(&s.verbose, "v", false, "print the topic before the message")
	f.StringVar(&s.format, "F", "", "format of a line: %t topic, %p payload, %x payload in hex, %q QoS, %r retain, %l length, %U time, %I time as ISO 8601, %%")
	f.IntVar(&s.count, "C", 0, "end after so many messages")
	f.IntVar(&s.wait, "W", 0, "end after so many seconds; status 1 if fewer messages came than -C asks for")
	f.BoolVar(&s.noOld, "R", false, "leave out retained messages")
	if status, done := parseFlags(c, f, args); done {
		return status
	}
	if f.NArg() > 0 {
		return c.fail(exitUsage, "sub: got %q, want only flags", f.Arg(0))
	}
	options, err := o.options()
	if err == nil {
		err = s.parse(texts)
	}
	if err != nil {
		return c.fail(exitUsage, "sub: %v", err)
	}
	return s.receive(ctx, c, &o, options)
}

// parse checks filters and format.
func (s *subscription) parse(texts []string) error {
	if len(texts) == 0 {
		return errors.New("want at least one -t FILTER, such as -t '#'")
	}
	for _, t := range texts {
		filter, err := topic.ParseFilter(t, topic.InnerWildcard())
		if err != nil {
			return err
		}
		s.filters = append(s.filters, filter)
	}
	switch {
	case s.count < 0:
		return fmt.Errorf("-C %d: want at least 1 message", s.count)
	case s.wait < 0:
		return fmt.Errorf("-W %d: want at least 1 second", s.wait)
	case s.format != "" && s.verbose:
		return errors.New("want -v or -F, not both")
	case s.format != "":
		return checkFormat(s.format)
	case s.verbose:
		s.format = "%t %p"
	default:
		s.format = "%p"
	}
	return nil
}

// given tells whether a flag was on the command line.
func given(f *flag.FlagSet, name string) bool {
	found := false
	f.Visit(func(set *flag.Flag) { found = found || set.Name == name })
	return found
}

// onWire is the filter to subscribe with: brokers know no # in the middle, so what follows it is matched here.
func onWire(f topic.Filter) string {
	text := f.String()
	if i := strings.Index(text, "#/"); i >= 0 {
		return text[:i+1]
	}
	return text
}

// wanted tells whether a message is one of those asked for.
func (s *subscription) wanted(p *packet.Publish) bool {
	if s.noOld && p.Retain {
		return false
	}
	for _, f := range s.filters {
		if f.Match(p.Topic) {
			return true
		}
	}
	return false
}

func (s *subscription) receive(ctx context.Context, c console, f *connectFlags, o client.Options) int {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if s.wait > 0 {
		ctx, stop = context.WithTimeout(ctx, time.Duration(s.wait)*time.Second)
		defer stop()
	}
	printed, failed := 0, error(nil)
	enough, terminal := make(chan struct{}), onTerminal(c.out)
	over := false
	o.OnMessages = func(messages []packet.Publish) {
		line := []byte(nil)
		for i := range messages {
			if over || !s.wanted(&messages[i]) {
				continue
			}
			line = append(appendFormat(line[:0], s.format, &messages[i], time.Now(), terminal), '\n')
			_, failed = c.out.Write(line)
			printed++
			if failed != nil || printed == s.count {
				over = true
				close(enough)
			}
		}
	}
	conn, err := client.Connect(ctx, o)
	if err != nil {
		return c.fail(exitFailed, "sub: %v", f.explain(err))
	}
	status, short := exitOK, false
	if err := s.subscribe(ctx, conn, byte(f.qos)); err != nil {
		status = c.fail(exitFailed, "sub: %v", err)
	} else {
		select {
		case <-enough:
		case <-ctx.Done():
			short = s.count > 0
		case <-conn.Done():
			status = c.fail(exitFailed, "sub: %v", conn.Err())
		}
	}
	goodbye, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	leave := conn.Disconnect(goodbye, packet.Success)
	conn.Close()
	if failed != nil {
		return c.fail(exitFailed, "sub: %v", failed)
	}
	if short && printed < s.count {
		return c.fail(exitFailed, "sub: %d of %s came", printed, count(s.count, "message"))
	}
	if leave != nil && status == exitOK && !errors.Is(leave, client.ErrClosed) {
		return c.fail(exitFailed, "sub: %v", leave)
	}
	return status
}

func (s *subscription) subscribe(ctx context.Context, conn *client.Conn, qos byte) error {
	var filters []packet.Subscription
	for _, f := range s.filters {
		filters = append(filters, packet.Subscription{Filter: []byte(onWire(f)), QoS: qos})
	}
	reasons, err := conn.Subscribe(ctx, filters...)
	if err != nil {
		return err
	}
	for i, r := range reasons {
		if r.Failed() {
			return fmt.Errorf("the broker refuses %q: %v", filters[i].Filter, r)
		}
	}
	return nil
}
