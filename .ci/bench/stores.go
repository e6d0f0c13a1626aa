package main

import (
	"database/sql"
	"encoding/binary"
	"os"
	"sync"
	"time"

	"github.com/tidwall/wal"
	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
	_ "modernc.org/sqlite"

	"weir/buffer"
)

// weirStore is the buffer, with Append and a shared Commit.
type weirStore struct {
	log    *buffer.Log
	to     uint32
	before buffer.Stats
	after  buffer.Stats
	took   time.Duration
	chores chan struct{} // what no commit should wait for; as gateway/journal has it done
	idle   chan struct{} // closed when the chores have ended
}

func openWeir(dir string, _ int) (store, error) {
	w := &weirStore{chores: make(chan struct{}, 1), idle: make(chan struct{})}
	var err error
	w.log, err = buffer.Open(buffer.Options{Dir: dir, MaxSize: 4 << 30, OnChores: func() {
		select {
		case w.chores <- struct{}{}:
		default:
		}
	}})
	if err != nil {
		return nil, err
	}
	c, err := w.log.Consumer("all")
	if err != nil {
		return nil, err
	}
	w.to = c.ID()
	go func() {
		defer close(w.idle)
		for range w.chores {
			w.log.Chores()
		}
	}()
	return w, w.log.Commit()
}

func (w *weirStore) put(p []byte) error {
	dests := [1]buffer.Dest{{Consumer: w.to}}
	if _, n, err := w.log.Append([]buffer.Record{{Boot: 1, Dests: dests[:], Payload: p}}); n != 1 {
		return err
	}
	return w.log.Commit()
}

func (w *weirStore) close() error {
	err := w.log.Close()
	close(w.chores) // a closed log calls nothing back
	<-w.idle
	return err
}

func (w *weirStore) begin()                 { w.before = w.log.Stats() }
func (w *weirStore) end(took time.Duration) { w.after, w.took = w.log.Stats(), took }

// bareShape is what weir did to the disk: what the limit must do too.
type bareShape struct {
	records, syncs, bytes int64
}

func (b bareShape) perSync() float64      { return float64(b.records) / float64(max(1, b.syncs)) }
func (b bareShape) bytesPerSync() float64 { return float64(b.bytes) / float64(max(1, b.syncs)) }

func (w *weirStore) shape() bareShape {
	return bareShape{int64(w.after.Stored - w.before.Stored), int64(w.after.Syncs - w.before.Syncs), w.after.Written - w.before.Written}
}

// bare appends the same bytes with the same number of fdatasync calls, from one
// goroutine, to a file that was written before, and gives records per second.
func bare(s *settings, shape bareShape) (float64, error) {
	f, err := os.CreateTemp(s.dir, "bare")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	each := shape.bytes / max(1, shape.syncs)
	each = (each + 4095) &^ 4095
	p := make([]byte, each)
	const size = 64 << 20
	for at := 0; at < size; at += 1 << 20 {
		if _, err := f.Write(make([]byte, 1<<20)); err != nil {
			return 0, err
		}
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	begun := time.Now()
	at := int64(0)
	for range shape.syncs {
		if at+each > size {
			at = 0
		}
		if _, err := f.WriteAt(p, at); err != nil {
			return 0, err
		}
		at += each
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return 0, err
		}
	}
	return float64(shape.records) / time.Since(begun).Seconds(), nil
}

// boltStore is bbolt; Batch shares a transaction among those who wait.
type boltStore struct{ db *bolt.DB }

var bucket = []byte("messages")

func openBolt(dir string, _ int) (store, error) {
	db, err := bolt.Open(dir, 0o600, nil)
	if err != nil {
		return nil, err
	}
	return makeBucket(db)
}

// openTunedBolt knows how many producers there are and waits for no more.
func openTunedBolt(dir string, producers int) (store, error) {
	db, err := bolt.Open(dir, 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType, NoFreelistSync: true})
	if err != nil {
		return nil, err
	}
	db.MaxBatchSize, db.MaxBatchDelay = producers, 2*time.Millisecond
	return makeBucket(db)
}

func makeBucket(db *bolt.DB) (store, error) {
	return &boltStore{db}, db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket(bucket)
		return err
	})
}

func (b *boltStore) put(p []byte) error {
	return b.db.Batch(func(tx *bolt.Tx) error {
		k := tx.Bucket(bucket)
		k.FillPercent = 0.95
		n, err := k.NextSequence()
		if err != nil {
			return err
		}
		return k.Put(binary.BigEndian.AppendUint64(nil, n), p)
	})
}

func (b *boltStore) close() error { return b.db.Close() }

// sqliteStore is SQLite in WAL mode, synced at each commit.
type sqliteStore struct {
	mu   sync.Mutex // one writer
	db   *sql.DB
	put1 *sql.Stmt
}

func openSQLite(path string, _ int) (store, error) {
	db, err := sql.Open("sqlite", path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE messages (id INTEGER PRIMARY KEY, body BLOB)"); err != nil {
		return nil, err
	}
	st, err := db.Prepare("INSERT INTO messages (body) VALUES (?)")
	return &sqliteStore{db: db, put1: st}, err
}

func (q *sqliteStore) put(p []byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, err := q.put1.Exec(p)
	return err
}

func (q *sqliteStore) putAll(all [][]byte) error {
	tx, err := q.db.Begin()
	if err != nil {
		return err
	}
	st := tx.Stmt(q.put1)
	for _, p := range all {
		if _, err := st.Exec(p); err != nil {
			tx.Rollback()
			return err
		}
	}
	return tx.Commit()
}

func (q *sqliteStore) close() error { return q.db.Close() }

// walStore is tidwall/wal; it syncs each write.
type walStore struct {
	mu   sync.Mutex // guards next
	log  *wal.Log
	next uint64
}

func openWAL(dir string, _ int) (store, error) {
	log, err := wal.Open(dir, &wal.Options{NoSync: false, SegmentSize: 4 << 20, LogFormat: wal.Binary, SegmentCacheSize: 2, NoCopy: true})
	return &walStore{log: log}, err
}

func (w *walStore) put(p []byte) error { return w.putAll([][]byte{p}) }

func (w *walStore) putAll(all [][]byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b wal.Batch
	for _, p := range all {
		w.next++
		b.Write(w.next, p)
	}
	return w.log.WriteBatch(&b)
}

func (w *walStore) close() error { return w.log.Close() }
