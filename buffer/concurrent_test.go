package buffer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Many producers, one committer, two consumers of which one acknowledges
// promptly: every record is settled once, comes once, in order, and nothing
// is left.
func TestConcurrentUse(t *testing.T) {
	const producers, each = 8, 1500
	var settled sync.Map
	var settledCount atomic.Int64
	room := make(chan struct{}, 1)
	l := open(t, Options{Dir: t.TempDir(), SegmentSize: 128 << 10, MaxSize: 64 << 20, TailSize: 64 << 10,
		OnSettled: func(rs []Range) {
			for _, r := range rs {
				for n := r.First; n <= r.Last; n++ {
					if _, twice := settled.LoadOrStore(n, true); twice {
						t.Errorf("record %#x settled twice", n)
					}
					settledCount.Add(1)
				}
			}
		},
		OnRoom: func() {
			select {
			case room <- struct{}{}:
			default:
			}
		}})
	a, _ := l.Consumer("a")
	b, _ := l.Consumer("b")
	var producing, all sync.WaitGroup
	for p := range producers {
		producing.Go(func() {
			body := make([]byte, 16+p*30)
			batch := make([]Record, 3)
			for i := 0; i < each; {
				batch = batch[:min(len(batch), each-i)]
				for k := range batch {
					binary.LittleEndian.PutUint64(body, uint64(p))
					binary.LittleEndian.PutUint64(body[8:], uint64(i+k))
					batch[k] = Record{Dests: []Dest{{Consumer: a.ID()}, {Consumer: b.ID()}}, Payload: append([]byte{}, body...)}
				}
				_, n, err := l.Append(batch)
				if err != nil {
					t.Error(err)
					return
				}
				i += n
				if n < len(batch) {
					// another producer may have taken the signal: commit makes room for sure
					if err := l.Commit(); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	consume := func(c *Consumer, ackEvery int) {
		next := [producers]uint64{}
		dst := make([]Entry, 50)
		var last uint64
		for got := 0; got < producers*each; {
			n, err := c.Next(dst)
			if err != nil {
				t.Error(err)
				return
			}
			if n == 0 {
				<-c.Ready()
				continue
			}
			for _, e := range dst[:n] {
				p, i := binary.LittleEndian.Uint64(e.Body), binary.LittleEndian.Uint64(e.Body[8:])
				if e.Number <= last || i != next[p] {
					t.Errorf("record %#x after %#x, producer %d gives %d, want %d", e.Number, last, p, i, next[p])
					return
				}
				last, next[p] = e.Number, i+1
			}
			got += n
			if ackEvery > 0 {
				c.Ack([]Range{{dst[0].Number, dst[n-1].Number}})
			}
		}
		c.Ack([]Range{{1, last}})
	}
	all.Go(func() { consume(a, 1) })
	all.Go(func() { consume(b, 0) })
	producing.Wait()
	all.Wait()
	if err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	if n := settledCount.Load(); n < producers*each {
		t.Fatalf("%d records settled, want %d", n, producers*each)
	}
	s := l.Stats()
	if s.Unsettled != 0 || s.Consumers[0].Backlog.Records+s.Consumers[1].Backlog.Records != 0 || s.Consumers[0].Backlog.Bytes+s.Consumers[1].Backlog.Bytes != 0 {
		t.Fatalf("left over: %+v", s)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// Callers of Commit that come while one runs share the next one.
func TestCommitsAreGrouped(t *testing.T) {
	gate := &gateFS{FS: DirFS(t.TempDir()), reached: make(chan bool), open: make(chan bool)}
	l := open(t, Options{Dir: "gated", FS: gate, SegmentSize: minSegment})
	c, _ := l.Consumer("a")
	one := []Record{{Dests: []Dest{{Consumer: c.ID()}}, Payload: []byte("x")}}
	l.Append(one)
	before := l.Stats().Commits
	gate.on.Store(true)
	var g sync.WaitGroup
	g.Go(func() {
		if err := l.Commit(); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-gate.reached:
	case <-time.After(20 * time.Second):
		t.Fatal("a commit that syncs nothing")
	}
	gate.on.Store(false)
	for range 20 {
		l.Append(one) // appends go on while the sync runs
		g.Go(func() {
			if err := l.Commit(); err != nil {
				t.Error(err)
			}
		})
	}
	for waiting := 0; waiting < 20; {
		l.mu.Lock()
		if l.next != nil {
			waiting = int(l.next.callers.Load())
		}
		l.mu.Unlock()
	}
	close(gate.open)
	g.Wait()
	if n := l.Stats().Commits - before; n != 2 {
		t.Fatalf("%d commits for 21 callers, want 2", n)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// gateFS stops at a Sync until it is let go.
type gateFS struct {
	FS
	on            atomic.Bool
	reached, open chan bool
}

type gateFile struct {
	File
	g *gateFS
}

func (g *gateFS) Open(name string, write bool) (File, error) {
	f, err := g.FS.Open(name, write)
	if err != nil {
		return nil, err
	}
	return gateFile{f, g}, nil
}

func (f gateFile) Sync() error {
	if f.g.on.Load() {
		f.g.reached <- true
		<-f.g.open
	}
	return f.File.Sync()
}

// A second process is told who holds the directory.
func TestDirectoryInUse(t *testing.T) {
	if dir := os.Getenv("WEIR_HOLD"); dir != "" {
		l := open(t, Options{Dir: dir})
		os.Stdout.WriteString("HELD\n")
		bufio.NewReader(os.Stdin).ReadString('\n')
		l.Close()
		return
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestDirectoryInUse$")
	cmd.Env = append(os.Environ(), "WEIR_HOLD="+dir)
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line, "HELD") {
			break
		}
	}
	_, err := Open(Options{Dir: dir})
	var held *InUseError
	if !errors.Is(err, ErrInUse) || !errors.As(err, &held) || held.PID != cmd.Process.Pid {
		t.Errorf("got %v, want the directory in use by %d", err, cmd.Process.Pid)
	}
	in.Close()
	cmd.Wait()
	open(t, Options{Dir: dir}).Close()
}

// failingFS fails one kind of operation.
type failingFS struct {
	FS
	create, list error
}

func (f failingFS) Create(name string) (File, error) {
	if f.create != nil {
		return nil, f.create
	}
	return f.FS.Create(name)
}

func (f failingFS) ReadDir() ([]FileInfo, error) {
	if f.list != nil {
		return nil, f.list
	}
	return f.FS.ReadDir()
}

func TestOpenErrors(t *testing.T) {
	file := t.TempDir() + "/file"
	os.WriteFile(file, nil, 0o600)
	for _, v := range []struct {
		name string
		o    Options
		is   error
	}{
		{"a file in the way", Options{Dir: file + "/dir"}, syscall.ENOTDIR},
		{"read-only", Options{Dir: "x", FS: failingFS{FS: DirFS(t.TempDir()), create: syscall.EROFS}}, syscall.EROFS},
		{"full", Options{Dir: "x", FS: failingFS{FS: DirFS(t.TempDir()), create: syscall.ENOSPC}}, syscall.ENOSPC},
		{"unreadable", Options{Dir: "x", FS: failingFS{FS: DirFS(t.TempDir()), list: syscall.EIO}}, syscall.EIO},
	} {
		_, err := Open(v.o)
		var e *OpenError
		if !errors.As(err, &e) || !errors.Is(err, v.is) {
			t.Errorf("%s: got %v, want an *OpenError for %v", v.name, err, v.is)
		}
		if f, ok := v.o.FS.(failingFS); ok {
			unlock, err := f.Lock()
			if err != nil {
				t.Errorf("%s: the lock was kept: %v", v.name, err)
			} else {
				unlock()
			}
		}
	}
	for _, o := range []Options{{}, {Dir: "x", SegmentSize: 1}, {Dir: "x", SegmentSize: 70000}, {Dir: "x", MaxSize: 12 << 20},
		{Dir: "x", TailSize: 1}, {Dir: "x", MinFree: -1}, {Dir: "x", SegmentSize: 64 << 10, MaxSize: 1 << 40}} {
		if _, err := Open(o); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: got %v, want ErrOptions", o, err)
		}
	}
}

// failSyncFS fails one Sync, the data staying on the disk all the same.
type failSyncFS struct {
	FS
	fail atomic.Bool
}

type failSyncFile struct {
	File
	f *failSyncFS
}

func (f *failSyncFS) Open(name string, write bool) (File, error) {
	file, err := f.FS.Open(name, write)
	if err != nil {
		return nil, err
	}
	return failSyncFile{file, f}, nil
}

func (f failSyncFile) Sync() error {
	if f.f.fail.Swap(false) {
		return syscall.EIO
	}
	return f.File.Sync()
}

// A block whose sync failed may be on the disk all the same, and is written
// again to a new segment. Its records come once, whether the new segment's
// header says where the old one ends, or that is not to be had.
func TestRetriedBlockComesOnce(t *testing.T) {
	for _, linked := range []bool{true, false} {
		dir := t.TempDir()
		disk := &failSyncFS{FS: DirFS(dir)}
		o := Options{Dir: dir, FS: disk, SegmentSize: minSegment}
		l := open(t, o)
		c, _ := l.Consumer("a")
		put(t, l, "1", Dest{Consumer: c.ID()})
		commit(t, l)
		put(t, l, "2", Dest{Consumer: c.ID()})
		disk.fail.Store(true)
		if err := l.Commit(); !errors.Is(err, syscall.EIO) {
			t.Fatalf("got %v, want EIO", err)
		}
		put(t, l, "3", Dest{Consumer: c.ID()})
		commit(t, l)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if !linked {
			f, err := os.OpenFile(dir+"/"+segmentName(2), os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			p := make([]byte, page)
			f.ReadAt(p, 0)
			h, ok, err := decodeSegmentHeader(p)
			if !ok || err != nil || h.prevSeq != 1 {
				t.Fatalf("header %+v %v %v", h, ok, err)
			}
			h.prevSeq, h.prevEnd = 0, 0
			f.WriteAt(h.append(h.append(nil)), 0)
			f.Close()
		}
		l = open(t, o)
		c, _ = l.Consumer("a")
		if b := c.Backlog(); b.Records != 3 {
			t.Fatalf("linked %v: backlog %+v, want 3", linked, b)
		}
		got := drain(t, c)
		if len(got) != 3 || string(got[0].Body) != "1" || string(got[1].Body) != "2" || string(got[2].Body) != "3" {
			t.Fatalf("linked %v: got %d records: %+v", linked, len(got), got)
		}
		if r := l.Recovery(); len(r.Lost) > 0 {
			t.Fatalf("linked %v: %+v", linked, r)
		}
		l.Close()
	}
}

// With OnChores no start waits for the first spare segment: Open asks for it.
func TestOpenLeavesTheSpareToChores(t *testing.T) {
	dir, asked := t.TempDir(), 0
	l := open(t, Options{Dir: dir, SegmentSize: minSegment, MaxSize: 4 << 20, OnChores: func() { asked++ }})
	defer l.Close()
	if spares, _ := filepath.Glob(filepath.Join(dir, sparePrefix+"*")); len(spares) > 0 || asked == 0 {
		t.Errorf("spares %q when Open returns, want none; asked for chores %d times, want it", spares, asked)
	}
	l.Chores()
	if spares, _ := filepath.Glob(filepath.Join(dir, sparePrefix+"*")); len(spares) != 1 {
		t.Errorf("spares %q after chores, want one", spares)
	}
}

// With OnChores no commit waits for a spare segment to be written, and the log
// works on while it is.
func TestChoresMakeTheSpares(t *testing.T) {
	var l *Log
	asked := make(chan struct{}, 1)
	l = open(t, Options{Dir: t.TempDir(), SegmentSize: minSegment, MaxSize: 4 << 20, OnChores: func() {
		select {
		case asked <- struct{}{}:
		default:
		}
	}})
	c, _ := l.Consumer("c")
	done := make(chan struct{})
	var g sync.WaitGroup
	g.Go(func() {
		for {
			select {
			case <-asked:
				l.Chores()
			case <-done:
				return
			}
		}
	})
	for i := range 200 {
		if _, n, err := l.Append([]Record{{Boot: 1, Since: int64(i), Dests: []Dest{{Consumer: c.ID()}}, Payload: make([]byte, 5000)}}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		commit(t, l)
	}
	if got := drain(t, c); len(got) != 200 {
		t.Errorf("%d records, want 200", len(got))
	}
	close(done)
	g.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
