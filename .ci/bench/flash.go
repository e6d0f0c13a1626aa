package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"weir/broker"
	"weir/broker/message"
	"weir/buffer"
	"weir/gateway/journal"
)

var (
	flashSeconds float64
	scenario     string
)

// flashResult is what one scenario cost, per reading.
type flashResult struct {
	Readings int
	Device   int64 // bytes written to the block device, file system's own included; -1: not known
	Process  int64 // write_bytes of /proc/self/io
	Asked    int64 // bytes weir gave to the file system
	Prepared int64 // of those, what made files for later
	Dense    int64 // of those, what made segments smaller
	Disk     int64 // bytes the log's files take more than before
	Item     int64 // bytes of the stored readings before compression
	Commits  uint64
	Segments int // begun while measuring
}

var flashScenarios = []struct {
	name string
	want float64
	text string
}{
	{"packed", 60, "outage, 1,000 readings/s from publishers that do not wait, gather 1 s, compressed"},
	{"raw", 150, "the same, not compressed"},
	{"own", 500, "outage, 10 readings/s of weir's own, default settings"},
}

// ownLong is the same as own for hours, without waiting: the commits come one
// after the other, each with as many readings as two seconds bring.
const (
	ownLong      = "own-long"
	ownPerCommit = 20
	ownSegments  = 16
)

// rawLong is raw in a log that has grown by some segments before, so that the
// files it measures are such as it grows by.
const (
	rawLong      = "raw-long"
	rawPerCommit = 1000
	rawSegments  = 3
)

// flash measures bytes written per reading of 100 bytes of JSON in an outage,
// through gateway/journal, from the time the log is open until everything is on
// the disk. A log that grows writes each page of a new file twice, once to make
// the file, or writes an older segment anew in less room; one that recycles its
// files does neither. A run is too short to make as many files as it fills, so
// both are worked out from what was counted: without the files that were made,
// and with as much for files as was written into them. For weir's own readings a
// log is grown by 16 segments of the default 4 MiB, without waiting, and what weir
// wrote for that, made files and denser segments included, is taken; what the file
// system adds to it depends on the time, and comes from the run that takes it.
// The first outage of a device is of the second kind, those after it of the first.
func flash(s *settings) error {
	fmt.Printf("bytes written per 100-byte JSON reading, median of %d runs of %g s\n", s.runs, flashSeconds)
	results := map[string][]flashResult{}
	for range s.runs {
		for _, name := range []string{"packed", "raw", rawLong, "own", ownLong} {
			if scenario != "" && !strings.HasPrefix(name, scenario) {
				continue
			}
			r, err := inChild(s, name)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			results[name] = append(results[name], r)
		}
	}
	of := func(name string, f func(flashResult) int64) float64 {
		var v []float64
		for _, r := range results[name] {
			v = append(v, float64(f(r))/float64(r.Readings))
		}
		return median(v)
	}
	for _, c := range flashScenarios {
		if results[c.name] == nil {
			continue
		}
		last := results[c.name][0]
		fmt.Printf("\n %s (%d readings, %d commits, %d segments begun)\n", c.text, last.Readings, last.Commits, last.Segments)
		item := of(c.name, func(r flashResult) int64 { return r.Item })
		fmt.Printf("   %-42s %7.1f  %s\n", "item in the log, before compression", item, breakdown(c.name, item))
		fmt.Printf("   %-42s %7.1f\n", "written by weir: headers, blocks, padding", of(c.name, func(r flashResult) int64 { return r.Asked - r.Prepared }))
		fmt.Printf("   %-42s %7.1f\n", "written by weir: new files", of(c.name, func(r flashResult) int64 { return r.Prepared }))
		fmt.Printf("   %-42s %7.1f\n", "write_bytes of the process", of(c.name, func(r flashResult) int64 { return r.Process }))
		if c.name == "own" {
			long := results[ownLong][0]
			fmt.Printf("   grown by %d segments of 4 MiB, %d readings in %d commits:\n", long.Segments, long.Readings, long.Commits)
			fmt.Printf("   %-42s %7.1f\n", "  disk that the log takes", of(ownLong, func(r flashResult) int64 { return r.Disk }))
			fmt.Printf("   %-42s %7.1f\n", "  written by weir: headers, blocks, padding", of(ownLong, func(r flashResult) int64 { return r.Asked - r.Prepared - r.Dense }))
			fmt.Printf("   %-42s %7.1f\n", "  written by weir: new files", of(ownLong, func(r flashResult) int64 { return r.Prepared }))
			fmt.Printf("   %-42s %7.1f\n", "  written by weir: denser segments", of(ownLong, func(r flashResult) int64 { return r.Dense }))
		}
		if last.Device < 0 {
			fmt.Printf("   sectors of the device: NOT RUN, no device of its own\n")
			continue
		}
		recycled := of(c.name, func(r flashResult) int64 { return r.Device - r.Prepared })
		growing := of(c.name, func(r flashResult) int64 { return r.Device - r.Prepared + r.Asked - r.Prepared })
		if c.name == "raw" { // files that are allocated only: what was made in the time is small, or is in it
			growing = of(rawLong, func(r flashResult) int64 { return r.Device })
			fmt.Printf("   %-42s %7d\n", "segments begun while it grew", results[rawLong][0].Segments)
		}
		if c.name == "own" {
			growing = of("own", func(r flashResult) int64 { return r.Device - r.Asked }) + of(ownLong, func(r flashResult) int64 { return r.Asked })
		}
		fmt.Printf("   %-42s %7.1f\n", "sectors of the device, as they were", of(c.name, func(r flashResult) int64 { return r.Device }))
		fmt.Printf("   %-42s %7.1f\n", "sectors of the device, files recycled", recycled)
		fmt.Printf("   %-42s %7.1f\n", "sectors of the device, log growing", growing)
		bar("bytes on the device per reading, "+c.name+", files recycled", recycled, c.want, true)
		bar("bytes on the device per reading, "+c.name+", log growing", growing, c.want, true)
	}
	return nil
}

// breakdown says what the bytes of an item are.
func breakdown(name string, item float64) string {
	kind := broker.KindQoS1
	if name == "own" {
		kind = broker.KindLocal
	}
	var m message.Message
	fillReading(&m, rand.New(rand.NewPCG(1, 2)), 0, time.Now(), 0, kind)
	head, err := m.AppendHead(nil)
	if err != nil {
		return err.Error()
	}
	const dests = 1 + 1 + 1 + 4 // count, consumer, length, rule
	return fmt.Sprintf("(length, flags, number, time %.0f; destination %d; message %d: topic %d, origin %d, rest %d; payload %d)",
		item-float64(dests+len(head)+len(m.Payload)), dests, len(head), len(m.Topic), len(m.Origin), len(head)-len(m.Topic)-len(m.Origin), len(m.Payload))
}

// inChild runs a scenario in a process of its own, whose write_bytes count
// nothing else.
func inChild(s *settings, name string) (r flashResult, err error) {
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	cmd := exec.Command(self, "-dir", s.dir, "-device", s.device, "-flash-seconds", strconv.FormatFloat(flashSeconds, 'g', -1, 64), "-scenario", name, "flash-child")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(out, &r)
}

func flashChild(s *settings) error {
	dir, err := os.MkdirTemp(s.dir, "flash")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	pace := journal.DefaultPace
	if !strings.HasPrefix(scenario, "own") {
		pace.Gather = time.Second
	}
	j, err := journal.Open(journal.Config{Pace: pace,
		Buffer: buffer.Options{Dir: filepath.Join(dir, "log"), MaxSize: 1 << 30, Compress: !strings.HasPrefix(scenario, "raw")}})
	if err != nil {
		return err
	}
	up, err := j.Source("cloud")
	if err != nil {
		return err
	}
	if err := j.Commit(); err != nil {
		return err
	}
	if scenario == rawLong {
		if _, err := grow(j, up.ID(), rawSegments, rawPerCommit); err != nil {
			return err
		}
	}
	before, err := counters(s, dir)
	if err != nil {
		return err
	}
	stats := j.Log().Stats()
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- j.Run(ctx, func() {}) }()
	readings := 0
	if scenario == ownLong {
		readings, err = grow(j, up.ID(), ownSegments, ownPerCommit)
	} else {
		readings, err = produce(j, up.ID())
	}
	cancel()
	if err := <-ran; err != nil {
		return err
	}
	if err == nil {
		err = j.Commit()
	}
	if err != nil {
		return err
	}
	after, err := counters(s, dir)
	if err != nil {
		return err
	}
	now := j.Log().Stats()
	r := flashResult{Readings: readings, Device: after.device - before.device, Process: after.process - before.process,
		Asked: now.Written - stats.Written, Prepared: now.Prepared - stats.Prepared, Dense: now.Rewriting - stats.Rewriting, Disk: now.Bytes - stats.Bytes, Item: now.Consumers[0].Backlog.Bytes, Commits: now.Commits - stats.Commits, Segments: now.Segments - stats.Segments}
	if s.device == "" {
		r.Device = -1
	}
	if err := j.Close(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// produce appends readings for a while: 1,000 a second from 20 publishers, one
// at a time as their packets come, or weir's own, one each tenth of a second.
func produce(j *journal.Journal, upstream uint32) (readings int, err error) {
	rng := rand.New(rand.NewPCG(1, 2))
	routes := []broker.RouteHit{{Upstream: upstream, Rule: 1}}
	kind, every, each := broker.KindQoS1, 10*time.Millisecond, 10
	if scenario == "own" {
		kind, every, each = broker.KindLocal, 100*time.Millisecond, 1
	}
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	begun := time.Now()
	var m message.Message
	for now := range ticks.C {
		since := now.Sub(begun)
		if since > time.Duration(flashSeconds*float64(time.Second)) {
			break
		}
		for ; readings < each*int(since/every); readings++ {
			if kind == broker.KindQoS1 {
				since = time.Since(begun)
			}
			fillReading(&m, rng, readings, now, since, kind)
			if _, n := j.Append([]broker.Entry{{Message: &m, Routes: routes, Kind: kind}}); n != 1 {
				return readings, fmt.Errorf("reading %d was not taken", readings)
			}
		}
	}
	return readings, nil
}

// grow appends weir's own readings, and commits, until so many segments are begun.
func grow(j *journal.Journal, upstream uint32, segments, perCommit int) (readings int, err error) {
	rng := rand.New(rand.NewPCG(1, 2))
	routes := []broker.RouteHit{{Upstream: upstream, Rule: 1}}
	begun := time.Now()
	var m message.Message
	for from := j.Log().Stats().Segments; j.Log().Stats().Segments < from+segments; {
		for range perCommit {
			since := time.Duration(readings) * 100 * time.Millisecond
			fillReading(&m, rng, readings, begun.Add(since), since, broker.KindLocal)
			if _, n := j.Append([]broker.Entry{{Message: &m, Routes: routes, Kind: broker.KindLocal}}); n != 1 {
				return readings, fmt.Errorf("reading %d was not taken", readings)
			}
			readings++
		}
		if err := j.Commit(); err != nil {
			return readings, err
		}
	}
	return readings, nil
}

// fillReading makes a reading as a sensor node sends it: 100 bytes of JSON.
func fillReading(m *message.Message, rng *rand.Rand, n int, now time.Time, since time.Duration, kind broker.Kind) {
	m.Origin = nil
	m.QoS = 0
	if kind == broker.KindQoS1 {
		m.Origin, m.QoS = fmt.Appendf(m.Origin[:0], "meter-%02d", n%20), 1
	}
	m.Stamp = message.Stamp{Boot: 7, Since: 100*time.Hour + since, Wall: now.Add(since % time.Second).UnixNano()}
	m.Topic = []byte("/Home/Floor1/Room1/Temperature")
	if n%4 > 0 {
		m.Topic = fmt.Appendf(nil, "/Home/Floor%d/Room%d/Temperature", 1+n%4, 1+n%5)
	}
	p := fmt.Appendf(nil, `{"time":"%s","value":%.2f,"unit":"°C","quality":"good"`,
		now.Add(since%time.Second).UTC().Format("2006-01-02T15:04:05.000Z"), 21+rng.NormFloat64())
	p = fmt.Appendf(p, `,"battery":%.3f`, 3.1+rng.Float64()/10)
	for len(p) < 99 {
		p = append(p, ' ')
	}
	m.Payload = append(p[:99], '}')
}

type counts struct{ device, process int64 }

// counters waits until everything is on the disk and reads what was written.
func counters(s *settings, dir string) (c counts, err error) {
	f, err := os.Open(dir)
	if err != nil {
		return c, err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return c, err
	}
	io, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return c, err
	}
	for line := range strings.Lines(string(io)) {
		if v, ok := strings.CutPrefix(line, "write_bytes:"); ok {
			if c.process, err = strconv.ParseInt(strings.TrimSpace(v), 10, 64); err != nil {
				return c, err
			}
		}
	}
	if s.device == "" {
		return c, nil
	}
	stat, err := os.ReadFile("/sys/class/block/" + s.device + "/stat")
	if err != nil {
		return c, err
	}
	fields := strings.Fields(string(stat))
	if len(fields) < 7 {
		return c, fmt.Errorf("%s: %d counters, want 7", s.device, len(fields))
	}
	sectors, err := strconv.ParseInt(fields[6], 10, 64) // of 512 bytes
	c.device = 512 * sectors
	return c, err
}
