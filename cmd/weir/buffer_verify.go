package main

import (
	"context"
	"fmt"
	"log/slog"

	"weir/buffer"
)

// bufferProblem is a place that is damaged, as JSON.
type bufferProblem struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"`
	Seen   string `json:"seen"`
	Want   string `json:"want"`
	Lost   uint64 `json:"lost"` // records
}

func runBufferVerify(_ context.Context, c console, args []string) int {
	b := newBufferFlags("verify", "[--json]")
	asJSON := b.set.Bool("json", false, "print JSON")
	if status, done := b.parse(c, args, 0); done {
		return status
	}
	v, err := buffer.Verify(buffer.DirFS(b.dir))
	if err == nil {
		err = b.none(v.View)
	}
	if err != nil {
		return b.fail(c, err)
	}
	v.Notes = append(v.Notes, b.odd()...)
	if *asJSON {
		if status := printVerification(c, b, v); status != exitOK {
			return status
		}
	} else {
		tell(c, b, v)
	}
	if len(v.Problems) == 0 {
		return exitOK
	}
	return c.fail(exitFailed, "buffer verify: damage in %s, %s lost; weir starts as it is and goes on behind it; to make it sound, stop weir and run: weir buffer repair",
		count(len(v.Problems), "place"), count(int(v.Lost), "record"))
}

func printVerification(c console, b *bufferFlags, v *buffer.Verification) int {
	problems := []bufferProblem{}
	for _, p := range v.Problems {
		problems = append(problems, bufferProblem{p.File, p.Offset, p.Seen, p.Want, p.Records})
	}
	return printJSON(c, struct {
		Schema   int             `json:"schema"`
		Dir      string          `json:"dir"`
		Sound    bool            `json:"sound"`
		Lost     uint64          `json:"lost"` // records
		Known    uint64          `json:"lost_before"`
		Problems []bufferProblem `json:"problems"`
		Notes    []string        `json:"notes"`
		Files    int             `json:"files"`
		Bytes    int64           `json:"bytes"`
		Blocks   uint64          `json:"blocks"`
		Records  uint64          `json:"records"`
	}{1, b.dir, len(v.Problems) == 0, v.Lost, v.Known, problems, append([]string{}, v.Notes...), v.Files, v.Bytes, v.Blocks, v.Records})
}

// tell prints what was found: what is wrong and the sum as data, notes beside it.
func tell(c console, b *bufferFlags, v *buffer.Verification) {
	for _, p := range v.Problems {
		fmt.Fprintln(c.out, p)
	}
	for _, note := range v.Notes {
		fmt.Fprintf(c.err, "note: %s\n", note)
	}
	verdict := "sound"
	if len(v.Problems) > 0 {
		verdict = "damaged"
	}
	fmt.Fprintf(c.out, "%s: %s: %s read in %s, %s in %s\n", b.dir, verdict, sizeText(v.Bytes), count(v.Files, "file"),
		count(int(v.Records), "record"), count(int(v.Blocks), "block"))
}

func runBufferRepair(_ context.Context, c console, args []string) int {
	b := newBufferFlags("repair", "[--dry-run]")
	dry := b.set.Bool("dry-run", false, "say what would be done, and change nothing; weir may run")
	usage := b.set.Usage
	b.set.Usage = func() {
		usage()
		fmt.Fprint(b.set.Output(), `
A damaged store needs no repair to start: weir goes on behind what it cannot read, tells it, and sets damaged files aside.
A repair makes that lasting, so that verify finds the store sound and a loss is not told again at each start: blocks that
cannot be read become holes that say how many records are missing, a damaged copy of a header is written again from the
other one, damaged snapshots are set aside. A segment is copied to a .bad file before it is changed; nothing that can be
read is given up. The next start begins the sessions upstream anew, since they may not be what is kept here: messages that
were on their way may arrive twice.
`)
	}
	if status, done := b.parse(c, args, 0); done {
		return status
	}
	if v, status := b.inspect(c); v == nil { // nothing is made where nothing is
		return status
	}
	if !*dry {
		if status, ok := b.owned(c); !ok {
			return status
		}
	}
	o := b.options
	o.Dir, o.FS = b.dir, buffer.DirFS(b.dir)
	o.Log = slog.New(slog.DiscardHandler) // what opening finds is said below
	r, err := buffer.Repair(o, *dry)
	if r != nil {
		tellRepair(c, r, *dry)
	}
	switch {
	case err != nil:
		return b.fail(c, err)
	case len(r.Before.Problems) == 0:
		fmt.Fprintf(c.out, "%s: sound, nothing to do\n", b.dir)
		return exitOK
	case *dry:
		fmt.Fprintf(c.out, "%s: damaged; nothing was changed\n", b.dir)
		return exitOK
	}
	tell(c, b, r.After)
	if len(r.Left) > 0 || len(r.After.Problems) > 0 {
		return c.fail(exitFailed, "buffer repair: not all of it is repaired; weir starts as it is and goes on behind it")
	}
	return exitOK
}

func tellRepair(c console, r *buffer.Repaired, dry bool) {
	for _, p := range r.Before.Problems {
		fmt.Fprintf(c.out, "damage: %v\n", p)
	}
	what := "done"
	if dry {
		what = "to do"
	}
	for _, step := range r.Done {
		fmt.Fprintf(c.out, "%s: %s\n", what, step)
	}
	for _, step := range r.Left {
		fmt.Fprintf(c.err, "not done: %s\n", step)
	}
	if len(r.Before.Problems) > 0 {
		fmt.Fprintf(c.out, "lost: %s\n", count(int(r.Lost()), "record"))
	}
}
