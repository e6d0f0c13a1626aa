package broker

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/broker/packet"
)

var (
	modelRuns = flag.Int("runs", 0, "how many runs of TestModel; 0: a few hundred")
	modelSeed = flag.Uint64("seed", 0, "the one run of TestModel to repeat; 0: all")
)

// TestModel has clients do what they like, and compares what each gets with a reference that was written from the standard.
// Each run has a seed, which a failure prints; -args -seed N repeats it with all that happened. A quarter of the runs is
// over a Store, and its broker is stopped or killed now and then; one in forty is over the real journal on a disk in memory, and
// its broker is stopped. .ci/long does thousands (-args -runs N).
func TestModel(t *testing.T) {
	if *modelSeed != 0 {
		newModel(t, *modelSeed, true)
		return
	}
	n := *modelRuns
	if n == 0 {
		n = 300
	}
	base := uint64(1)
	if *modelRuns > 0 {
		base = uint64(time.Now().UnixNano()) >> 10 << 10
		t.Logf("model: seeds %d to %d", base, base+uint64(n)-1)
	}
	for seed := base; seed < base+uint64(n) && !t.Failed(); seed++ {
		newModel(t, seed, false)
	}
}

// model is one run.
type model struct {
	t      *testing.T
	seed   uint64
	rnd    *rand.Rand
	story  []string
	failed bool

	cfg    Config
	house  *house
	memory *memory
	vault  *vault // nil: there is no Store, or a real one
	real   bool   // the Store is the real journal, kept
	disk   any    // of it; nil before the first start
	kept   Kept
	quit   func() // ends it
	actors []*actor
	ref    *reference
	began  time.Time // of the step that is going on
}

func newModel(t *testing.T, seed uint64, tell bool) {
	t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := &model{t: t, seed: seed, rnd: rand.New(rand.NewPCG(seed, 77)), cfg: Config{Inflight: 6}}
			m.ref = &reference{now: time.Now, sessions: map[string]*standing{}, retained: map[string]*sent{}, groups: map[string]*common{}, window: 6}
			switch {
			case seed%40 == 0:
				m.real = true
			case seed%4 == 0:
				m.vault = newVault(t)
				m.vault.auto = true
			}
			m.start()
			for i := range 5 {
				m.actors = append(m.actors, &actor{m: m, id: fmt.Sprint("c", i), v: versions[m.rnd.IntN(2)], pending: map[uint16]*packet.Publish{}, seen: map[string]int{}, direct: map[string]bool{}, alike: map[string]lookAlike{}})
			}
			m.run(60)
			if tell {
				t.Log("\n" + strings.Join(m.story, "\n"))
			}
			m.close()
		})
	})
}

func (m *model) start() {
	m.memory = newMemory()
	m.house = &house{t: m.t, memory: m.memory, journal: newJournal()}
	m.house.journal.auto = true
	cfg := m.cfg
	if m.vault != nil {
		m.house.over = m.vault
		cfg.Store = m.vault
	}
	if m.real {
		m.kept, m.disk = OpenKept(m.t, m.disk)
		m.house.kept, cfg.Store = m.kept, m.kept
	}
	m.house.run(cfg, m.memory)
	if m.real {
		m.quit = m.runKept()
	}
	if m.vault != nil {
		m.vault.mu.Lock()
		m.vault.b = m.house.b
		m.vault.mu.Unlock()
		m.house.b.Notify()
	}
}

func (m *model) close() {
	for _, a := range m.actors {
		if a.nc != nil {
			a.shut()
		}
	}
	m.stop()
}

// Kept is a real Journal with its Store, as package journal has it.
type Kept interface {
	Journal
	Store
	Run(ctx context.Context, notify func()) error
	Close() error
}

// OpenKept opens the journal on a disk, which it makes if it is nil.
var OpenKept func(t testing.TB, disk any) (Kept, any)

// runKept runs the journal until the function is called that it returns.
func (m *model) runKept() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.kept.Run(ctx, m.house.b.Notify) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			m.t.Errorf("the journal: %v", err)
		}
		if err := m.kept.Close(); err != nil {
			m.t.Errorf("closing the journal: %v", err)
		}
	}
}

// stored tells whether there is a Store.
func (m *model) stored() bool { return m.vault != nil || m.real }

// stop ends the broker in order, and then its journal.
func (m *model) stop() {
	m.house.stop()
	if m.quit != nil {
		m.quit()
		m.quit = nil
	}
}

// calm waits until nothing happens any more but by the clock; the real journal takes a moment for what it does.
func (m *model) calm() {
	if m.real {
		time.Sleep(100 * time.Microsecond)
	}
	synctest.Wait()
}

func (m *model) note(format string, args ...any) {
	m.story = append(m.story, fmt.Sprintf(format, args...))
}

// fail reports the first thing that is wrong, with what led to it.
func (m *model) fail(format string, args ...any) {
	m.t.Helper()
	if m.failed {
		return
	}
	m.failed = true
	m.t.Errorf("seed %d: %s\nwhat happened last:\n%s", m.seed, fmt.Sprintf(format, args...), strings.Join(m.story[max(0, len(m.story)-40):], "\n"))
}

func (m *model) run(steps int) {
	for step := 0; step < steps && !m.failed; step++ {
		m.began = time.Now()
		m.step()
		m.settle()
		m.advance(7 * time.Millisecond) // no two things happen at the same moment
	}
	for _, a := range m.actors {
		if a.nc != nil && a.lazy && !m.failed {
			a.lazy = false
			m.note("%s is diligent again", a.id)
			m.settle()
		}
	}
}

// advance lets time pass, for the reference too, with a stop wherever something happens by itself.
func (m *model) advance(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end) && !m.failed; {
		stop := end
		if when, s, _ := m.ref.next(); s != nil && when.Before(end) {
			stop = when
		}
		time.Sleep(time.Until(stop))
		m.calm()
		m.ref.pass()
		m.settle()
	}
}

// settle lets everybody read, and acknowledge who does, until nothing happens any more; then nothing may be missing.
func (m *model) settle() {
	for again := true; again && !m.failed; {
		m.calm()
		again = false
		for _, a := range m.actors {
			again = a.read() || again
		}
	}
	if !m.failed {
		m.missing()
	}
}

// missing complains of what should have come by now.
func (m *model) missing() {
	for _, a := range m.actors {
		s := m.ref.sessions[a.id]
		if a.nc == nil || s == nil {
			continue
		}
		full := len(s.begun)+len(s.freed) >= min(s.most, m.ref.window)
		for _, d := range s.owed {
			switch {
			case !d.must || d.m.expired(m.ref.now()) || (d.qos > 0 || d.filter != "") && full: // retained ones of QoS 0 stand behind others
			default:
				m.fail("%s has not got %v; in flight %v, released %v", a.id, d, s.begun, s.freed)
			}
		}
		if len(s.again) > 0 && len(s.begun)+len(s.freed)-len(s.again)-len(s.regrets) < min(s.most, m.ref.window) || len(s.regrets) > 0 && !full {
			m.fail("%s: %v do not come again, nor PUBRELs %v", a.id, s.again, s.regrets)
		}
		for id, t := range a.waits {
			if !(a.hold && t == packet.TypePubrec) {
				m.fail("%s has no %s for id %d", a.id, t, id)
			}
		}
		for _, filter := range sorted(s.subs) {
			if g := m.ref.groups[filter]; g != nil && !full {
				for _, d := range g.owed {
					if d.must && !d.m.expired(m.ref.now()) && !m.looked(g, d) {
						m.fail("%s has room and %v waits in %s", a.id, d, filter)
					}
				}
			}
		}
		if a.ended() {
			m.fail("%s: the connection was closed, DISCONNECT %v", a.id, a.end)
		}
	}
}

// looked tells whether a member got a message that looked like its own, and may have been the group's.
func (m *model) looked(g *common, d *delivery) bool {
	for _, a := range m.actors {
		if slices.Contains(g.members, a.id) && a.direct[string(d.m.p.Payload)] {
			return true
		}
	}
	return false
}
