package journal

import (
	"log/slog"
	"sync"
	"time"

	"weir/buffer"
)

// Durability says what a forward rule asks of the disk.
type Durability uint8

const (
	Auto            Durability = iota // written when the upstream is down, not answering, or late
	DiskAlways                        // always written before it is acknowledged; rules that send at QoS 2 need it
	MemoryOnly                        // never written on this rule's account; lost with the process
	AutoAsPublished                   // Auto for a rule that sends at the QoS of the publisher: at QoS 2 always written
)

// Config of a journal.
type Config struct {
	Pace   Pace
	Buffer buffer.Options   // OnSettled and OnRoom are set by the journal
	Now    func() time.Time // nil: the system's clock
	Log    *slog.Logger     // nil: nothing is logged
}

// Journal implements broker.Journal and broker.Store over a buffer.Log. Safe for concurrent use.
type Journal struct {
	log     *buffer.Log
	cfg     Config
	settled settled
	wake    chan struct{} // capacity 1: the due time may have become earlier
	news    chan struct{} // capacity 1: something was settled, or there is room
	sources sync.Map      // *Source by name of the upstream
	chores  chan struct{} // capacity 1: the log has something to do that no commit should wait for

	mu         sync.Mutex // guards everything below; never held during I/O
	pace       *pacer
	durability map[ruleKey]Durability
	known      time.Time // the due time that Run waits for; zero: none
	started    bool      // the first number of this run is known
	scratch    scratch
	commitErr  error
	failedAt   time.Time
	volatile   bool      // there is no data directory behind it
	heldTold   time.Time // when it was last logged that the flash budget is used up
}

type ruleKey struct{ upstream, rule uint32 }

// Open opens the log in cfg.Buffer.Dir and recovers it. The caller runs Run and, after it, Close.
func Open(cfg Config) (*Journal, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	j := &Journal{cfg: cfg, wake: make(chan struct{}, 1), news: make(chan struct{}, 1), chores: make(chan struct{}, 1), durability: map[ruleKey]Durability{}}
	j.pace = newPacer(cfg.Pace, j.settled.covers)
	o := cfg.Buffer
	o.OnSettled = func(r []buffer.Range) {
		j.settled.add(r)
		j.settledNow()
		poke(j.news)
	}
	o.OnRoom = func() { poke(j.news) }
	o.OnChores = func() { poke(j.chores) }
	log, err := buffer.Open(o)
	if err != nil {
		return nil, err
	}
	j.log = log
	if err := j.distrust(log.Recovery()); err != nil {
		cfg.Log.Error("that the sessions upstream are begun anew cannot be written yet", "err", err)
	}
	j.sweepPairs()
	return j, nil
}

// Log is the buffer below, for statistics and keyed state.
func (j *Journal) Log() *buffer.Log { return j.log }

// SetDurability says what a rule of an upstream asks of the disk. Call it before the first Append that names it.
func (j *Journal) SetDurability(upstream, rule uint32, d Durability) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.durability[ruleKey{upstream, rule}] = d
}

// Settled tells whether the record is kept, or acknowledged by everyone who wants it. Cheap.
func (j *Journal) Settled(number uint64) bool { return j.settled.covers(number, number) }

// Err is why the last commit failed, and since when; nil while commits succeed.
func (j *Journal) Err() (error, time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.commitErr, j.failedAt
}

// poke leaves a signal unless one is waiting already.
func poke(signal chan<- struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

// Close commits what is left and closes the log. The broker and the bridges must have stopped.
func (j *Journal) Close() error {
	err := j.log.Close()
	if j.Volatile() { // that there is no disk is known
		return nil
	}
	return err
}
