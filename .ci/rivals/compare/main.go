// Command compare runs weir bench broker on weir and on other brokers, one after another in each run, and holds the
// medians against the bars.
//
//	compare -weir FILE -mosquitto FILE -mochi FILE -nats FILE -work DIR [-runs 5] [-small] [-gate] [SCENARIO...]
//
// A broker is started anew for each scenario of each run, with an empty directory. The order of the brokers changes from run
// to run. What cannot be measured is printed as NOT RUN. The exit status is 1 when a bar is missed and -gate is given.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// subject is one broker.
type subject struct {
	name    string
	program string
	prepare func(s *subject, dir string) (args []string, err error) // its directory is new and empty
	address string

	values map[string][]float64 // by scenario and figure, one for each run in which it is known
	errors []string
}

type report struct {
	Results []struct {
		Scenario string
		Error    string
		Figures  []struct {
			Name, Unit   string
			Value, Limit *float64
		}
	}
}

var (
	weir  = flag.String("weir", "", "the weir program; it is the load generator too")
	work  = flag.String("work", "", "directory for what the brokers store")
	runs  = flag.Int("runs", 5, "runs")
	small = flag.Bool("small", false, "a glance")
	gate  = flag.Bool("gate", false, "exit with 1 when a bar is missed")
	raw   = flag.String("raw", "", "file to which the report of each single run is added, as a line of JSON")
)

const ownLimit = "own limit"

func main() {
	mosquitto := flag.String("mosquitto", "", "program")
	mochi := flag.String("mochi", "", "program")
	nats := flag.String("nats", "", "program")
	flag.Parse()
	if *weir == "" || *work == "" || *runs < 1 {
		flag.Usage()
		os.Exit(2)
	}
	subjects := []*subject{
		{name: "weir", program: *weir, prepare: prepareWeir},
		{name: "mosquitto", program: *mosquitto, prepare: prepareMosquitto},
		{name: "mochi", program: *mochi, prepare: func(s *subject, _ string) ([]string, error) { return []string{s.address}, nil }},
		{name: "nats", program: *nats, prepare: func(s *subject, dir string) ([]string, error) { return []string{s.address, dir}, nil }},
		{name: ownLimit}, // is filled by the runs of weir
	}
	for _, s := range subjects {
		s.values = map[string][]float64{}
	}
	started := time.Now()
	if err := measure(subjects, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
	missed := table(os.Stdout, subjects, flag.Args())
	fmt.Printf("%d runs in %v\n", *runs, time.Since(started).Round(time.Second))
	if missed && *gate {
		os.Exit(1)
	}
}

// scenarios are those of the bars, in their order, and of these the chosen ones.
func scenarios(chosen []string) (names []string) {
	for _, b := range bars {
		if !slices.Contains(names, b.scenario) && (len(chosen) == 0 || slices.Contains(chosen, b.scenario)) {
			names = append(names, b.scenario)
		}
	}
	return names
}

func measure(subjects []*subject, chosen []string) error {
	for run := range *runs {
		for _, scenario := range scenarios(chosen) {
			for i := range subjects {
				s := subjects[(i+run)%len(subjects)]
				if s.program == "" {
					continue
				}
				if err := s.measure(scenario, run); err != nil {
					return fmt.Errorf("%s, %s: %w", s.name, scenario, err)
				}
				if s.name == "weir" {
					s.takeLimits(subjects[len(subjects)-1])
				}
			}
		}
		fmt.Fprintf(os.Stderr, "run %d of %d is done\n", run+1, *runs)
	}
	return nil
}

// measure runs one scenario on a fresh broker. What goes wrong with the broker is kept; an error is about us.
func (s *subject) measure(scenario string, run int) error {
	dir := filepath.Join(*work, s.name)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if s.address == "" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s.address = l.Addr().String()
		if err := l.Close(); err != nil {
			return err
		}
	}
	args, err := s.prepare(s, dir)
	if err != nil {
		return err
	}
	call := []string{"bench", "broker", "--json", "--url", "mqtt://" + s.address, "--exec", s.program + " " + strings.Join(args, " ")}
	call = append(call, fmt.Sprintf("--small=%v", *small), fmt.Sprintf("--limit=%v", s.name == "weir"), scenario)
	cmd := exec.Command(*weir, call...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	failed := cmd.Run() // status 1 when a scenario failed: the report says how
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return fmt.Errorf("%w: %s", failed, errs.String())
	}
	s.take(&r, run)
	return keep(s.name, run, out.Bytes())
}

// take adds the figures of a report.
func (s *subject) take(r *report, run int) {
	for _, result := range r.Results {
		if result.Error != "" {
			s.errors = append(s.errors, fmt.Sprintf("%s, %s, run %d: %s", s.name, result.Scenario, run+1, result.Error))
		}
		for _, f := range result.Figures {
			key := result.Scenario + " " + f.Name
			if f.Value != nil {
				s.values[key] = append(s.values[key], *f.Value)
			}
			if f.Limit != nil {
				s.values[ownLimit+" "+key] = append(s.values[ownLimit+" "+key], *f.Limit)
			}
		}
	}
}

// takeLimits moves the limits of the load generator to their own column.
func (s *subject) takeLimits(to *subject) {
	for key, values := range s.values {
		if figure, ok := strings.CutPrefix(key, ownLimit+" "); ok {
			to.values[figure] = append(to.values[figure], values...)
			delete(s.values, key)
		}
	}
}

// keep adds one report to the raw file.
func keep(name string, run int, text []byte) error {
	if *raw == "" {
		return nil
	}
	f, err := os.OpenFile(*raw, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	var line bytes.Buffer
	if err := json.Compact(&line, text); err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "{\"broker\":%q,\"run\":%d,\"report\":%s}\n", name, run+1, line.Bytes())
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// prepareWeir writes the configuration of somebody who wants a local broker and no sensors.
func prepareWeir(s *subject, dir string) ([]string, error) {
	file := filepath.Join(dir, "weir.toml")
	text := fmt.Sprintf("[gateway]\ndata_dir = %q\n[sensors]\nauto = false\n[listener.local]\naddress = %q\n", filepath.Join(dir, "data"), s.address)
	return []string{"run", "--config", file}, os.WriteFile(file, []byte(text), 0o600)
}

// prepareMosquitto takes every bound from its queues, and has it log nothing.
func prepareMosquitto(s *subject, dir string) ([]string, error) {
	host, port, err := net.SplitHostPort(s.address)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "mosquitto.conf")
	text := fmt.Sprintf("listener %s %s\nallow_anonymous true\nmax_queued_messages 0\nmax_queued_bytes 0\nmax_inflight_messages 0\npersistence false\nlog_type none\n", port, host)
	return []string{"-c", file}, os.WriteFile(file, []byte(text), 0o644)
}
