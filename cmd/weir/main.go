package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
)

// Exit statuses, from sysexits.h where it has one.
const (
	exitOK       = 0
	exitFailed   = 1
	exitUsage    = 2
	exitListener = 69
	exitInUse    = 73
	exitNewer    = 76
	exitConfig   = 78
)

// console is what a command sees of the process.
type console struct {
	in       io.Reader
	out, err io.Writer
}

// output is standard output. It remembers that something could not be written, so that no command ends with status 0
// when its data is not where it should be. Safe for concurrent use.
type output struct {
	file *os.File

	mu     sync.Mutex // guards the field below
	failed error
}

// Write writes to the file.
func (o *output) Write(b []byte) (int, error) {
	n, err := o.file.Write(b)
	if err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.failed == nil {
			o.failed = err
		}
	}
	return n, err
}

// err is the first error there was.
func (o *output) err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failed
}

// fail prints what went wrong and gives the status.
func (c console) fail(status int, format string, a ...any) int {
	fmt.Fprintf(c.err, "weir: "+format+"\n", a...)
	return status
}

// command is one line of the table below.
type command struct {
	name, args, doc string
	run             func(ctx context.Context, c console, args []string) int
}

func main() {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if run := len(os.Args) > 1 && os.Args[1] == "run"; !run && !signal.Ignored(syscall.SIGHUP) { // run reloads; nohup
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	out := &output{file: os.Stdout}
	c := console{os.Stdin, out, os.Stderr}
	status := dispatch(ctx, c, os.Args[1:])
	if err := out.err(); err != nil && status == exitOK {
		status = c.unwritten(err)
	}
	os.Exit(status)
}

// dispatch runs the command that args name.
func dispatch(ctx context.Context, c console, args []string) int {
	if len(args) == 0 {
		usage(c.err)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		if len(args) > 1 {
			return dispatch(ctx, c, append(slices.Clone(args[1:]), "--help"))
		}
		usage(c.out)
		return exitOK
	}
	for _, cmd := range commands {
		if cmd.name == args[0] {
			return cmd.run(ctx, c, args[1:])
		}
	}
	return c.fail(exitUsage, "there is no command %q; the commands are listed by: weir help", args[0])
}

func usage(w io.Writer) {
	fmt.Fprint(w, "weir reads sensors, serves them over MQTT and carries them to a cloud broker without losing any.\n\n")
	for _, cmd := range commands {
		fmt.Fprintf(w, "  weir %-8s %-22s %s\n", cmd.name, cmd.args, cmd.doc)
	}
	fmt.Fprint(w, "\nFlags of a command: weir help COMMAND\n")
}

// flags makes the flag set of a command; parse it with parseFlags.
func flags(name, synopsis string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprintf(f.Output(), "usage: weir %s %s\n", name, synopsis)
		f.PrintDefaults()
	}
	return f
}

// parseFlags parses args, in which flags may also stand behind other arguments; those are left in f.Args. done with a
// status: the command ends here.
func parseFlags(c console, f *flag.FlagSet, args []string) (status int, done bool) {
	f.SetOutput(io.Discard) // what flag would say is said below
	err := parseAll(f, args)
	if errors.Is(err, flag.ErrHelp) || len(args) == 1 && args[0] == "-h" { // -h is the host of some commands
		f.SetOutput(c.out)
		f.Usage()
		return exitOK, true
	}
	if err != nil {
		return c.fail(exitUsage, "%s: %v; the flags are listed by: weir help %s", f.Name(), err, f.Name()), true
	}
	return exitOK, false
}

func parseAll(f *flag.FlagSet, args []string) error {
	var others []string
	for {
		if err := f.Parse(args); err != nil {
			return err
		}
		read := len(args) - f.NArg()
		if f.NArg() == 0 || read > 0 && args[read-1] == "--" {
			others = append(others, f.Args()...)
			return f.Parse(append([]string{"--"}, others...))
		}
		others = append(others, f.Arg(0))
		args = f.Args()[1:]
	}
}
