package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"weir/broker/message"
	"weir/broker/packet"
	"weir/buffer"
)

// A terminal is not given what it would obey, and a pipe gets every byte.
func TestBufferAtTerminal(t *testing.T) {
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	const attack = "\x1b]0;title\x07\x1b[2J\u009b5n"
	dir := t.TempDir()
	j, err := openStopped(buffer.Options{Dir: filepath.Join(dir, "log")})
	if err != nil {
		t.Fatal(err)
	}
	c, err := j.Log().Consumer("queue/" + attack)
	if err != nil {
		t.Fatal(err)
	}
	m := message.Message{Stamp: message.Stamp{Boot: 7, Since: 1}, Publish: packet.Publish{QoS: 1, Topic: []byte("plant/" + attack), Payload: []byte(attack)}}
	head, err := m.AppendHead(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := j.Log().Append([]buffer.Record{{Boot: 7, Since: 1, Head: head, Payload: m.Payload, Dests: []buffer.Dest{{Consumer: c.ID()}}}}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"stat"}, {"stat", "--json"}, {"ls", "--records"}, {"ls", "--records", "--json"}, {"cat"}, {"cat", "-v"}, {"cat", "--consumer", "x"},
		{"export"}, {"export", "--format", "csv"}, {"verify"}} {
		cmd := exec.Command(path, append([]string{"buffer", args[0], "--data-dir", dir}, args[1:]...)...)
		master, slave, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout, cmd.Stderr = slave, slave
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		slave.Close()
		shown, _ := io.ReadAll(master) // ends in an error when the last one has closed it
		cmd.Wait()
		master.Close()
		text := strings.ReplaceAll(string(shown), "\r\n", "\n")
		if at := strings.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 }); at >= 0 || text == "" {
			t.Errorf("weir buffer %q writes to a terminal: %q", args, text)
		}
	}
	out, err := exec.Command(path, "buffer", "cat", "--data-dir", dir).Output()
	if err != nil || string(out) != attack+"\n" {
		t.Errorf("a pipe gets %q, %v, want %q", out, err, attack+"\n")
	}
}

// Reading a large store can be interrupted.
func TestVerifyInterrupted(t *testing.T) {
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "log")
	name := filepath.Join(dir, "0000000000000001.log")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, 1<<40); err != nil { // a hole, which takes hours to read
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command(path, "buffer", "verify", "--data-dir", dir)
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	late := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	for reads := false; !reads; time.Sleep(time.Millisecond) { // that it has opened a file is told by nobody
		fds, err := filepath.Glob("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/fd/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			to, _ := os.Readlink(fd)
			reads = reads || to == name
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-ended
	if got, want := cmd.ProcessState.ExitCode(), exitFailed; got != want || !strings.Contains(said.String(), "what it had not read by then may be damaged") {
		t.Errorf("status %d, want %d: %s", got, want, &said)
	}
}

// Nothing is written into a store that belongs to another user, who could not open it afterwards.
func TestBufferOfAnotherUser(t *testing.T) {
	dir, _ := refusedStore(t)
	if os.Geteuid() == 0 {
		if err := os.Chown(filepath.Join(dir, "log"), 65534, 65534); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"repair"}, {"replay", "cloud"}, {"drop", "cloud"}} {
			var out, said bytes.Buffer
			status := runBuffer(t.Context(), console{out: &out, err: &said}, append([]string{args[0], "--data-dir", dir}, args[1:]...))
			if status != exitFailed || !strings.Contains(said.String(), "; run it as that user: sudo -u '") {
				t.Errorf("%q ends with %d: %s", args, status, &said)
			}
		}
	}
	b := newBufferFlags("repair", "")
	var said bytes.Buffer
	c := console{out: &said, err: &said}
	if b.dir = t.TempDir(); !ok(b.owned(c)) {
		t.Errorf("a directory of one's own is refused: %s", &said)
	}
	if b.dir = "/proc/1"; os.Geteuid() != 0 && ok(b.owned(c)) {
		t.Error("a directory of root is taken")
	}
}

func ok(_ int, ok bool) bool { return ok }
