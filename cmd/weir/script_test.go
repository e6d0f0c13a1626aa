package main

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write what the scripts' commands print into the scripts")

// TestScripts runs testdata/script, one behaviour a file. Besides the commands of testscript a script has:
//
//	status N PROGRAM [ARG...]          run a program that ends with this status; then stdout and stderr, as after exec
//	start NAME PROGRAM [ARG...]        start a program; what it prints goes to the files NAME.out and NAME.err
//	until FILE REGEXP                  wait until the file matches
//	finish NAME STATUS                 wait until a started program ends, with this status
//	hangup NAME                        a SIGHUP, and it goes on
//	end NAME SIGNAL STATUS             the same after a signal: TERM, INT, HUP or KILL
//	expand FILE                        put the values of $PORT, $OTHER and $WORK into a file
//	make-newer FILE                    give a file of the store the format version of a later weir
//	flip FILE TEXT                     change a bit of a file where it first holds a text
//	remember DIR                       note every file of a directory, with its bytes and times
//	unchanged DIR                      want them all to be as they were noted, and no other
//	empty DIR                          want no file in a directory
//
// and the variables PORT and OTHER, two free ports of 127.0.0.1. STATE_DIRECTORY is $WORK/state. The condition [file:PATTERN]
// is true if there is such a file on the machine.
func TestScripts(t *testing.T) {
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *update, RequireExplicitExec: true, RequireUniqueNames: true,
		Deadline: time.Now().Add(2 * time.Minute),
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", filepath.Dir(path)+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Setenv("STATE_DIRECTORY", filepath.Join(e.WorkDir, "state"))
			for _, name := range []string{"PORT", "OTHER"} {
				e.Setenv(name, strconv.Itoa(freePort(t)))
			}
			e.Values[started{}] = map[string]*exec.Cmd{}
			e.Values[remembered{}] = map[string]map[string]string{}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"status": scriptStatus, "start": scriptStart, "until": scriptUntil, "finish": scriptFinish, "end": scriptEnd, "hangup": scriptHangup,
			"expand": scriptExpand, "make-newer": scriptMakeNewer, "empty": scriptEmpty,
			"flip": scriptFlip, "remember": scriptRemember, "unchanged": scriptUnchanged,
		},
		Condition: func(condition string) (bool, error) {
			var pattern string
			if _, err := fmt.Sscanf(condition, "file:%s", &pattern); err != nil {
				return false, fmt.Errorf("unknown condition %q", condition)
			}
			found, err := filepath.Glob(pattern)
			return len(found) > 0, err
		},
	})
}

// started is the key of the programs a script has started, by name.
type started struct{}

const scriptLimit = 30 * time.Second // for everything a script waits for

// want ends the script unless a command was used as it should be.
func want(ts *testscript.TestScript, usage string, neg, ok bool) {
	if neg || !ok {
		ts.Fatalf("usage: %s", usage)
	}
}

func scriptStatus(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, "status N PROGRAM [ARG...]", neg, len(args) >= 2)
	check(ts, args[0], ts.Exec(args[1], args[2:]...))
}

// check wants an error of a program to be this status.
func check(ts *testscript.TestScript, status string, err error) {
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(got) != status {
		ts.Fatalf("status %d (%v), want %s", got, err, status)
	}
}

func scriptStart(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, "start NAME PROGRAM [ARG...]", neg, len(args) >= 2)
	name := args[0]
	out, err := os.Create(ts.MkAbs(name + ".out"))
	ts.Check(err)
	errs, err := os.Create(ts.MkAbs(name + ".err"))
	ts.Check(err)
	var env []string
	for _, key := range []string{"PATH", "STATE_DIRECTORY", "TMPDIR", "HOME"} {
		env = append(env, key+"="+ts.Getenv(key))
	}
	found, err := exec.LookPath(filepath.Join(builtIn, args[1]))
	if err != nil {
		found = args[1]
	}
	cmd := exec.Command(found, args[2:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), env, out, errs
	ts.Check(cmd.Start())
	ts.Check(errors.Join(out.Close(), errs.Close()))
	ts.Value(started{}).(map[string]*exec.Cmd)[name] = cmd
	ts.Defer(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		if text, err := os.ReadFile(errs.Name()); err == nil && len(text) > 0 {
			ts.Logf("[%s, standard error]\n%s", name, text)
		}
	})
}

func scriptUntil(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, "until FILE REGEXP", neg, len(args) == 2)
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	for deadline := time.Now().Add(scriptLimit); ; time.Sleep(5 * time.Millisecond) { // a file that grows has no other way to tell
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		switch {
		case err == nil && pattern.Match(text):
			return
		case time.Now().After(deadline):
			ts.Fatalf("%s does not match %q after %s:\n%s", args[0], args[1], scriptLimit, text)
		}
	}
}

func scriptFinish(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, "finish NAME STATUS", neg, len(args) == 2)
	cmd := ts.Value(started{}).(map[string]*exec.Cmd)[args[0]]
	if cmd == nil || cmd.ProcessState != nil {
		ts.Fatalf("%s does not run", args[0])
	}
	late := time.AfterFunc(scriptLimit, func() { _ = cmd.Process.Signal(syscall.SIGQUIT) }) // it says where it hangs
	err := cmd.Wait()
	late.Stop()
	check(ts, args[1], err)
}

func scriptEnd(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL}
	want(ts, "end NAME TERM|INT|HUP|KILL STATUS", neg, len(args) == 3 && signals[args[1]] != 0)
	cmd := ts.Value(started{}).(map[string]*exec.Cmd)[args[0]]
	if cmd == nil || cmd.ProcessState != nil {
		ts.Fatalf("%s does not run", args[0])
	}
	ts.Check(cmd.Process.Signal(signals[args[1]]))
	scriptFinish(ts, neg, []string{args[0], args[2]})
}

func scriptHangup(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, "hangup NAME", neg, len(args) == 1)
	cmd := ts.Value(started{}).(map[string]*exec.Cmd)[args[0]]
	if cmd == nil || cmd.ProcessState != nil {
		ts.Fatalf("%s does not run", args[0])
	}
	ts.Check(cmd.Process.Signal(syscall.SIGHUP))
}

func scriptExpand(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, "expand FILE", neg, len(args) == 1)
	text := ts.ReadFile(args[0])
	for _, name := range []string{"PORT", "OTHER", "WORK"} {
		text = strings.ReplaceAll(text, "$"+name, ts.Getenv(name))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// scriptMakeNewer raises the format version in both headers of a segment, and seals them anew: package buffer draws them.
func scriptMakeNewer(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, "make-newer FILE", neg, len(args) == 1)
	file, err := os.OpenFile(ts.MkAbs(args[0]), os.O_RDWR, 0)
	ts.Check(err)
	defer file.Close()
	for _, at := range []int64{0, 4096} {
		var h [128]byte
		_, err := file.ReadAt(h[:], at)
		ts.Check(err)
		binary.LittleEndian.PutUint32(h[8:], binary.LittleEndian.Uint32(h[8:])+1)
		castagnoli := crc32.MakeTable(crc32.Castagnoli)
		binary.LittleEndian.PutUint32(h[12:], crc32.Update(crc32.Checksum(h[:12], castagnoli), castagnoli, h[16:]))
		_, err = file.WriteAt(h[:], at)
		ts.Check(err)
	}
}

func scriptEmpty(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, "empty DIR", neg, len(args) == 1)
	found, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(found) > 0 {
		ts.Fatalf("%s holds %v", args[0], found)
	}
}

func scriptFlip(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, "flip FILE TEXT", neg, len(args) == 2)
	at := int64(strings.Index(ts.ReadFile(args[0]), args[1]))
	if at < 0 {
		ts.Fatalf("%s does not hold %q", args[0], args[1])
	}
	file, err := os.OpenFile(ts.MkAbs(args[0]), os.O_RDWR, 0)
	ts.Check(err)
	defer file.Close()
	var p [1]byte
	_, err = file.ReadAt(p[:], at)
	ts.Check(err)
	p[0] ^= 1
	_, err = file.WriteAt(p[:], at)
	ts.Check(err)
}

// remembered is the key of what remember has noted, by directory and file.
type remembered struct{}

func filesOf(ts *testscript.TestScript, dir string) map[string]string {
	found, err := os.ReadDir(ts.MkAbs(dir))
	ts.Check(err)
	all := map[string]string{}
	for _, f := range found {
		info, err := f.Info()
		ts.Check(err)
		text := ""
		if f.Type().IsRegular() {
			text = ts.ReadFile(filepath.Join(dir, f.Name()))
		}
		all[f.Name()] = fmt.Sprintf("%v %v %x", info.Mode(), info.ModTime(), sha256.Sum256([]byte(text)))
	}
	return all
}

func scriptRemember(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, "remember DIR", neg, len(args) == 1)
	ts.Value(remembered{}).(map[string]map[string]string)[args[0]] = filesOf(ts, args[0])
}

func scriptUnchanged(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, "unchanged DIR", neg, len(args) == 1)
	was := ts.Value(remembered{}).(map[string]map[string]string)[args[0]]
	is := filesOf(ts, args[0])
	if !maps.Equal(was, is) {
		ts.Fatalf("%s was\n%v\nand is\n%v", args[0], was, is)
	}
}
