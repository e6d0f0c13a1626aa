package journal

import (
	"context"
	"sync"
	"time"
)

const (
	retryFirst = 250 * time.Millisecond
	retryMax   = 10 * time.Second
)

// Run commits when a commit is due, and calls notify, the broker's, after records were settled or when there is room in
// the tail again, until ctx ends. What is settled while notify runs is told in one more call.
func (j *Journal) Run(ctx context.Context, notify func()) error {
	var g sync.WaitGroup
	g.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-j.news:
				j.bury()
				notify()
			}
		}
	})
	g.Go(func() { j.trim(ctx) })
	g.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-j.chores:
				j.log.Chores()
			}
		}
	})
	j.commits(ctx)
	g.Wait()
	j.bury()
	notify() // whatever the last commit settled
	return nil
}

// trimEvery is how often records are looked for that are older than they may be. A commit trims by itself.
const trimEvery = 10 * time.Second

// trim drops what has become too old while nothing was written.
func (j *Journal) trim(ctx context.Context) {
	if j.cfg.Buffer.Age == nil {
		return
	}
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			j.log.Trim()
		}
	}
}

func (j *Journal) commits(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var hold time.Time // after a failed commit: not before this
	back := retryFirst
	for {
		now := j.cfg.Now()
		j.mu.Lock()
		due := j.pace.dueAt(now)
		j.known = due
		j.mu.Unlock()
		if due.Before(hold) && !due.IsZero() {
			due = hold
		}
		if !due.IsZero() && !due.After(now) {
			if err := j.Commit(); err != nil {
				hold, back = now.Add(back), min(2*back, retryMax)
			} else {
				hold, back = time.Time{}, retryFirst
			}
			continue
		}
		wait := time.Hour
		if !due.IsZero() {
			wait = due.Sub(now)
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-j.wake:
		case <-timer.C:
		}
	}
}

// Commit writes the whole tail now.
func (j *Journal) Commit() error {
	j.mu.Lock()
	j.pace.commit(j.cfg.Now())
	j.mu.Unlock()
	padding := j.log.Padding()
	err := j.log.Commit()
	padding = j.log.Padding() - padding
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.cfg.Now()
	j.pace.committed(err == nil, padding, now)
	j.remember(err)
	if j.pace.pubs.budget.limit > 0 && !j.pace.pubs.budget.left(now) && (j.heldTold.IsZero() || now.Sub(j.heldTold) >= time.Hour) {
		j.heldTold = now
		j.cfg.Log.Warn("flash budget used up: publishers that wait for acknowledgements wait for gather", "bytes", j.pace.pubs.budget.limit)
	}
	return err
}

// remember keeps the state of the store and tells changes of it. The caller holds mu.
func (j *Journal) remember(err error) {
	switch {
	case err != nil && j.commitErr == nil:
		j.failedAt = j.cfg.Now()
		j.cfg.Log.Error("the store does not take writes: messages that need it are not acknowledged until it does", "err", err)
	case err == nil && j.volatile: // there was nothing to write; the disk is no better
		return
	case err == nil && j.commitErr != nil:
		j.cfg.Log.Info("the store takes writes again", "after", j.cfg.Now().Sub(j.failedAt).Round(time.Millisecond))
	}
	j.commitErr = err
}
