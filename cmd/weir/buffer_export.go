package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"weir/broker/message"
	"weir/broker/packet"
	"weir/buffer"
	"weir/gateway"
)

func runBufferExport(ctx context.Context, c console, args []string) int {
	b := newBufferFlags("export", "[--consumer NAME] [--topic FILTER] [--from NUMBER] [-n COUNT] [--format jsonl|csv]")
	f := b.selectFlags()
	format := b.set.String("format", "jsonl", "jsonl (one JSON document a line, and all of it) or csv; a payload that is not text, or not text alone, is base64, as payload_base64 or the column encoding says")
	if status, done := b.parse(c, args, 0); done {
		return status
	}
	if *format != "jsonl" && *format != "csv" {
		return c.fail(exitUsage, "buffer export: --format %q: want jsonl or csv", *format)
	}
	s, status := f.open(c, b)
	if s == nil {
		return status
	}
	t := &times{gateway.StoredClock(s.view)}
	return c.buffered(func(w *bufio.Writer) int {
		if *format == "csv" {
			return exportCSV(ctx, c, b, s, t, csv.NewWriter(w))
		}
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		return s.each(ctx, c, b, func(r *buffer.Stored, m *message.Message, err error) error {
			return e.Encode(t.record(r, m, err))
		})
	})
}

// record is a record with everything it says.
func (t *times) record(r *buffer.Stored, m *message.Message, err error) *bufferRecord {
	out := &bufferRecord{Number: r.Number, Boot: fmt.Sprintf("%016x", r.Boot), Since: time.Duration(r.Since).Seconds(),
		Size: r.Size, Segment: r.Segment, Done: r.Done(), Destinations: targetsOf(r)}
	if at, known := t.clock.Wall(stamp(r, m)); known {
		out.Time = at.UTC().Format(time.RFC3339Nano)
	}
	if err != nil {
		out.Error, out.Body = err.Error(), slices.Clone(r.Body)
		return out
	}
	out.Topic, out.QoS, out.Retain, out.Origin = string(m.Topic), m.QoS, m.Retain, string(m.Origin)
	if text := string(m.Payload); utf8.ValidString(text) {
		out.Payload = &text
	} else {
		out.Base64 = []byte(text)
	}
	p := &m.Props
	if p.Has(packet.PropMessageExpiry) {
		expiry := p.MessageExpiry
		out.Expiry = &expiry
	}
	out.ContentType, out.Response, out.Correlation = string(p.ContentType), string(p.ResponseTopic), slices.Clone(p.CorrelationData)
	for _, u := range p.User {
		out.User = append(out.User, [2]string{string(u.Key), string(u.Value)})
	}
	return out
}

// exportCSV has the fields of a message that have one value; the others are in jsonl.
func exportCSV(ctx context.Context, c console, b *bufferFlags, s *selection, t *times, w *csv.Writer) int {
	if err := w.Write([]string{"number", "time", "boot", "since", "topic", "qos", "retain", "encoding", "payload", "done", "destinations"}); err != nil {
		return c.unwritten(err)
	}
	status := s.each(ctx, c, b, func(r *buffer.Stored, m *message.Message, err error) error {
		d := t.record(r, m, err)
		encoding, payload := "base64", base64.StdEncoding.EncodeToString(m.Payload)
		switch {
		case d.Error != "":
			encoding, payload = "record", base64.StdEncoding.EncodeToString(d.Body)
		case d.Payload != nil && !strings.ContainsFunc(*d.Payload, unicode.IsControl): // readers of CSV change ends of lines, or stop at a 0
			encoding, payload = "text", *d.Payload
		}
		var targets []string
		for _, x := range d.Destinations {
			targets = append(targets, x.Consumer+"="+x.State)
		}
		return w.Write([]string{strconv.FormatUint(d.Number, 10), d.Time, d.Boot, strconv.FormatFloat(d.Since, 'f', -1, 64), d.Topic,
			strconv.Itoa(int(d.QoS)), strconv.FormatBool(d.Retain), encoding, payload, strconv.FormatBool(d.Done), strings.Join(targets, ";")})
	})
	w.Flush()
	if err := w.Error(); err != nil && status == exitOK {
		return c.unwritten(err)
	}
	return status
}
