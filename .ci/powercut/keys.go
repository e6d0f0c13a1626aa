package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"time"

	"weir/buffer"
)

// The keyed state after n commits follows from n alone: each changes some keys, deletes some, and writes n beside them.
const (
	keysUsed     = 60
	keysPerStep  = 5
	generation   = "generation"
	keyValueSize = 300
)

// change says what commit n does to its ith key: nil deletes it.
func change(n, i int) (key string, value []byte) {
	k := (n*7 + i*13) % keysUsed
	if (n+i)%6 == 0 {
		return "key/" + strconv.Itoa(k), nil
	}
	return "key/" + strconv.Itoa(k), bytes.Repeat([]byte(strconv.Itoa(n)+"."), 1+(n+i)%(keyValueSize/8))
}

// stateAfter is what n commits leave.
func stateAfter(n int) map[string]string {
	m := map[string]string{}
	for g := max(1, n-20*keysUsed); g <= n; g++ { // each key is written again and again: what is longer ago does not show
		for i := range keysPerStep {
			if k, v := change(g, i); v == nil {
				delete(m, k)
			} else {
				m[k] = string(v)
			}
		}
	}
	if n > 0 {
		m[generation] = strconv.Itoa(n)
	}
	return m
}

// runKeys opens the log in dir, says "state n" when what it holds is the state after n commits, and unless check is set
// goes on, saying "done n" after each commit.
func runKeys(dir string, check bool, out io.Writer) error {
	l, err := buffer.Open(buffer.Options{Dir: dir, SegmentSize: 64 << 10, MaxSize: 4 << 20, TailSize: 64 << 10})
	if err != nil {
		return err
	}
	defer l.Close()
	have := map[string]string{}
	l.Range("", func(k string, v []byte) bool { have[k] = string(v); return true })
	n, _ := strconv.Atoi(have[generation])
	want := stateAfter(n)
	for k, v := range want {
		if have[k] != v {
			return fmt.Errorf("key %s is %.20q after %d commits, want %.20q", k, have[k], n, v)
		}
	}
	if len(have) != len(want) {
		return fmt.Errorf("%d keys after %d commits, want %d", len(have), n, len(want))
	}
	if r := l.Recovery(); r.LostRecords() > 0 {
		return fmt.Errorf("it says that %d records were lost: %+v", r.LostRecords(), r)
	}
	fmt.Fprintf(out, "state %d\n", n)
	for n++; !check; n++ {
		for i := range keysPerStep {
			k, v := change(n, i)
			if v == nil {
				l.Delete(k)
			} else if err := l.Put(k, v); err != nil {
				return err
			}
		}
		if err := l.Put(generation, []byte(strconv.Itoa(n))); err != nil {
			return err
		}
		if err := l.Commit(); err != nil {
			return err
		}
		fmt.Fprintf(out, "done %d\n", n)
		time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond) // a flush is for the whole disk: leave the other program's writes at risk
	}
	return nil
}
