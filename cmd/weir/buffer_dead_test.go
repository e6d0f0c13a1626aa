package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"weir/bridge"
	"weir/broker/message"
	"weir/broker/packet"
	"weir/buffer"
	"weir/gateway/journal"
)

// refusedStore makes a data directory with three dead letters of cloud and gives their numbers.
func refusedStore(t *testing.T) (dir string, letters []uint64) {
	t.Helper()
	dir = t.TempDir()
	o := buffer.Options{Dir: filepath.Join(dir, "log")}
	j, err := openStopped(o)
	if err != nil {
		t.Fatal(err)
	}
	cloud, err := j.Source("cloud")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		m := message.Message{Stamp: message.Stamp{Boot: 7, Since: 1}, Publish: packet.Publish{QoS: 1, Topic: []byte("plant/a"), Payload: []byte(fmt.Sprint(i))}}
		head, err := m.AppendHead(nil)
		if err != nil {
			t.Fatal(err)
		}
		record := buffer.Record{Boot: 7, Since: 1, Head: head, Payload: m.Payload, Dests: []buffer.Dest{{Consumer: cloud.ID(), Data: []byte{1, 0, 0, 0}}}}
		if _, n, err := j.Log().Append([]buffer.Record{record}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	records := make([]bridge.Record, 4)
	n, err := cloud.Next(records)
	if n != 3 || err != nil {
		t.Fatalf("%d records, %v", n, err)
	}
	for _, r := range records[:n] {
		cloud.Refuse(r.Number, packet.NotAuthorized, message.Stamp{Boot: 7, Since: 2})
	}
	for range 3 { // the letters, then that the records are done with
		if err := j.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	err = j.DeadLetters("cloud", func(l journal.DeadLetter) bool { letters = append(letters, l.Number); return true })
	if err != nil || len(letters) != 3 {
		t.Fatalf("letters %v, %v", letters, err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, letters
}

func TestDeadLettersByCommand(t *testing.T) {
	dir, letters := refusedStore(t)
	run := func(want int, args ...string) string {
		t.Helper()
		var out, err bytes.Buffer
		got := runBuffer(t.Context(), console{out: &out, err: &err}, append(args[:1:1], append([]string{"--data-dir", dir}, args[1:]...)...))
		if got != want {
			t.Errorf("%q ended with %d, want %d: %s%s", args, got, want, &out, &err)
		}
		return out.String() + err.String()
	}
	waiting := func(want map[string]uint64) {
		t.Helper()
		v, err := buffer.Inspect(buffer.DirFS(filepath.Join(dir, "log")))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range v.Consumers {
			if c.Backlog.Records != want[c.Name] {
				t.Errorf("%d records wait for %s, want %d", c.Backlog.Records, c.Name, want[c.Name])
			}
		}
	}
	waiting(map[string]uint64{"dead/cloud": 3})
	if got := run(exitOK, "replay", "cloud", fmt.Sprint(letters[1])); got != "cloud: 1 dead letter put back into the queue\n" {
		t.Errorf("replay says %q", got)
	}
	waiting(map[string]uint64{"dead/cloud": 2, "bridge/cloud": 1})
	if got := run(exitFailed, "drop", "cloud", fmt.Sprint(letters[0]), fmt.Sprint(letters[1])); !strings.Contains(got, "1 of the 2 numbers are no dead letters of cloud") {
		t.Errorf("drop of one that is gone says %q", got)
	}
	run(exitOK, "drop", "cloud")
	waiting(map[string]uint64{"bridge/cloud": 1})
	if got := run(exitFailed, "replay", "clod"); !strings.Contains(got, `no upstream "clod"`) {
		t.Errorf("an upstream that does not exist: %q", got)
	}
	run(exitUsage, "replay")
	run(exitUsage, "drop", "cloud", "x")
}
