package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"weir/buffer"
	"weir/gateway"
)

// bufferStat is what weir buffer stat says, as JSON.
type bufferStat struct {
	Schema     int              `json:"schema"`
	Dir        string           `json:"dir"`
	Format     uint32           `json:"format"`
	Bytes      int64            `json:"bytes"`
	MaxBytes   int64            `json:"max_bytes,omitempty"` // 0: no configuration was read
	Records    uint64           `json:"records"`
	Segments   int              `json:"segments"`
	Spares     int              `json:"spares"`
	Snapshots  int              `json:"snapshots"`
	SetAside   int              `json:"set_aside"` // damaged files
	Keys       int              `json:"keys"`
	KeyBytes   int64            `json:"key_bytes"`
	Damage     bufferDamage     `json:"damage"`
	Consumers  []bufferConsumer `json:"consumers"`
	asideBytes int64
}

// bufferDamage is what a start would find damaged; weir buffer verify looks at everything.
type bufferDamage struct {
	Lost         uint64 `json:"lost"` // records
	Places       int    `json:"places"`
	BadSegments  int    `json:"bad_segments"`
	BadSnapshots int    `json:"bad_snapshots"`
	LostNames    int    `json:"lost_names"`
	LostKeys     bool   `json:"lost_keys"` // some keys may be gone, or as they were before
	Repaired     bool   `json:"repaired"`  // and not started since
}

type bufferConsumer struct {
	Name    string            `json:"name"`
	Kind    string            `json:"kind"` // what stands before the / of its name
	Waiting uint64            `json:"waiting"`
	Bytes   int64             `json:"bytes"`
	Oldest  string            `json:"oldest,omitempty"`             // RFC 3339; absent when nothing waits, or its time is not known
	Age     *float64          `json:"oldest_age_seconds,omitempty"` // the same
	Aside   uint64            `json:"aside"`
	Dropped map[string]uint64 `json:"dropped"` // by reason
	some    bool
}

func runBufferStat(_ context.Context, c console, args []string) int {
	b := newBufferFlags("stat", "[--json]")
	asJSON := b.set.Bool("json", false, "print JSON")
	if status, done := b.parse(c, args, 0); done {
		return status
	}
	v, status := b.inspect(c)
	if v == nil {
		return status
	}
	s := statOf(b, v)
	if *asJSON {
		return printJSON(c, s)
	}
	s.print(c.out)
	return exitOK
}

func statOf(b *bufferFlags, v *buffer.View) *bufferStat {
	s := &bufferStat{Schema: 1, Dir: b.dir, Format: v.Format, Bytes: v.Bytes, Records: v.Recovery.Records, Segments: len(v.Segments),
		Spares: v.Spares, Snapshots: len(v.Snapshots), SetAside: len(v.SetAside), Keys: v.Keys, KeyBytes: v.KeyBytes, Consumers: []bufferConsumer{}}
	if b.options.Dir != "" {
		s.MaxBytes = b.options.Cap()
	}
	r := &v.Recovery
	s.Damage = bufferDamage{Lost: r.LostRecords(), Places: len(r.Lost), BadSegments: len(v.Unsound), BadSnapshots: r.BadSnapshots, LostNames: r.Orphans,
		LostKeys: r.KeysLost, Repaired: r.Repaired}
	for _, f := range v.SetAside {
		s.asideBytes += f.Size
	}
	t := &times{clock: gateway.StoredClock(v)}
	for i := range v.Consumers {
		x := &v.Consumers[i]
		kind, _, _ := strings.Cut(x.Name, "/")
		e := bufferConsumer{Name: x.Name, Kind: kind, Waiting: x.Backlog.Records, Bytes: x.Backlog.Bytes, Aside: x.Backlog.Aside, Dropped: map[string]uint64{}}
		for reason, n := range x.Drops {
			if n > 0 {
				e.Dropped[buffer.DropReason(reason).String()] = n
			}
		}
		e.some = v.Oldest(x.ID, func(r *buffer.Stored) {
			if at, known := t.wall(r); known {
				e.Oldest = at.UTC().Format(time.RFC3339)
			}
			if age, known := t.age(r); known {
				seconds := age.Seconds()
				e.Age = &seconds
			}
		})
		s.Consumers = append(s.Consumers, e)
	}
	return s
}

// print is stat for people.
func (s *bufferStat) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "directory\t%s, format %d\n", s.Dir, s.Format)
	room := sizeText(s.Bytes)
	if s.MaxBytes > 0 {
		room += " of " + sizeText(s.MaxBytes)
	}
	fmt.Fprintf(w, "room\t%s: %s, %s, %s", room, count(s.Segments, "segment"), count(s.Spares, "spare"), count(s.Snapshots, "snapshot"))
	if s.SetAside > 0 {
		fmt.Fprintf(w, ", %s set aside (%s)", count(s.SetAside, "damaged file"), sizeText(s.asideBytes))
	}
	fmt.Fprintf(w, "\nstored\t%s, %s\n", count(int(s.Records), "record"), count(s.Keys, "key"))
	fmt.Fprintf(w, "damage\t%s\n", s.Damage.text())
	w.Flush()
	if len(s.Consumers) == 0 {
		fmt.Fprint(out, "\nno consumers: no upstream and no session was ever served from here\n")
		return
	}
	fmt.Fprint(w, "\nCONSUMER\tWAITING\tBYTES\tOLDEST\tASIDE\tDROPPED\n")
	for i := range s.Consumers {
		x := &s.Consumers[i]
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%d\t%s\n", oneLine(x.Name), x.Waiting, sizeText(x.Bytes), x.oldest(), x.Aside, x.dropped())
	}
	w.Flush()
}

func (d *bufferDamage) text() string {
	var parts []string
	if d.Places > 0 {
		parts = append(parts, fmt.Sprintf("%s lost in %s", count(int(d.Lost), "record"), count(d.Places, "place")))
	}
	for _, x := range []struct {
		n    int
		what string
	}{{d.BadSegments, "unreadable segment"}, {d.BadSnapshots, "unreadable snapshot"}, {d.LostNames, "lost name"}} {
		if x.n > 0 {
			parts = append(parts, count(x.n, x.what))
		}
	}
	if d.LostKeys {
		parts = append(parts, "keys may be lost")
	}
	if len(parts) == 0 {
		return "none that a start would notice; every byte is read by: weir buffer verify"
	}
	return strings.Join(parts, ", ") + "; where, is said by: weir buffer verify"
}

func (x *bufferConsumer) oldest() string {
	switch {
	case !x.some:
		return "-"
	case x.Age == nil:
		return "unknown"
	}
	return time.Duration(*x.Age * float64(time.Second)).Round(time.Second).String()
}

func (x *bufferConsumer) dropped() string {
	var parts []string
	for reason := buffer.DropReason(0); !strings.HasPrefix(reason.String(), "drop("); reason++ {
		if n := x.Dropped[reason.String()]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, reason))
		}
	}
	if len(parts) == 0 {
		return "0"
	}
	return strings.Join(parts, ", ")
}

// bufferSegment is a line of weir buffer ls, as JSON.
type bufferSegment struct {
	Name    string `json:"name"`
	Size    int64  `json:"size"`
	First   uint64 `json:"first"` // record numbers, 0 if it holds none
	Last    uint64 `json:"last"`
	Records uint64 `json:"records"`
	Bytes   int64  `json:"bytes"` // of the records
	Open    uint64 `json:"open"`  // deliveries that are not done with
	Done    uint64 `json:"done"`
	State   string `json:"state"`
}

func runBufferLs(ctx context.Context, c console, args []string) int {
	b := newBufferFlags("ls", "[--json] [--records [CONSUMER]]")
	asJSON := b.set.Bool("json", false, "print JSON; of records, one document a line")
	records := b.set.Bool("records", false, "one line for each record that waits or is set aside, instead of one for each segment")
	if status, done := b.parse(c, args, 1); done {
		return status
	}
	if b.set.NArg() > 0 && !*records {
		return c.fail(exitUsage, "buffer ls: got %q, want it behind --records", b.set.Arg(0))
	}
	v, status := b.inspect(c)
	if v == nil {
		return status
	}
	if *records {
		return listRecords(ctx, c, b, v, b.set.Arg(0), *asJSON)
	}
	list := []bufferSegment{}
	for _, s := range v.Segments {
		list = append(list, bufferSegment{s.Name, s.Size, s.First, s.Last, s.Records, s.Bytes, s.Open, s.Done, s.State.String()})
	}
	for _, name := range v.Unsound {
		list = append(list, bufferSegment{Name: name, State: buffer.SegmentDamaged.String()})
	}
	if *asJSON {
		return printJSON(c, struct {
			Schema   int             `json:"schema"`
			Segments []bufferSegment `json:"segments"`
		}{1, list})
	}
	w := tabwriter.NewWriter(c.out, 0, 8, 2, ' ', 0)
	fmt.Fprint(w, "SEGMENT\tFIRST\tLAST\tRECORDS\tBYTES\tOPEN\tDONE\tSTATE\n")
	for _, s := range list {
		first, last := "-", "-"
		if s.Records > 0 {
			first, last = fmt.Sprint(s.First), fmt.Sprint(s.Last)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", s.Name, first, last, s.Records, s.Bytes, s.Open, s.Done, s.State)
	}
	w.Flush()
	return exitOK
}
