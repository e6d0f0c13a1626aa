package gateway

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"weir/broker/message"
	"weir/buffer"
	"weir/gateway/clock"
	"weir/gateway/config"
	"weir/gateway/journal"
	"weir/gateway/status"
)

// store is the data directory: the log with its journal, and what is kept in its keyed state.
type store struct {
	dir     string
	journal *journal.Journal
	written daily
	times   atomic.Pointer[clock.Clock] // nil until there is one
}

// age is how long ago something was, as far as that is known: across boots only if the times of both are certain.
func (s *store) age(boot uint64, since int64) (age time.Duration, known bool) {
	c := s.times.Load()
	if c == nil {
		return 0, false
	}
	now, then := c.Now(), message.Stamp{Boot: boot, Since: time.Duration(since)}
	if now.Boot == boot {
		return now.Since - then.Since, true
	}
	today, sure := c.Wall(now)
	at, certain := c.Wall(then)
	return today.Sub(at), sure && certain
}

// openStore opens the log below the data directory.
func openStore(cfg *config.Config, log *slog.Logger) (*store, error) {
	if cfg.Gateway.DataDir == "" {
		return nil, fmt.Errorf("no data directory: set gateway.data_dir, or $STATE_DIRECTORY, or $HOME")
	}
	b := cfg.Buffer
	c := journal.Config{
		Pace:   journal.Pace{SpillAfter: b.SpillAfter, Gather: b.Gather, OwnGather: b.OwnGather, AckFlush: b.AckFlush, FlashBudget: int64(b.FlashBudget)},
		Buffer: bufferOptions(cfg, log),
		Log:    log,
	}
	s := &store{dir: cfg.Gateway.DataDir}
	c.Buffer.Age = s.age
	err := os.MkdirAll(cfg.Gateway.DataDir, 0o700)
	if err == nil {
		s.journal, err = journal.Open(c)
	}
	var unusable *buffer.OpenError
	var path *fs.PathError
	if errors.As(err, &unusable) || errors.As(err, &path) {
		log.Error("the data directory cannot be used: sensors and local delivery work, messages for upstreams are acknowledged only when the upstream has them; make room or make it writable, and weir takes it by itself",
			"dir", cfg.Gateway.DataDir, "err", err)
		s.journal, err = journal.OpenVolatile(c, err)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// usable tells whether a data directory that could not be used when the gateway was built can be used now.
func (s *store) usable(cfg *config.Config) bool {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return false
	}
	log, err := buffer.Open(bufferOptions(cfg, nil))
	return err == nil && log.Close() == nil
}

// bufferOptions are the settings of the log.
func bufferOptions(cfg *config.Config, log *slog.Logger) buffer.Options {
	b := cfg.Buffer
	return buffer.Options{
		Dir: filepath.Join(cfg.Gateway.DataDir, "log"), SegmentSize: int64(b.Segment), MaxSize: int64(b.MaxSize),
		MinFree: int64(b.MinFree), TailSize: int64(b.Tail), Newest: b.WhenFull == "drop-newest",
		Compress: b.Compress == "zstd", Log: log,
	}
}

// run commits until the context ends.
func (s *store) run(notify func()) func(context.Context) error {
	return func(ctx context.Context) error { return s.journal.Run(ctx, notify) }
}

func (s *store) close() error {
	s.keepWritten()
	return s.journal.Close()
}

// writtenKey holds how much was written in the last 24 hours. It goes along with the commits that there are, and with the
// one at the stop: a crash forgets an hour at most. No commit is made for it.
const writtenKey = "written"

func (s *store) keepWritten() {
	c := s.times.Load()
	if c == nil {
		return
	}
	kept := s.journal.Log()
	_ = kept.Put(writtenKey, s.written.append(nil, time.Now(), c.Now(), kept.Stats().Written)) // a log without room for it has worse to tell
}

func (s *store) recallWritten() {
	if value, ok := s.journal.Log().Get(writtenKey); ok {
		s.written.load(value, time.Now(), s.age)
	}
}

const clockPrefix = "clock/"

// clock makes the clock of a machine, nil for this one, with the offsets of earlier boots. What it learns is committed
// with the next block.
func (s *store) clock(machine clock.System, trust clock.Trust, log *slog.Logger) *clock.Clock {
	if machine == nil {
		var warning error
		if machine, warning = clock.Machine(); warning != nil {
			log.Warn("boot cannot be told from others", "err", warning)
		}
	}
	kept := s.journal.Log()
	c := clock.New(machine, clock.Config{
		Trust: trust,
		Learned: func(boot uint64, offset time.Duration) {
			kept.Put(clockPrefix+strconv.FormatUint(boot, 16), binary.LittleEndian.AppendUint64(nil, uint64(offset)))
		},
		Forgotten: func(boot uint64) { kept.Delete(clockPrefix + strconv.FormatUint(boot, 16)) },
	})
	loadOffsets(c, kept.Range)
	s.times.Store(c)
	s.recallWritten()
	return c
}

// status is what the snapshot says of the store.
func (s *store) status() status.Store {
	st, found := s.journal.Log().Stats(), s.journal.Log().Recovery()
	out := status.Store{Dir: s.dir, Bytes: st.Bytes, MaxBytes: st.MaxSize, Written: st.Written, Syncs: st.Syncs, Full: st.Full}
	var whole bool
	if out.WrittenDay, whole = s.written.note(time.Now(), st.Written); whole {
		s.keepWritten()
	}
	flash := s.journal.Flash()
	out.EarlyCommits, out.EarlyPadding, out.FlashBudget, out.FlashHeld = flash.Early, flash.Spent, flash.Budget, flash.Held
	if n := found.LostRecords(); n > 0 {
		out.Damage = fmt.Sprintf("damage on the disk cost %d stored messages in %d places", n, len(found.Lost))
	}
	if err, since := s.journal.Err(); err != nil {
		out.Err, out.Since = err.Error(), since
	}
	return out
}
