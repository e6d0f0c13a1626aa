package buffer

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"
)

// unsynced is a disk whose syncs cost nothing: power stays on. It notes which
// files are made.
type unsynced struct {
	FS
	made  []string
	plain bool              // it cannot exchange names
	gate  func(name string) // before a file is made
	read  func()            // before the next piece of a file is read
}

func (u *unsynced) Create(name string) (File, error) {
	if u.gate != nil {
		u.gate(name)
	}
	u.made = append(u.made, name)
	f, err := u.FS.Create(name)
	return unsyncedFile{f, u}, err
}

func (u *unsynced) Open(name string, write bool) (File, error) {
	f, err := u.FS.Open(name, write)
	return unsyncedFile{f, u}, err
}

func (u *unsynced) Exchange(a, b string) error {
	if u.plain {
		return fmt.Errorf("exchange %s: %w", a, errors.ErrUnsupported)
	}
	return u.FS.Exchange(a, b)
}

func (u *unsynced) SyncDir() error { return nil }

type unsyncedFile struct {
	File
	u *unsynced
}

func (unsyncedFile) Sync() error { return nil }

func (f unsyncedFile) ReadAt(p []byte, off int64) (int, error) {
	if then := f.u.read; then != nil {
		f.u.read = nil
		then()
	}
	return f.File.ReadAt(p, off)
}

// measured is a reading of a sensor as the gateway stores it.
func measured(rng *rand.Rand, n int) []byte {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * 100 * time.Millisecond)
	return fmt.Appendf(nil, `/Home/Floor%d/Room%d/Temperature {"time":"%s","value":%.2f,"unit":"°C","quality":"good","battery":%.3f}`,
		1+n%4, 1+n%5, at.Format("2006-01-02T15:04:05.000Z"), 21+rng.NormFloat64(), 3.1+rng.Float64()/10)
}

// outage stores readings, twenty to a commit, which is what ten a second come to.
func outage(t *testing.T, l *Log, c *Consumer, rng *rand.Rand, from, n int, body func(*rand.Rand, int) []byte) {
	t.Helper()
	for i := from; i < from+n; i++ {
		r := Record{Boot: 1, Since: int64(i), Dests: []Dest{{Consumer: c.ID(), Data: []byte{0, 0, 0, 1}}}, Payload: body(rng, i)}
		if _, k, err := l.Append([]Record{r}); k != 1 {
			t.Fatal(err)
		}
		if i%20 == 19 {
			commit(t, l)
		}
	}
	commit(t, l)
}

// allThere reads everything and compares.
func allThere(t *testing.T, c *Consumer, n int, body func(*rand.Rand, int) []byte) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	dst := make([]Entry, 500)
	c.Rewind()
	for i := 0; i < n; {
		k, err := c.Next(dst)
		if err != nil || k == 0 {
			t.Fatalf("%d records came of %d: %v", i, n, err)
		}
		for _, e := range dst[:k] {
			if want := body(rng, i); e.Since != int64(i) || !bytes.Equal(e.Body, want) {
				t.Fatalf("record %d is %d %q, want %q", i, e.Since, e.Body, want)
			}
			i++
		}
	}
}

// TestLogGrowsDense: with default settings the readings of a long outage take
// little more of the disk than they do packed, and few bytes are written for it
// beyond the page of each commit (P7).
func TestLogGrowsDense(t *testing.T) {
	dir := t.TempDir()
	disk := &unsynced{FS: DirFS(dir)}
	o := Options{Dir: dir, FS: disk, Compress: true}
	l := open(t, o)
	c, _ := l.Consumer("cloud")
	commit(t, l)
	const first, more = 100_000, 200_000
	rng := rand.New(rand.NewPCG(1, 2))
	outage(t, l, c, rng, 0, first, measured)
	before, size := l.Stats(), onDisk(t, dir)
	outage(t, l, c, rng, first, more, measured)
	s, grown := l.Stats(), onDisk(t, dir)-size
	written := s.Written - before.Written
	t.Logf("%.1f bytes of disk, %.1f bytes written per reading; %d segments, %d rewritten", float64(grown)/more, float64(written)/more, s.Segments, s.Rewritten)
	if got := float64(grown) / more; got > 30 {
		t.Errorf("the log grows by %.1f bytes of disk per measured, want at most 30", got)
	}
	if got := float64(written) / more; got > 240 { // a twentieth of a page is 205
		t.Errorf("%.1f bytes written per measured, want at most 240", got)
	}
	if n := s.Prepared - before.Prepared; n > 0 {
		t.Errorf("%d bytes of zeros were written for new files, want none", n)
	}
	if n := onDisk(t, dir); s.Bytes != n {
		t.Errorf("%d bytes counted, %d are there", s.Bytes, n)
	}
	v, err := Verify(DirFS(dir))
	if err != nil || len(v.Problems) > 0 {
		t.Errorf("verify: %v %v", err, v.Problems)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, o)
	defer l.Close()
	if r := l.Recovery(); r.LostRecords() > 0 {
		t.Fatalf("%+v", r)
	}
	c, _ = l.Consumer("cloud")
	allThere(t, c, first+more, measured)
}

// What does not become smaller is not written anew, not even in part.
func TestWhatDoesNotPackIsLeftAlone(t *testing.T) {
	noise := func(rng *rand.Rand, n int) []byte {
		p := make([]byte, 150)
		for i := range p {
			p[i] = byte(rng.Uint32())
		}
		return p
	}
	dir := t.TempDir()
	disk := &unsynced{FS: DirFS(dir)}
	l := open(t, Options{Dir: dir, FS: disk, Compress: true, SegmentSize: 1 << 20})
	defer l.Close()
	c, _ := l.Consumer("cloud")
	outage(t, l, c, rand.New(rand.NewPCG(1, 2)), 0, 40_000, noise)
	s := l.Stats()
	if s.Segments < 6 || s.Rewritten > 0 || s.Rewriting > 0 {
		t.Errorf("want nothing rewritten: %+v", s)
	}
	for _, name := range disk.made {
		if strings.Contains(name, "dense") {
			t.Errorf("%s was made", name)
		}
	}
	allThere(t, c, 40_000, noise)
}

// Where names cannot be exchanged it is tried once; then segments are rewritten
// only when room is short, and nothing is lost.
func TestNoExchange(t *testing.T) {
	dir := t.TempDir()
	disk := &unsynced{FS: DirFS(dir), plain: true}
	l := open(t, Options{Dir: dir, FS: disk, Compress: true, SegmentSize: 1 << 20})
	defer l.Close()
	c, _ := l.Consumer("cloud")
	outage(t, l, c, rand.New(rand.NewPCG(1, 2)), 0, 40_000, measured)
	if s := l.Stats(); s.Segments < 6 || s.Rewritten != 1 || s.Prepared < 6<<20 {
		t.Errorf("want one rewritten, and files made: %+v", s)
	}
	if n := onDisk(t, dir); l.Stats().Bytes != n {
		t.Errorf("%d bytes counted, %d are there", l.Stats().Bytes, n)
	}
	allThere(t, c, 40_000, measured)
}

// Who reads a segment when it is rewritten, and its file becomes another
// segment, finds no damage and misses nothing.
func TestReaderOfAFileThatIsUsedAgain(t *testing.T) {
	dir := t.TempDir()
	disk := &unsynced{FS: DirFS(dir)}
	l := open(t, Options{Dir: dir, FS: disk, Compress: true, SegmentSize: 1 << 20})
	defer l.Close()
	c, _ := l.Consumer("reads")
	const segment = 20 * (1 << 20) / page // readings, about
	rng, check := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(1, 2))
	dst := make([]Entry, 7)
	n, i := 0, 0
	more := func(k int) { outage(t, l, c, rng, n, k, measured); n += k }
	more(segment / 2)
	for n < 40*segment {
		disk.read = func() { more(4 * segment) } // two segments on it is rewritten, and then written over
		for disk.read != nil || n-i > segment/2 {
			k, err := c.Next(dst)
			if err != nil || k == 0 {
				t.Fatalf("%d records came of %d: %v", i, n, err)
			}
			for _, e := range dst[:k] {
				if want := measured(check, i); e.Since != int64(i) || !bytes.Equal(e.Body, want) {
					t.Fatalf("record %d is %d %q, want %q", i, e.Since, e.Body, want)
				}
				i++
			}
		}
	}
	if s := l.Stats(); s.Rewritten < 12 || s.Damaged > 0 || s.Lost > 0 {
		t.Errorf("want segments rewritten meanwhile, and no damage: %+v", s)
	}
}

// A record is found, though its segment is rewritten, and its file used again,
// while it is looked for.
func TestFindInAFileThatIsUsedAgain(t *testing.T) {
	dir := t.TempDir()
	disk := &unsynced{FS: DirFS(dir)}
	l := open(t, Options{Dir: dir, FS: disk, Compress: true, SegmentSize: 1 << 20})
	defer l.Close()
	c, _ := l.Consumer("reads")
	const segment = 20 * (1 << 20) / page
	rng := rand.New(rand.NewPCG(1, 2))
	outage(t, l, c, rng, 0, segment, measured)
	first := l.run<<counterBits | 1
	disk.read = func() { outage(t, l, c, rng, segment, 4*segment, measured) }
	if e, err := c.Find(first + segment/2); err != nil || e.Since != segment/2 {
		t.Errorf("%+v, %v", e, err)
	}
	if s := l.Stats(); disk.read != nil || s.Rewritten == 0 {
		t.Errorf("nothing was rewritten meanwhile: %+v", s)
	}
}

// While a segment is rewritten, commits go on; Close waits for it.
func TestCommitsGoOnWhileASegmentIsRewritten(t *testing.T) {
	dir := t.TempDir()
	begun, goOn := make(chan struct{}), make(chan struct{})
	disk := &unsynced{FS: DirFS(dir)}
	asked := make(chan struct{}, 1)
	o := Options{Dir: dir, FS: disk, Compress: true, SegmentSize: 1 << 20, OnChores: func() {
		select {
		case asked <- struct{}{}:
		default:
		}
	}}
	l := open(t, o)
	c, _ := l.Consumer("cloud")
	rng := rand.New(rand.NewPCG(1, 2))
	n := 0
	for l.Stats().Segments < 3 {
		outage(t, l, c, rng, n, 20, measured)
		n += 20
		select {
		case <-asked:
			if l.Stats().Segments < 3 {
				l.Chores()
			}
		default:
		}
	}
	disk.gate = func(name string) {
		if strings.Contains(name, "dense") {
			close(begun)
			<-goOn
		}
	}
	ended := make(chan struct{})
	go func() { l.Chores(); close(ended) }()
	<-begun
	outage(t, l, c, rng, n, 2000, measured) // ends, or the test does not
	n += 2000
	closed := make(chan error, 1)
	go func() { closed <- l.Close() }()
	for range 1000 {
		runtime.Gosched()
		l.mu.Lock()
		early := l.closed
		l.mu.Unlock()
		if early {
			t.Fatal("closed while a segment is rewritten")
		}
	}
	close(goOn)
	<-ended
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if s := l.Stats(); s.Rewritten != 1 {
		t.Errorf("%+v", s)
	}
	l = open(t, o)
	defer l.Close()
	c, _ = l.Consumer("cloud")
	allThere(t, c, n, measured)
}
