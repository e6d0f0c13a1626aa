package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"weir/broker/message"
	"weir/broker/topic"
	"weir/buffer"
	"weir/gateway"
	"weir/gateway/clock"
)

// times says when stored records were taken in.
type times struct {
	clock *clock.Clock
}

// stamp is all that a record says of its time. m is its message, or nothing.
func stamp(r *buffer.Stored, m *message.Message) message.Stamp {
	return message.Stamp{Boot: r.Boot, Since: time.Duration(r.Since), Wall: m.Stamp.Wall}
}

func (t *times) wall(r *buffer.Stored) (at time.Time, known bool) {
	var m message.Message
	_ = m.Decode(r.Body) // what is no message has no time of its own
	return t.clock.Wall(stamp(r, &m))
}

// age is how long ago that was; within the running boot that is known without any clock.
func (t *times) age(r *buffer.Stored) (age time.Duration, known bool) {
	if now := t.clock.Now(); now.Boot == r.Boot {
		return max(0, now.Since-time.Duration(r.Since)), true
	}
	at, known := t.wall(r)
	return max(0, time.Since(at)), known
}

// text is the time for people: that of the clock, or how long after which boot.
func (t *times) text(r *buffer.Stored, m *message.Message) string {
	if at, known := t.clock.Wall(stamp(r, m)); known {
		return at.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return fmt.Sprintf("boot %016x + %s", r.Boot, time.Duration(r.Since).Round(time.Millisecond))
}

// selection is which records are asked for.
type selection struct {
	view     *buffer.View
	consumer *buffer.ConsumerStats // nil: any
	filter   topic.Filter          // zero: any topic
	from     uint64
	count    int // 0: all
	states   []buffer.DestState
}

// selectFlags are those of commands that choose among the records.
type selectFlags struct {
	consumer, filter *string
	from             *uint64
	count            *int
}

func (b *bufferFlags) selectFlags() selectFlags {
	return selectFlags{
		consumer: b.set.String("consumer", "", "only records for this one: a name that weir buffer stat lists, or what stands behind its /"),
		filter:   b.set.String("topic", "", "only records whose topic this filter matches"),
		from:     b.set.Uint64("from", 0, "begin at this record number"),
		count:    b.set.Int("n", 0, "end after so many records; 0: all"),
	}
}

// open looks into the store and finds what the flags name. A nil selection comes with the exit status.
func (f *selectFlags) open(c console, b *bufferFlags) (*selection, int) {
	s := &selection{from: *f.from, count: *f.count}
	if *f.count < 0 {
		return nil, c.fail(exitUsage, "%s: -n %d: want 0 for all, or more", b.set.Name(), *f.count)
	}
	if *f.filter != "" {
		filter, err := topic.ParseFilter(*f.filter, topic.InnerWildcard())
		if err != nil {
			return nil, c.fail(exitUsage, "%s: %v", b.set.Name(), err)
		}
		s.filter = filter
	}
	v, status := b.inspect(c)
	if v == nil {
		return nil, status
	}
	s.view = v
	if *f.consumer != "" {
		if s.consumer, status = b.consumer(c, v, *f.consumer); s.consumer == nil {
			return nil, status
		}
	}
	return s, exitOK
}

// wanted tells whether a record is one of those asked for, as far as its destinations say.
func (s *selection) wanted(r *buffer.Stored) bool {
	if s.consumer == nil && s.states == nil {
		return true
	}
	for i := range r.Dests {
		d := &r.Dests[i]
		if s.consumer != nil && d.Consumer != s.consumer.ID {
			continue
		}
		if s.states == nil {
			return true
		}
		for _, state := range s.states {
			if d.State == state {
				return true
			}
		}
	}
	return false
}

// each gives the records asked for to f, with their messages; a record that holds no message has an error instead, and
// no topic for a filter. It says what could not be read and gives the exit status.
func (s *selection) each(ctx context.Context, c console, b *bufferFlags, f func(r *buffer.Stored, m *message.Message, err error) error) int {
	var m message.Message
	var id uint32
	if s.consumer != nil {
		id = s.consumer.ID
	}
	n, failed := 0, error(nil)
	skipped, err := s.view.Records(s.from, id, func(r *buffer.Stored) bool {
		if failed = ctx.Err(); failed != nil {
			return false
		}
		if !s.wanted(r) || len(r.Body) == 0 { // a record without a body is only the reason for a commit
			return true
		}
		err := m.Decode(r.Body)
		if err != nil {
			m = message.Message{}
		}
		if !s.filter.IsZero() && !s.filter.Match(m.Topic) {
			return true
		}
		failed = f(r, &m, err)
		n++
		return failed == nil && n != s.count
	})
	switch {
	case failed != nil && ctx.Err() == nil:
		return c.unwritten(failed)
	case failed != nil:
		return c.fail(exitFailed, "%s: %v%s", b.set.Name(), failed, interrupted[strings.TrimPrefix(b.set.Name(), "buffer ")])
	case err != nil:
		return b.fail(c, err)
	case skipped > 0 || s.view.Recovery.LostRecords() > 0:
		return c.fail(exitFailed, "%s: %s could not be read; where, is said by: weir buffer verify", b.set.Name(), count(int(skipped+s.view.Recovery.LostRecords()), "record"))
	}
	return exitOK
}

// bufferRecord is a stored record, as JSON.
type bufferRecord struct {
	Number       uint64         `json:"number"`
	Time         string         `json:"time,omitempty"` // RFC 3339; absent when it is not known
	Boot         string         `json:"boot"`           // from which Since counts
	Since        float64        `json:"since"`          // seconds
	Topic        string         `json:"topic,omitempty"`
	QoS          byte           `json:"qos"` // it was published with
	Retain       bool           `json:"retain,omitempty"`
	Payload      *string        `json:"payload,omitempty"` // if it is text
	Base64       []byte         `json:"payload_base64,omitempty"`
	Origin       string         `json:"origin,omitempty"` // client id of the publisher; absent: weir itself
	Expiry       *uint32        `json:"expiry,omitempty"` // seconds
	ContentType  string         `json:"content_type,omitempty"`
	Response     string         `json:"response_topic,omitempty"`
	Correlation  []byte         `json:"correlation_base64,omitempty"`
	User         [][2]string    `json:"user,omitempty"` // properties
	Body         []byte         `json:"body_base64,omitempty"`
	Error        string         `json:"error,omitempty"` // why Body is no message
	Size         int            `json:"size"`
	Segment      string         `json:"segment"`
	Done         bool           `json:"done"` // with all its destinations
	Destinations []bufferTarget `json:"destinations"`
}

type bufferTarget struct {
	Consumer string `json:"consumer"` // removed ones have a number
	State    string `json:"state"`
}

func targetsOf(r *buffer.Stored) []bufferTarget {
	all := make([]bufferTarget, 0, len(r.Dests))
	for i := range r.Dests {
		d := &r.Dests[i]
		name := d.Name
		if name == "" {
			name = fmt.Sprintf("consumer %d", d.Consumer)
		}
		all = append(all, bufferTarget{name, d.State.String()})
	}
	return all
}

func listRecords(ctx context.Context, c console, b *bufferFlags, v *buffer.View, name string, asJSON bool) int {
	s := &selection{view: v, states: []buffer.DestState{buffer.DestWaits, buffer.DestAside}}
	if name != "" {
		var status int
		if s.consumer, status = b.consumer(c, v, name); s.consumer == nil {
			return status
		}
	}
	t := &times{gateway.StoredClock(v)}
	return c.buffered(func(w *bufio.Writer) int {
		e := json.NewEncoder(w)
		return s.each(ctx, c, b, func(r *buffer.Stored, m *message.Message, err error) error {
			if asJSON {
				doc := t.record(r, m, err)
				doc.Payload, doc.Base64, doc.Body = nil, nil, nil
				return e.Encode(doc)
			}
			name := oneLine(string(m.Topic))
			if err != nil {
				name = "(no message: " + err.Error() + ")"
			}
			var targets []string
			for _, d := range targetsOf(r) {
				targets = append(targets, oneLine(d.Consumer)+": "+d.State)
			}
			_, err = fmt.Fprintf(w, "%d  %s  %s  qos %d  %d B  %s\n", r.Number, t.text(r, m), name, m.QoS, r.Size, strings.Join(targets, ", "))
			return err
		})
	})
}

func runBufferCat(ctx context.Context, c console, args []string) int {
	b := newBufferFlags("cat", "[--consumer NAME] [--topic FILTER] [--from NUMBER] [-n COUNT] [-v | -F FORMAT] [--aside]")
	f := b.selectFlags()
	verbose := b.set.Bool("v", false, "print the topic before the payload")
	format := b.set.String("F", "", "format of a line, as weir sub -F has it; %U and %I are the time the message was taken in, 1970 if that is not known")
	aside := b.set.Bool("aside", false, "the records that were set aside because their upstream refused them, instead of those that wait")
	if status, done := b.parse(c, args, 0); done {
		return status
	}
	switch {
	case *format != "" && *verbose:
		return c.fail(exitUsage, "buffer cat: want -v or -F, not both")
	case *format != "":
		if err := checkFormat(*format); err != nil {
			return c.fail(exitUsage, "buffer cat: %v", err)
		}
	case *verbose:
		*format = "%t %p"
	default:
		*format = "%p"
	}
	s, status := f.open(c, b)
	if s == nil {
		return status
	}
	s.states = []buffer.DestState{buffer.DestWaits}
	if *aside {
		s.states[0] = buffer.DestAside
	}
	t, terminal := &times{gateway.StoredClock(s.view)}, onTerminal(c.out)
	return c.buffered(func(w *bufio.Writer) int {
		var line []byte
		strange := false
		status := s.each(ctx, c, b, func(r *buffer.Stored, m *message.Message, err error) error {
			if err != nil {
				c.fail(exitFailed, "buffer cat: record %d holds no message: %v; all of it is printed by: weir buffer export", r.Number, err)
				strange = true
				return nil
			}
			at, known := t.clock.Wall(stamp(r, m))
			if !known {
				at = time.Unix(0, 0)
			}
			line = append(appendFormat(line[:0], *format, &m.Publish, at, terminal), '\n')
			_, err = w.Write(line)
			return err
		})
		if strange && status == exitOK {
			return exitFailed
		}
		return status
	})
}
