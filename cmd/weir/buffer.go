package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"weir/buffer"
	"weir/gateway"
	"weir/gateway/config"
	"weir/gateway/journal"
)

// bufferCommands is what weir buffer can do, in the order in which help lists it.
var bufferCommands = []command{
	{"stat", "[--json]", "what waits for whom, and how much room it takes", runBufferStat},
	{"ls", "[--records [CONSUMER]]", "the segments, or the records that are not done with", runBufferLs},
	{"cat", "[--consumer NAME] [-v]", "the payloads of the records that wait", runBufferCat},
	{"verify", "[--json]", "read every byte and say what is damaged", runBufferVerify},
	{"export", "[--format jsonl|csv]", "everything that is stored, done with or not", runBufferExport},
	{"replay", "UPSTREAM [NUMBER ...]", "put dead letters back into the queue; weir must be stopped", runBufferReplay},
	{"drop", "UPSTREAM [NUMBER ...]", "give dead letters up; weir must be stopped", runBufferDrop},
	{"repair", "[--dry-run]", "make a damaged store sound; weir must be stopped", runBufferRepair},
}

func runBuffer(ctx context.Context, c console, args []string) int {
	if len(args) == 0 {
		bufferUsage(c.err)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		bufferUsage(c.out)
		return exitOK
	}
	for _, cmd := range bufferCommands {
		if cmd.name != args[0] {
			continue
		}
		if shown := c.harmless(); cmd.name == "cat" { // a format may have colours of its own
			c.err = shown.err
		} else {
			c = shown
		}
		if cmd.name == "replay" || cmd.name == "drop" { // what they began they end
			return cmd.run(ctx, c, args[1:])
		}
		status, err := waitFor(ctx, func() (int, error) { return cmd.run(ctx, c, args[1:]), nil })
		if err != nil {
			return c.fail(exitFailed, "buffer %s: %v%s", cmd.name, err, interrupted[cmd.name])
		}
		return status
	}
	return c.fail(exitUsage, "buffer: there is no %q; what there is, is listed by: weir help buffer", args[0])
}

// interrupted is what to say of commands that end in the middle of their work.
var interrupted = map[string]string{
	"repair": "; what was repaired is repaired, nothing was lost by it, and the rest is done by running it again",
	"verify": "; what it had not read by then may be damaged",
	"export": "; what was printed is not all of it",
}

func bufferUsage(w io.Writer) {
	fmt.Fprint(w, "weir buffer looks into the data directory, whether weir runs or not. What is only in the memory of a running weir is not there.\n\n")
	for _, cmd := range bufferCommands {
		fmt.Fprintf(w, "  weir buffer %-7s %-24s %s\n", cmd.name, cmd.args, cmd.doc)
	}
	fmt.Fprint(w, "\nFlags of each: weir help buffer NAME\n")
}

// bufferFlags are those that every weir buffer has.
type bufferFlags struct {
	set             *flag.FlagSet
	config, dataDir *string
	dir             string         // of the log
	options         buffer.Options // of the log, as a gateway would open it; the zero value without a configuration
}

func newBufferFlags(name, synopsis string) *bufferFlags {
	f := flags("buffer "+name, synopsis+" [--config FILE | --data-dir DIR]")
	return &bufferFlags{
		set:     f,
		config:  f.String("config", defaultConfig, "the configuration that says where the data directory is; the default one need not exist"),
		dataDir: f.String("data-dir", "", "the data directory, instead of the one of the configuration"),
	}
}

// parse reads the command line, which may have up to so many other arguments, and finds the directory. done with a status:
// the command ends here.
func (b *bufferFlags) parse(c console, args []string, most int) (status int, done bool) {
	if status, done := parseFlags(c, b.set, args); done {
		return status, true
	}
	if b.set.NArg() > most {
		return c.fail(exitUsage, "%s: got %q, want only flags; they are listed by: weir help %s", b.set.Name(), b.set.Arg(most), b.set.Name()), true
	}
	if *b.dataDir != "" {
		if given(b.set, "config") {
			return c.fail(exitUsage, "%s: want --config or --data-dir, not both", b.set.Name()), true
		}
		b.dir = logBelow(*b.dataDir)
		return exitOK, false
	}
	cfg, status := load(c, *b.config, config.Options{SkipFiles: true, Optional: !given(b.set, "config")})
	if cfg == nil {
		return c.fail(status, "%s: the data directory can also be named by itself, with --data-dir", b.set.Name()), true
	}
	b.options = gateway.StoreOptions(cfg, nil)
	b.dir = b.options.Dir
	if cfg.Gateway.DataDir == "" {
		return c.fail(exitFailed, "%s: no data directory is known: name it with --data-dir, or the configuration with --config", b.set.Name()), true
	}
	return exitOK, false
}

// logBelow is where the log is in a data directory; the log's own directory is understood too.
func logBelow(dir string) string {
	if st, err := os.Stat(filepath.Join(dir, "log")); err == nil && st.IsDir() {
		return filepath.Join(dir, "log")
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "????????????????.log")); len(found) > 0 {
		return dir
	}
	return filepath.Join(dir, "log")
}

// inspect looks into the store. A nil view comes with the exit status.
func (b *bufferFlags) inspect(c console) (*buffer.View, int) {
	v, err := buffer.Inspect(buffer.DirFS(b.dir))
	if err == nil {
		err = b.none(v)
	}
	if err != nil {
		return nil, b.fail(c, err)
	}
	return v, exitOK
}

// errNoStore: a directory is there, and nothing that a log would start from.
var errNoStore = errors.New("none of its files is a segment of a store")

// none is errNoStore if that is so: nothing is sound about a store that is not there.
func (b *bufferFlags) none(v *buffer.View) error {
	if len(v.Segments)+len(v.Unsound)+len(v.Snapshots) > 0 {
		return nil
	}
	if odd := b.odd(); len(odd) > 0 {
		return fmt.Errorf("%w: %s", errNoStore, strings.Join(odd, "; "))
	}
	return errNoStore
}

// odd tells of what is called like a file of the log and is none: weir takes no notice of it, somebody might wonder.
func (b *bufferFlags) odd() (notes []string) {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		what := "no file"
		switch mode := e.Type(); {
		case mode.IsRegular() || filepath.Ext(e.Name()) != ".log" && filepath.Ext(e.Name()) != ".keys":
			continue
		case mode.IsDir():
			what = "a directory"
		case mode&fs.ModeSymlink != 0:
			what = "a symbolic link"
		case mode&fs.ModeNamedPipe != 0:
			what = "a pipe"
		}
		notes = append(notes, fmt.Sprintf("%s is %s, and is not read", oneLine(e.Name()), what))
	}
	return notes
}

// owned refuses to write into a store of another user: the files made would be those of this one, and weir could not open them.
func (b *bufferFlags) owned(c console) (status int, ok bool) {
	uid, known := ownerOf(b.dir)
	if !known || uid == os.Geteuid() {
		return exitOK, true
	}
	who := fmt.Sprintf("#%d", uid)
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		who = u.Username
	}
	return c.fail(exitFailed, "%s: %s belongs to the user %s, who could not open what is written here as another; run it as that user: sudo -u '%s' weir %s ...",
		b.set.Name(), b.dir, who, who, b.set.Name()), false
}

// fail prints why the store cannot be used, and what to do.
func (b *bufferFlags) fail(c console, err error) int {
	name := b.set.Name()
	switch {
	case errors.Is(err, buffer.ErrNewer):
		return c.fail(exitNewer, "%s: %s: %v; use the weir that wrote it", name, b.dir, err)
	case errors.Is(err, buffer.ErrInUse):
		return c.fail(exitInUse, "%s: %v; stop that weir first, such as with: sudo systemctl stop weir", name, err)
	case errors.Is(err, buffer.ErrMoving):
		return c.fail(exitFailed, "%s: %v; try again, or with weir stopped", name, err)
	case errors.Is(err, errNoStore):
		return c.fail(exitFailed, "%s: there is no store in %s: %v; it is made by weir run, and another one is named by --data-dir or --config", name, b.dir, err)
	case errors.Is(err, journal.ErrNoUpstream):
		return c.fail(exitFailed, "%s: %v; those that have dead letters are listed by: weir buffer stat", name, err)
	case errors.Is(err, syscall.ENOTDIR):
		return c.fail(exitFailed, "%s: %s is no directory; name a data directory with --data-dir, or the configuration with --config", name, b.dir)
	case errors.Is(err, fs.ErrNotExist):
		return c.fail(exitFailed, "%s: there is no store in %s; it is made by weir run, and another one is named by --data-dir or --config", name, b.dir)
	case errors.Is(err, fs.ErrPermission):
		return c.fail(exitFailed, "%s: %v; run it as the user that weir runs as, such as with: sudo -u weir", name, err)
	}
	return c.fail(exitFailed, "%s: %v; see what the kernel says of the disk: dmesg", name, err)
}

// consumer finds a consumer by its name, or by what stands behind the / of it if that is enough: an upstream's own goes before
// its dead letters. A nil one comes with the exit status.
func (b *bufferFlags) consumer(c console, v *buffer.View, name string) (*buffer.ConsumerStats, int) {
	var found []*buffer.ConsumerStats
	var names []string
	for i := range v.Consumers {
		s := &v.Consumers[i]
		if s.Name == name {
			return s, exitOK
		}
		if strings.HasSuffix(s.Name, "/"+name) && !strings.HasPrefix(s.Name, "dead/") {
			found = append(found, s)
		}
		names = append(names, s.Name)
	}
	if len(found) == 1 {
		return found[0], exitOK
	}
	for i := range names {
		names[i] = oneLine(names[i])
	}
	list := strings.Join(names, ", ")
	if list == "" {
		list = "none"
	}
	return nil, c.fail(exitFailed, "%s: there is no one consumer %q; there are: %s", b.set.Name(), name, list)
}

// buffered runs f with a buffer in front of standard output, and fails if not all of it could be written.
func (c console) buffered(f func(w *bufio.Writer) int) int {
	w := bufio.NewWriterSize(c.out, 64<<10)
	status := f(w)
	if err := w.Flush(); err != nil && status == exitOK {
		return c.unwritten(err)
	}
	return status
}

// unwritten says that data could not be written to standard output, and gives the status.
func (c console) unwritten(err error) int {
	return c.fail(exitFailed, "%v; what was printed is not all of it: make room, or print it elsewhere", err)
}

// printJSON prints a document; its status is that of the printing.
func printJSON(c console, v any) int {
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return c.unwritten(err)
	}
	return exitOK
}

// sizeText is a number of bytes for people.
func sizeText(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	x, i := float64(n), 0
	for x >= 1024 && i < len(units)-1 {
		x, i = x/1024, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", x, units[i])
}
