package broker

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// terse is a log in which no text is long: client ids, user names, topics and what is said of a packet come from whoever connects,
// up to 64 KiB each, and would fill a memory card before anybody has logged in. A name is told by its beginning.
type terse struct{ slog.Handler }

// terseMax is the most of a text that is logged, in bytes; sixteen errors of a store have room.
const terseMax = 400

// Handle implements slog.Handler.
func (h terse) Handle(ctx context.Context, r slog.Record) error {
	long := false
	r.Attrs(func(a slog.Attr) bool {
		_, long = cut(a.Value)
		return !long
	})
	if !long {
		return h.Handler.Handle(ctx, r)
	}
	short := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if v, long := cut(a.Value); long {
			a.Value = v
		}
		short.AddAttrs(a)
		return true
	})
	return h.Handler.Handle(ctx, short)
}

// WithAttrs implements slog.Handler.
func (h terse) WithAttrs(all []slog.Attr) slog.Handler { return terse{h.Handler.WithAttrs(all)} }

// WithGroup implements slog.Handler.
func (h terse) WithGroup(name string) slog.Handler { return terse{h.Handler.WithGroup(name)} }

// cut gives the beginning of a value that is too long, and how long it was.
func cut(v slog.Value) (short slog.Value, long bool) {
	text := ""
	switch v.Kind() {
	case slog.KindString:
		text = v.String()
	case slog.KindAny:
		if err, ok := v.Any().(error); ok && err != nil {
			text = err.Error()
		}
	}
	if len(text) <= terseMax {
		return v, false
	}
	return slog.StringValue(fmt.Sprintf("%s... (%d bytes)", strings.ToValidUTF8(text[:terseMax], "?"), len(text))), true
}
