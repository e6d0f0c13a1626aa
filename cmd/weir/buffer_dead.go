package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"weir/buffer"
	"weir/gateway/journal"
)

func runBufferReplay(_ context.Context, c console, args []string) int {
	return deadLetters(c, "replay", "put back into the queue", args, (*journal.Journal).Replay)
}

func runBufferDrop(_ context.Context, c console, args []string) int {
	return deadLetters(c, "drop", "dropped", args, (*journal.Journal).Drop)
}

// deadLetters does something with the dead letters of an upstream in the store of a weir that is stopped.
func deadLetters(c console, name, done string, args []string, do func(j *journal.Journal, upstream string, numbers ...uint64) (int, error)) int {
	b := newBufferFlags(name, "UPSTREAM [NUMBER ...]")
	usage := b.set.Usage
	b.set.Usage = func() {
		usage()
		fmt.Fprint(b.set.Output(), `
Dead letters are messages that the upstream refused. They are listed by: weir buffer ls --records dead/UPSTREAM. Without a
number all of them are meant. weir must be stopped.
`)
	}
	if status, done := b.parse(c, args, 10_000); done {
		return status
	}
	if b.set.NArg() == 0 {
		return c.fail(exitUsage, "%s: want the name of an upstream", b.set.Name())
	}
	var numbers []uint64
	for _, text := range b.set.Args()[1:] {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return c.fail(exitUsage, "%s: got %q, want the number of a record, as weir buffer ls --records prints it", b.set.Name(), text)
		}
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	if v, status := b.inspect(c); v == nil { // nothing is made where nothing is
		return status
	}
	if status, ok := b.owned(c); !ok {
		return status
	}
	o := b.options
	o.Dir, o.FS = b.dir, nil
	j, err := openStopped(o)
	if err != nil {
		return b.fail(c, err)
	}
	n, err := do(j, b.set.Arg(0), numbers...)
	if err = errors.Join(err, j.Close()); err != nil {
		return b.fail(c, err)
	}
	fmt.Fprintf(c.out, "%s: %s %s\n", b.set.Arg(0), count(n, "dead letter"), done)
	if n < len(numbers) {
		return c.fail(exitFailed, "%s: %d of the %d numbers are no dead letters of %s", b.set.Name(), len(numbers)-n, len(numbers), b.set.Arg(0))
	}
	return exitOK
}

// openStopped opens the log of a gateway that is stopped. Whatever the cap is, nothing is dropped for it.
func openStopped(o buffer.Options) (*journal.Journal, error) {
	o.SegmentSize = 4 << 20
	o.MaxSize, o.MaxKeys = o.SegmentSize*(o.SegmentSize/16), 0 // the most there may be
	o.MinFree, o.Newest = 0, true                              // on a full disk a letter stays what it is, rather than push something out
	return journal.Open(journal.Config{Pace: journal.DefaultPace, Buffer: o})
}
