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

// flash measures bytes written per reading of 100 bytes of JSON in an outage,
// through gateway/journal, from the time the log is open until everything is on
// the disk. The log grows all the while, so that files made for it are counted.
func flash(s *settings) error {
	fmt.Printf("bytes written per 100-byte JSON reading, median of %d runs of %g s\n", s.runs, flashSeconds)
	results := map[string][]flashResult{}
	for range s.runs {
		for _, c := range flashScenarios {
			r, err := inChild(s, c.name)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			results[c.name] = append(results[c.name], r)
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
		last := results[c.name][0]
		fmt.Printf("\n %s (%d readings, %d commits, %d segments begun)\n", c.text, last.Readings, last.Commits, last.Segments)
		fmt.Printf("   %-42s %7.1f\n", "item in the log, before compression", of(c.name, func(r flashResult) int64 { return r.Item }))
		fmt.Printf("   %-42s %7.1f\n", "written by weir to its files", of(c.name, func(r flashResult) int64 { return r.Asked }))
		fmt.Printf("   %-42s %7.1f\n", "write_bytes of the process", of(c.name, func(r flashResult) int64 { return r.Process }))
		if last.Device < 0 {
			fmt.Printf("   sectors of the device: NOT RUN, no device of its own\n")
			continue
		}
		device := of(c.name, func(r flashResult) int64 { return r.Device })
		fmt.Printf("   %-42s %7.1f\n", "sectors of the device", device)
		bar("bytes on the device per reading, "+c.name, device, c.want, true)
	}
	return nil
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
	if scenario != "own" {
		pace.Gather = time.Second
	}
	j, err := journal.Open(journal.Config{Pace: pace,
		Buffer: buffer.Options{Dir: filepath.Join(dir, "log"), MaxSize: 1 << 30, Compress: scenario != "raw"}})
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
	before, err := counters(s, dir)
	if err != nil {
		return err
	}
	stats := j.Log().Stats()
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- j.Run(ctx, func() {}) }()
	readings, err := produce(j, up.ID())
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
		Asked: now.Written - stats.Written, Item: now.Consumers[0].Backlog.Bytes, Commits: now.Commits - stats.Commits, Segments: now.Segments - stats.Segments}
	if s.device == "" {
		r.Device = -1
	}
	if err := j.Close(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// produce appends readings for a while: 1,000 a second from 20 publishers, one
// at a time as their packets come, or ten sensors of weir's own each second.
func produce(j *journal.Journal, upstream uint32) (readings int, err error) {
	rng := rand.New(rand.NewPCG(1, 2))
	routes := []broker.RouteHit{{Upstream: upstream, Rule: 1}}
	kind, every, each := broker.KindQoS1, 10*time.Millisecond, 10
	if scenario == "own" {
		kind, every, each = broker.KindLocal, time.Second, 10
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
