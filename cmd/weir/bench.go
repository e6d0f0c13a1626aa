package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"weir/broker/bench"
	"weir/broker/packet"
)

// benchCommands is what weir bench can do.
var benchCommands = []command{
	{"broker", "[--url URL] [SCENARIO...]", "put load on a broker", runBenchBroker},
	{"bare", "[--listen ADDRESS]", "be the peer that does the least: what bench broker does with it is its own limit", runBenchBare},
}

func runBench(ctx context.Context, c console, args []string) int {
	if len(args) == 0 {
		benchUsage(c.err)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		benchUsage(c.out)
		return exitOK
	}
	for _, cmd := range benchCommands {
		if cmd.name == args[0] {
			return cmd.run(ctx, c, args[1:])
		}
	}
	return c.fail(exitUsage, "bench: there is no %q; what there is, is listed by: weir help bench", args[0])
}

func benchUsage(w io.Writer) {
	fmt.Fprint(w, "weir bench puts load on a broker and says what it does, what it costs, and where the load generator itself ends.\n\n")
	for _, cmd := range benchCommands {
		fmt.Fprintf(w, "  weir bench %-7s %-26s %s\n", cmd.name, cmd.args, cmd.doc)
	}
	fmt.Fprint(w, "\nScenarios of weir bench broker, in the order in which they run; fan-in and paced are all of theirs:\n\n")
	for _, s := range bench.Scenarios {
		fmt.Fprintf(w, "  %-9s %s\n", s.Name, s.Doc)
	}
	fmt.Fprint(w, "\nFlags of each: weir help bench NAME\n")
}

// benchFlags are those of weir bench broker.
type benchFlags struct {
	set                                *flag.FlagSet
	protocol, passwordFile, exec       string
	asJSON, small, limit               bool
	options                            bench.Options
	span                               time.Duration
	payload, publishers, window, ahead int
}

func newBenchFlags() *benchFlags {
	b := &benchFlags{set: flags("bench broker", "[--url mqtt://127.0.0.1:1883] [--json] [SCENARIO...]")}
	f := b.set
	f.StringVar(&b.options.URL, "url", "mqtt://127.0.0.1:1883", "the broker")
	f.StringVar(&b.protocol, "V", "311", "protocol version: 5 or 311")
	f.StringVar(&b.options.Username, "u", "", "user name")
	f.StringVar(&b.passwordFile, "password-file", "", "file that holds the password")
	f.IntVar(&b.options.PID, "pid", 0, "process of the broker, for its CPU and memory (default: whoever has the other end of the connection)")
	f.StringVar(&b.exec, "exec", "", "start the broker with this program and its arguments, anew for each scenario")
	f.BoolVar(&b.small, "small", false, "a glance: shorter, and a tenth of filters and retained messages; its figures are rough")
	f.BoolVar(&b.limit, "limit", true, "print beside the figures of speed what the load generator does with a peer that does the least")
	f.BoolVar(&b.asJSON, "json", false, "print JSON")
	f.DurationVar(&b.span, "for", 0, "how long a load is measured (default 5s, with --small 1s)")
	f.IntVar(&b.payload, "payload", 0, "bytes of a message, at least 24 (default 64)")
	f.IntVar(&b.publishers, "publishers", 0, "publishers of fan-in (default 20)")
	f.IntVar(&b.window, "window", 0, "messages of QoS 1 and 2 that a publisher has unacknowledged (default 20)")
	f.IntVar(&b.ahead, "ahead", 0, "messages that all publishers together may be ahead of the slowest subscriber (default 3000, at QoS 1 and 2 600)")
	return b
}

// settle turns the flags into options, or says which is wrong.
func (b *benchFlags) settle() error {
	o := &b.options
	switch b.protocol {
	case "5", "mqttv5":
		o.Version = packet.V5
	case "311", "mqttv311", "4":
		o.Version = packet.V311
	default:
		return fmt.Errorf("-V %s: want 5 or 311", b.protocol)
	}
	if b.passwordFile != "" {
		text, err := os.ReadFile(b.passwordFile)
		if err != nil {
			return fmt.Errorf("--password-file: %w", err)
		}
		if o.Password = bytes.TrimRight(text, "\r\n"); len(o.Password) == 0 {
			return fmt.Errorf("--password-file: %s is empty", b.passwordFile)
		}
	}
	o.Size = bench.Full()
	if b.small {
		o.Size = bench.Small()
	}
	if b.span != 0 {
		if b.span < 10*time.Millisecond {
			return fmt.Errorf("--for %v: want at least 10ms", b.span)
		}
		o.Size.For = b.span
	}
	for _, n := range []struct {
		flag   string
		given  int
		target *int
	}{
		{"payload", b.payload, &o.Size.Payload}, {"publishers", b.publishers, &o.Size.Publishers},
		{"window", b.window, &o.Size.Window}, {"ahead", b.ahead, &o.Size.Ahead}, {"ahead", b.ahead, &o.Size.AheadQueued},
	} {
		if given(b.set, n.flag) {
			if n.given <= 0 {
				return fmt.Errorf("--%s %d: want at least 1", n.flag, n.given)
			}
			*n.target = n.given
		}
	}
	o.Exec, o.Scenarios = strings.Fields(b.exec), b.set.Args()
	return b.bare()
}

// bare says how this program is started as the peer that does the least.
func (b *benchFlags) bare() error {
	if !b.limit {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("--limit: %w", err)
	}
	b.options.Limit = []string{self, "bench", "bare", "--until-eof"}
	return nil
}

func runBenchBroker(ctx context.Context, c console, args []string) int {
	b := newBenchFlags()
	if status, done := parseFlags(c, b.set, args); done {
		return status
	}
	if err := b.settle(); err != nil {
		return c.fail(exitUsage, "bench broker: %v", err)
	}
	each := func(bench.Result) {}
	if !b.asJSON {
		table := &benchTable{out: c.out, options: &b.options}
		each = table.print
	}
	report, err := bench.Run(ctx, b.options, each)
	switch {
	case report == nil:
		return c.fail(exitUsage, "bench broker: %v", err)
	case b.asJSON:
		if status := printJSON(c, report); status != exitOK {
			return status
		}
	}
	status := exitOK
	if err != nil {
		status = c.fail(exitFailed, "bench broker: interrupted")
	}
	for _, r := range report.Results {
		if r.Error != "" {
			status = c.fail(exitFailed, "bench broker: %s: %s", r.Scenario, r.Error)
		}
	}
	return status
}

func runBenchBare(ctx context.Context, c console, args []string) int {
	f := flags("bench bare", "[--listen 127.0.0.1:0]")
	listen := f.String("listen", "127.0.0.1:0", "address and port; port 0 is a free one, and the first line of the output names it")
	untilEOF := f.Bool("until-eof", false, "end with standard input")
	if status, done := parseFlags(c, f, args); done {
		return status
	}
	if f.NArg() > 0 {
		return c.fail(exitUsage, "bench bare: got %q, want only flags", f.Arg(0))
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return c.fail(exitListener, "bench bare: %v", err)
	}
	fmt.Fprintln(c.out, l.Addr())
	if *untilEOF {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		go func() { // ends with standard input or the process
			_, _ = io.Copy(io.Discard, c.in)
			cancel()
		}()
	}
	if err := bench.Bare(ctx, l); err != nil {
		return c.fail(exitFailed, "bench bare: %v", err)
	}
	return exitOK
}
