// Command bench measures weir's store beside others, in one run. It is a module
// of its own, so that weir does not depend on what it is compared with.
//
//	bench -dir DIR [-device loop0] [-runs 5] [-seconds 5] appends|flash|drain ...
//
// DIR lies on the file system that is written to; -device is the block device it
// is alone on, whose counters are read. What cannot be measured is printed as
// NOT RUN. Numbers are medians over runs; subjects take turns within each run.
// The exit status is 1 when a bar is missed and -gate is given.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"time"
)

// settings of one call.
type settings struct {
	dir     string
	device  string
	runs    int
	seconds float64
	records int
}

func (s *settings) span() time.Duration { return time.Duration(s.seconds * float64(time.Second)) }

var parts = map[string]func(*settings) error{
	"appends": appends, "flash": flash, "drain": drain,
	"flash-child": flashChild, // one scenario, in a process of its own
}

var (
	gate   = flag.Bool("gate", false, "exit with 1 when a bar is missed")
	missed bool
)

func main() {
	var s settings
	flag.StringVar(&s.dir, "dir", "", "directory to write in")
	flag.StringVar(&s.device, "device", "", "block device that only DIR's file system uses, as in /sys/class/block")
	flag.IntVar(&s.runs, "runs", 5, "runs of each measurement")
	flag.Float64Var(&s.seconds, "seconds", 5, "seconds of each append measurement")
	flag.IntVar(&s.records, "records", 1_000_000, "records to drain")
	flag.Float64Var(&flashSeconds, "flash-seconds", 60, "seconds of each flash measurement")
	flag.StringVar(&scenario, "scenario", "", "for flash: only this one of packed, raw, own")
	flag.Parse()
	if s.dir == "" || flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	for _, name := range flag.Args() {
		part := parts[name]
		if part == nil {
			fmt.Fprintf(os.Stderr, "no part %s\n", name)
			os.Exit(2)
		}
		if err := part(&s); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			os.Exit(1)
		}
	}
	if missed && *gate {
		os.Exit(1)
	}
}

// median of what was measured; 0 of nothing.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// bar prints whether a bar is kept.
func bar(what string, got, want float64, atMost bool) {
	ok, relation := got >= want, "at least"
	if atMost {
		ok, relation = got <= want, "at most"
	}
	word := "kept  "
	if !ok {
		word, missed = "MISSED", true
	}
	fmt.Printf("   bar %s: %s %.2f, want %s %g\n", word, what, got, relation, want)
}
