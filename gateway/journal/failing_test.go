package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"weir/broker"
	"weir/buffer"
	"weir/buffer/crashfs"
)

// fault is a way in which a disk fails, for as long as it is set.
type fault uint8

const (
	sound      fault = iota
	syncFails        // fdatasync and fsync fail; what was to be synced is lost
	writeFails       // a write fails half way
	full             // nothing can be written any more
	readOnly         // the file system was remounted read-only
)

// faulty is a disk of crashfs that fails until told otherwise.
type faulty struct {
	*crashfs.Disk
	mu  sync.Mutex // guards the field below
	now fault
}

func (d *faulty) set(f fault) { d.mu.Lock(); defer d.mu.Unlock(); d.now = f }

// change is asked before each change; an error takes its place.
func (d *faulty) change(op string, sync bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.now == syncFails && sync:
		d.FailSyncAt(1)
	case d.now == writeFails && op == "write":
		d.FailWriteAt(1)
	case d.now == full && (op == "write" || op == "create"):
		return &fs.PathError{Op: op, Err: syscall.ENOSPC}
	case d.now == readOnly:
		return &fs.PathError{Op: op, Err: syscall.EROFS}
	}
	return nil
}

func (d *faulty) Create(name string) (buffer.File, error) {
	if err := d.change("create", false); err != nil {
		return nil, err
	}
	f, err := d.Disk.Create(name)
	return d.file(f, err)
}

func (d *faulty) Open(name string, write bool) (buffer.File, error) {
	f, err := d.Disk.Open(name, write)
	return d.file(f, err)
}

func (d *faulty) file(f buffer.File, err error) (buffer.File, error) {
	if err != nil {
		return nil, err
	}
	return &faultyFile{f, d}, nil
}

func (d *faulty) Rename(from, to string) error {
	if err := d.change("rename", false); err != nil {
		return err
	}
	return d.Disk.Rename(from, to)
}

func (d *faulty) Exchange(a, b string) error {
	if err := d.change("exchange", false); err != nil {
		return err
	}
	return d.Disk.Exchange(a, b)
}

func (d *faulty) Remove(name string) error {
	if err := d.change("remove", false); err != nil {
		return err
	}
	return d.Disk.Remove(name)
}

func (d *faulty) SyncDir() error {
	if err := d.change("syncdir", true); err != nil {
		return err
	}
	return d.Disk.SyncDir()
}

type faultyFile struct {
	buffer.File
	disk *faulty
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.disk.change("write", false); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

func (f *faultyFile) Sync() error {
	if err := f.disk.change("sync", true); err != nil {
		return err
	}
	return f.File.Sync()
}

// TestStoreFailures: while the disk fails nothing is settled that only it could keep, what upstreams acknowledge is, the
// cause is told once, and all goes on by itself when the disk does. Power is cut then, and what was settled is there.
func TestStoreFailures(t *testing.T) {
	for _, c := range []struct {
		name string
		how  fault
		want error
	}{
		{"fdatasync fails", syncFails, syscall.EIO},
		{"input/output error", writeFails, syscall.EIO},
		{"full disk", full, syscall.ENOSPC},
		{"read-only remount", readOnly, syscall.EROFS},
	} {
		for _, long := range []time.Duration{150 * time.Millisecond, time.Minute, 2 * time.Hour} {
			t.Run(fmt.Sprint(c.name, " for ", long), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { storeFails(t, c.how, c.want, long) })
			})
		}
	}
}

func storeFails(t *testing.T, how fault, want error, long time.Duration) {
	disk := &faulty{Disk: crashfs.New(16 << 20)}
	r, err := openOn(t, disk)
	if err != nil {
		t.Fatal(err)
	}
	defer r.stop()
	cloud, other := r.source("cloud"), r.source("other")
	cloud.Live(true)
	before := r.record(broker.KindQoS1, other)
	time.Sleep(DefaultPace.Gather)
	synctest.Wait()
	r.wantSettled(true, before)
	r.heard()

	disk.set(how)
	a, b := r.record(broker.KindQoS1, other), r.record(broker.KindQoS1, cloud)
	time.Sleep(long)
	synctest.Wait()
	r.wantSettled(false, a, b)
	if r.heard() {
		t.Error("notified although nothing was settled")
	}
	if err, since := r.Err(); !errors.Is(err, want) || time.Since(since) > long {
		t.Errorf("err %v since %v, want %v, and since when", err, since, want)
	}
	r.ackAll(cloud)
	synctest.Wait()
	r.wantSettled(true, b)
	r.wantSettled(false, a)
	if !r.heard() {
		t.Error("not notified of what the upstream acknowledged")
	}
	late := r.record(broker.KindQoS1, cloud)
	r.ackAll(cloud)
	r.wantSettled(true, late)
	if s := r.Log().Stats(); s.Bytes > s.MaxSize {
		t.Errorf("%d bytes on disk, more than the %d allowed", s.Bytes, s.MaxSize)
	}

	disk.set(sound)
	time.Sleep(retryMax)
	synctest.Wait()
	r.wantSettled(true, a)
	if err, _ := r.Err(); err != nil {
		t.Errorf("err %v after the disk has come back, want none", err)
	}
	if text := r.logged.String(); strings.Count(text, "does not take writes") != 1 || strings.Count(text, "takes writes again") != 1 {
		t.Errorf("log says\n%swant one line at each change", text)
	}
	r.wantAfterPowerCut(disk.Disk, "other", "0", "1")
}

// wantAfterPowerCut looks at every disk that may be found after a power cut now: the records of a source are these.
func (r *rig) wantAfterPowerCut(disk *crashfs.Disk, source string, want ...string) {
	r.t.Helper()
	disk.After(nil, func(o crashfs.Outcome) {
		again, err := openOn(r.t.(*testing.T), o.Disk)
		if err != nil {
			r.t.Errorf("%v %d: open: %v", o.Mode, o.Pick, err)
			return
		}
		defer again.close()
		if got, _ := again.take(again.source(source)); !slices.Equal(got, want) {
			r.t.Errorf("%v %d: after a power cut %q is there, want %q", o.Mode, o.Pick, got, want)
		}
	})
}

// TestNothingGrowsOnAFullDisk: a disk without room for another file takes what fits the files that are there, and says so.
func TestNothingGrowsOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := crashfs.New(16 << 20)
		r, err := openOn(t, disk)
		if err != nil {
			t.Fatal(err)
		}
		defer r.stop()
		synctest.Wait() // the first spare segment is there
		other := r.source("other")
		r.record(broker.KindQoS1, other)
		if err := r.Commit(); err != nil {
			t.Fatal(err)
		}
		disk.FullAt(1, 0)
		var numbers []uint64
		for range 300 {
			first, n := r.Append([]broker.Entry{entry(broker.KindQoS1, strings.Repeat("x", 1000), other)})
			if n != 1 {
				t.Fatal("not taken")
			}
			numbers = append(numbers, first)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		r.wantSettled(true, numbers...)
		s := r.Log().Stats()
		payloads, _ := r.take(other)
		if !s.Full || s.Dropped == 0 || uint64(len(payloads))+s.Dropped != 301 {
			t.Errorf("full %v, %d dropped and %d there of 301: want each in one place, and the disk told full", s.Full, s.Dropped, len(payloads))
		}
		r.close()
	})
}

// TestTailFillsWhileTheStoreFails: at the hard limit nothing is taken and nothing blocks; what was taken before is kept
// when the disk comes back, and there is room again.
func TestTailFillsWhileTheStoreFails(t *testing.T) {
	inBubble(t, func(c *Config) { c.Buffer.TailSize = 64 << 10 }, func(r *rig) {
		other := r.source("other")
		r.settle()
		r.disk.failNext(1 << 30)
		var taken []uint64
		big := strings.Repeat("x", 1000)
		for {
			first, n := r.Append([]broker.Entry{entry(broker.KindQoS1, big, other)})
			if n == 0 {
				break
			}
			taken = append(taken, first)
		}
		if len(taken) < 30 || len(taken) > 64 {
			t.Errorf("%d records of about 1,100 bytes taken into 64 KiB", len(taken))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if _, n := r.Append([]broker.Entry{entry(broker.KindQoS1, big, other)}); n != 0 || r.heard() {
			t.Errorf("%d taken, or told of room, while nothing can be written", n)
		}
		r.wantSettled(false, taken...)
		r.disk.failNext(0)
		time.Sleep(retryMax)
		synctest.Wait()
		r.wantSettled(true, taken...)
		if !r.heard() {
			t.Error("not told of room")
		}
		r.record(broker.KindQoS1, other)
		r.close()
	})
}
