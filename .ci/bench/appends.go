package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// store is a subject of the append measurement.
type store interface {
	// put makes p durable before it returns. Called by all producers at once.
	put(p []byte) error
	close() error
}

// subject is a store that can be made.
type subject struct {
	name string
	peer bool // somebody else's, as it comes
	open func(dir string, producers int) (store, error)
}

var subjects = []subject{
	{"weir", false, openWeir},
	{"bbolt, Batch", true, openBolt},
	{"SQLite, WAL, FULL", true, openSQLite},
	{"tidwall/wal, sync", true, openWAL},
	// Helped by their caller, who gathers or tunes: not what the bar is about, but good to know.
	{"bbolt, tuned", false, openTunedBolt},
	{"SQLite, grouped", false, grouped(openSQLite)},
	{"tidwall/wal, grouped", false, grouped(openWAL)},
}

const messageSize = 100

// appends measures durable appends per second with some producers, each waiting
// until its message is durable before it sends the next one. After weir the bare
// limit does what weir did: as many writes of as many pages, each synced.
func appends(s *settings) error {
	fmt.Printf("durable appends per second, %d-byte messages, median of %d runs of %g s\n", messageSize, s.runs, s.seconds)
	for _, producers := range []int{1, 16, 256} {
		rates := map[string][]float64{}
		var ratios []float64
		var shape bareShape
		for range s.runs {
			for _, u := range subjects {
				rate, st, err := measure(s, u, producers)
				if err != nil {
					return fmt.Errorf("%s: %w", u.name, err)
				}
				rates[u.name] = append(rates[u.name], rate)
				if w, ok := st.(*weirStore); ok {
					shape = w.shape()
					limit, err := bare(s, shape)
					if err != nil {
						return err
					}
					rates["bare limit"] = append(rates["bare limit"], limit)
					ratios = append(ratios, rate/limit)
				}
			}
		}
		fmt.Printf("\n %d producers (weir: %.1f records and %.0f bytes a commit)\n", producers, shape.perSync(), shape.bytesPerSync())
		weir, best, helped := median(rates["weir"]), 0.0, 0.0
		fmt.Printf("   %-22s %10.0f/s\n", "bare limit", median(rates["bare limit"]))
		for _, u := range subjects {
			rate := median(rates[u.name])
			fmt.Printf("   %-22s %10.0f/s  weir is %.2f times as fast\n", u.name, rate, weir/rate)
			switch {
			case u.peer:
				best = max(best, rate)
			case u.name != "weir":
				helped = max(helped, rate)
			}
		}
		bar("weir of the bare limit", median(ratios), 0.8, false)
		if producers == 256 {
			bar("weir of the best of the others", weir/best, 5, false)
			fmt.Printf("   of the best that is helped by its caller: %.2f\n", weir/helped)
		}
	}
	return nil
}

// measure runs one subject for a while.
func measure(s *settings, u subject, producers int) (rate float64, st store, err error) {
	dir, err := os.MkdirTemp(s.dir, "appends")
	if err != nil {
		return 0, nil, err
	}
	defer os.RemoveAll(dir)
	if st, err = u.open(filepath.Join(dir, "store"), producers); err != nil {
		return 0, nil, err
	}
	if w, ok := st.(*weirStore); ok {
		w.begin()
	}
	var count atomic.Int64
	var stop atomic.Bool
	var failure atomic.Value
	var g sync.WaitGroup
	begun := time.Now()
	timer := time.AfterFunc(s.span(), func() { stop.Store(true) })
	defer timer.Stop()
	for i := range producers {
		g.Go(func() {
			p := make([]byte, messageSize)
			copy(p, fmt.Sprintf("producer %d", i))
			for !stop.Load() {
				if err := st.put(p); err != nil {
					failure.Store(err)
					return
				}
				count.Add(1)
			}
		})
	}
	g.Wait()
	took := time.Since(begun)
	if w, ok := st.(*weirStore); ok {
		w.end(took)
	}
	err = st.close()
	if e, ok := failure.Load().(error); ok {
		err = e
	}
	return float64(count.Load()) / took.Seconds(), st, err
}

// group makes a store share syncs that does not do so itself: one goroutine
// takes all messages that wait and writes them as one.
type group struct {
	batch interface {
		store
		putAll([][]byte) error
	}
	in   chan request
	done chan struct{}
}

type request struct {
	p    []byte
	done chan error
}

func grouped(open func(string, int) (store, error)) func(string, int) (store, error) {
	return func(dir string, producers int) (store, error) {
		st, err := open(dir, producers)
		if err != nil {
			return nil, err
		}
		g := &group{in: make(chan request, producers), done: make(chan struct{})}
		g.batch = st.(interface {
			store
			putAll([][]byte) error
		})
		go g.run(producers)
		return g, nil
	}
}

func (g *group) run(most int) {
	defer close(g.done)
	for first := range g.in {
		waiting := []request{first}
		for more := true; more && len(waiting) < most; {
			select {
			case r, ok := <-g.in:
				if more = ok; ok {
					waiting = append(waiting, r)
				}
			default:
				more = false
			}
		}
		var all [][]byte
		for _, r := range waiting {
			all = append(all, r.p)
		}
		err := g.batch.putAll(all)
		for _, r := range waiting {
			r.done <- err
		}
	}
}

func (g *group) put(p []byte) error {
	r := request{p, make(chan error, 1)}
	g.in <- r
	return <-r.done
}

func (g *group) close() error {
	close(g.in)
	<-g.done
	return g.batch.close()
}
