package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Run puts the chosen scenarios on a broker, one after another, and hands each result to each as soon as it is there. The
// error is about the options; what goes wrong in a scenario stands in its result, and the next one follows. When ctx ends, so
// does Run, and what it gives is the report so far and the cause.
func Run(ctx context.Context, o Options, each func(Result)) (*Report, error) {
	address, chosen, err := o.check()
	if err != nil {
		return nil, err
	}
	report := &Report{Schema: 1, URL: o.URL, Version: o.Version.String(), Size: o.Size.json(), Results: []Result{}}
	for _, s := range chosen {
		if ctx.Err() != nil {
			return report, context.Cause(ctx)
		}
		result := measure(ctx, &o, address, s)
		report.Results = append(report.Results, result)
		each(result)
	}
	return report, nil
}

// measure runs one scenario, and again with the least of a peer if its limit is asked for.
func measure(ctx context.Context, o *Options, address string, s Scenario) Result {
	result := Result{Scenario: s.Name, Figures: []Figure{}}
	r := newRun(ctx, o, address)
	err := r.withBroker(s)
	result.Figures = append(result.Figures, r.figures...)
	if p := r.process; p.PID != 0 {
		result.Process = &p
	}
	switch {
	case ctx.Err() != nil:
		result.Error = "interrupted"
	case err != nil:
		result.Error = err.Error()
	}
	if result.Error != "" {
		return result
	}
	if s.speed && len(o.Limit) > 0 {
		if err := measureLimit(ctx, o, s, result.Figures); err != nil {
			result.LimitErr = err.Error()
		}
	}
	return result
}

// measureLimit puts beside figures what they are with Bare.
func measureLimit(ctx context.Context, o *Options, s Scenario, figures []Figure) error {
	bare, address, err := startBare(o.Limit, o.Size.Patience)
	if err != nil {
		return err
	}
	defer bare.stop()
	limit := *o
	limit.Exec, limit.PID, limit.Username, limit.Password = nil, bare.pid(), "", nil
	r := newRun(ctx, &limit, address)
	if err := r.scenario(s); err != nil {
		return err
	}
	for i := range figures {
		for _, f := range r.figures {
			if f.Name == figures[i].Name {
				figures[i].Limit = f.Value
			}
		}
	}
	return nil
}

// run is one scenario on one broker. What goes wrong is given to fail, which ends it.
type run struct {
	o       *Options
	address string
	number  uint32    // in each payload: messages of other runs are told apart by it
	began   time.Time // stamps count from here
	ready   time.Duration
	process Process // of the broker; PID 0: not known
	figures []Figure

	ctx      context.Context
	cancel   context.CancelCauseFunc
	crew     sync.WaitGroup // every goroutine of the run
	over     atomic.Bool    // what connections say from now on is of no interest
	progress atomic.Uint64  // rises with everything that comes from the broker

	mu    sync.Mutex // guards the field below
	conns []*conn    // all that were opened
}

func newRun(ctx context.Context, o *Options, address string) *run {
	r := &run{o: o, address: address, number: rand.Uint32(), began: time.Now(), process: Process{PID: o.PID}}
	if o.PID != 0 {
		r.process.Name = processName(o.PID)
	}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	return r
}

// withBroker runs a scenario, on a broker of its own if there is a program to start.
func (r *run) withBroker(s Scenario) error {
	if len(r.o.Exec) == 0 {
		return r.scenario(s)
	}
	began := time.Now()
	broker, err := startProgram(r.o.Exec)
	if err != nil {
		return err
	}
	defer broker.stop()
	r.process = Process{PID: broker.pid(), Name: processName(broker.pid())}
	if err := r.untilReady(broker); err != nil {
		return err
	}
	r.ready = time.Since(began)
	r.process.Name = processName(broker.pid())
	go func() { // ends with the process, which stop ends
		<-broker.ended
		r.fail(broker.why())
	}()
	return r.scenario(s)
}

// untilReady tries until a CONNECT is accepted.
func (r *run) untilReady(p *program) error {
	limit := time.Now().Add(r.o.Size.Patience)
	for {
		c, err := r.dial("bench-ready")
		if err == nil {
			r.forget(c)
			return nil
		}
		if !errors.Is(err, syscall.ECONNREFUSED) || time.Now().After(limit) {
			return fmt.Errorf("the broker was started and takes no connection: %w%s", err, p.lastWords())
		}
		select {
		case <-p.ended:
			return p.why()
		case <-r.ctx.Done():
			return context.Cause(r.ctx)
		case <-time.After(100 * time.Microsecond):
		}
	}
}

// scenario runs s to its end, and waits for everything it has started.
func (r *run) scenario(s Scenario) error {
	r.began = time.Now()
	unhook := context.AfterFunc(r.ctx, r.closeAll)
	stopWatch := make(chan struct{})
	r.crew.Go(func() { r.watch(stopWatch) })
	err := s.run(r)
	if cause := context.Cause(r.ctx); cause != nil { // the first thing that went wrong, not what followed from it
		err = cause
	}
	r.over.Store(true)
	close(stopWatch)
	r.cancel(nil)
	unhook()
	r.closeAll()
	r.crew.Wait()
	return err
}

// fail ends the scenario with a reason; only the first one counts.
func (r *run) fail(err error) {
	if !r.over.Load() {
		r.cancel(err)
	}
}

// start runs f in a goroutine of the run. An error of it ends the scenario.
func (r *run) start(who string, f func() error) {
	r.crew.Go(func() {
		if err := f(); err != nil {
			r.fail(fmt.Errorf("%s: %w", who, plain(err)))
		}
	})
}

// watch ends the scenario when nothing comes from the broker for too long, though there is somebody who waits. It is a little
// more patient than the deadlines, which know better what is waited for.
func (r *run) watch(stop <-chan struct{}) {
	patience := r.o.Size.Patience
	tick := time.NewTicker(max(patience/20, time.Millisecond))
	defer tick.Stop()
	last, since := uint64(0), time.Now()
	for {
		select {
		case <-stop:
			return
		case <-r.ctx.Done():
			return
		case now := <-tick.C:
			if n := r.progress.Load(); n != last {
				last, since = n, now
			} else if now.Sub(since) >= patience+patience/4 {
				r.fail(fmt.Errorf("the broker has sent nothing for %v", patience))
				return
			}
		}
	}
}

// rest lets time pass in which the broker need not say anything.
func (r *run) rest(d time.Duration) error {
	end := time.NewTimer(d)
	defer end.Stop()
	alive := time.NewTicker(max(r.o.Size.Patience/4, time.Millisecond))
	defer alive.Stop()
	for {
		select {
		case <-end.C:
			r.progress.Add(1)
			return nil
		case <-alive.C:
			r.progress.Add(1)
		case <-r.ctx.Done():
			return context.Cause(r.ctx)
		}
	}
}

// wait lets time pass under load: the watch goes on.
func (r *run) wait(d time.Duration) error {
	end := time.NewTimer(d)
	defer end.Stop()
	select {
	case <-end.C:
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}

// each calls f for 0 to n-1, a few at a time, and gives the first error.
func (r *run) each(n, atOnce int, f func(i int) error) error {
	var group sync.WaitGroup
	var next atomic.Int64
	for range min(n, atOnce) {
		group.Go(func() {
			for r.ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := f(i); err != nil {
					r.fail(plain(err))
					return
				}
			}
		})
	}
	group.Wait()
	return context.Cause(r.ctx)
}

// closeAll closes every connection there is.
func (r *run) closeAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		_ = c.Close() // it may be closed already
	}
	r.conns = nil
}

// plain puts what a socket says into words.
func plain(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return errors.New("the broker has closed the connection")
	}
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return errors.New("the broker does not answer")
	}
	return err
}
