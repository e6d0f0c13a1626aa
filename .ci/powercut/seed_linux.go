package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"weir/bridge/upstream"
)

const (
	imageSize = 64 << 20
	id        = "cut"
)

// world is one seed.
type world struct {
	random    *rand.Rand
	lies      bool
	dir       string // not on the disk whose power is cut
	image     []byte
	weir      *process
	keys      *keysProcess
	publisher *upstream.Publisher
	server    *upstream.Server
	ledger    *upstream.Ledger
	disk      *disk
	acked     map[string]uint64 // before the last cut
	said      []string          // by the cuts
}

// runSeed is one run, as doc.go says. Its error says all that was wrong.
func runSeed(program string, seed uint64, lies bool) error {
	dir, err := os.MkdirTemp("", "powercut")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w := &world{random: rand.New(rand.NewPCG(seed, 42)), lies: lies, dir: dir}
	if err := w.prepare(program); err != nil {
		return err
	}
	defer w.server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var publishing sync.WaitGroup
	defer publishing.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	publishing.Go(func() { _ = w.publisher.Run(ctx) }) // what it did not get acknowledged is nobody's loss

	w.server.Down()
	first := time.Duration(400+w.random.IntN(3600)) * time.Millisecond
	if w.random.IntN(4) == 0 {
		first = time.Duration(w.random.IntN(300)) * time.Millisecond
	}
	if err := w.powered(func() error { return w.untilCut(first) }); err != nil {
		return fmt.Errorf("first life: %w", err)
	}
	outage := w.publisher.Stats().Acknowledged
	if err := w.server.Up(); err != nil {
		return err
	}
	if w.random.IntN(2) == 0 {
		w.server.Behave(func(b *upstream.Behaviour) { b.AckDelay = 300 * time.Millisecond })
	}
	second := time.Duration(300+w.random.IntN(2200)) * time.Millisecond
	if err := w.powered(func() error { return w.untilCut(second) }); err != nil {
		return fmt.Errorf("second life: %w", err)
	}
	if err := w.server.Up(); err != nil {
		return err
	}
	w.server.Behave(func(b *upstream.Behaviour) { b.AckDelay = 0 })
	w.publisher.Finish()
	if err := w.powered(func() error { return w.drain(ctx) }); err != nil {
		return fmt.Errorf("third life: %w", err)
	}
	if err := w.check(); err != nil {
		return fmt.Errorf("after the third life: %w", err)
	}
	arrived, repeats := 0, 0
	for _, a := range w.ledger.Accounts() {
		arrived, repeats = arrived+a.Arrived, repeats+a.Repeats
	}
	s := w.publisher.Stats()
	fmt.Printf("powercut: seed %d: %d sent, %d acknowledged, %d of them before the first cut, %d arrived, %d repeats, %d commits of keys; %s\n",
		seed, s.Sent, s.Acknowledged, outage, arrived, repeats, w.keys.done.Load(), strings.Join(w.said, "; "))
	return nil
}

// prepare makes the file system, the configuration, and both ends.
func (w *world) prepare(program string) error {
	file := filepath.Join(w.dir, "image")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(file, imageSize); err != nil {
		return err
	}
	if err := command("mke2fs", "-q", "-F", "-t", "ext4", file); err != nil {
		return err
	}
	image, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	w.image = image
	// The publisher's session is persistent: it and its QoS 2 handshakes are keyed state of weir. The rule sends at QoS 1.
	topics, exact := []string{"plant/1", "plant/2"}, []string{"plant/3"}
	var remote []string
	for _, t := range append(topics, exact...) {
		remote = append(remote, "sites/"+id+"/"+t)
	}
	w.ledger = upstream.NewLedger(remote, nil)
	if w.server, err = upstream.Listen(upstream.Options{Forget: true, OnArrival: w.ledger.Take}); err != nil {
		return err
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	w.publisher = upstream.NewPublisher(upstream.PublisherOptions{Address: address, ClientID: "strict", Topics: topics, Exact: exact, PerSecond: 1000, Window: 200, Size: 100})
	config := filepath.Join(w.dir, "weir.toml")
	text := fmt.Sprintf(`
[gateway]
id = "%s"
[listener.test]
address = "%s"
[sensors]
auto = false
[broker]
max_packet = "16KiB"
[buffer]
segment = "64KiB"
max_size = "16MiB"
min_free = "0MiB"
ack_flush = "200ms"
[bridge.cloud]
url = "%s"
[[bridge.cloud.forward]]
filter = "plant/#"
prefix = "sites/{id}"
`, id, address, w.server.URL())
	w.weir = &process{path: program, arguments: []string{"run", "--config", config}, environment: "STATE_DIRECTORY=" + w.mounted() + "/weir", listens: address}
	w.keys = &keysProcess{process: process{path: "/proc/self/exe", arguments: []string{"-keys", w.mounted() + "/keys"}}}
	return os.WriteFile(config, []byte(text), 0o600)
}

// check says what e2fsck finds on the disk after it was unmounted in order.
func (w *world) check() error {
	file := filepath.Join(w.dir, "image")
	if err := os.WriteFile(file, w.image, 0o600); err != nil {
		return err
	}
	return command("e2fsck", "-f", "-n", file)
}

func (w *world) mounted() string { return filepath.Join(w.dir, "mounted") }

// powered mounts the disk, runs life, and unmounts it. What is then on the disk is its image, if life has not cut it.
func (w *world) powered(life func() error) error {
	file := filepath.Join(w.dir, "disk")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.MkdirAll(w.mounted(), 0o700)); err != nil {
		return err
	}
	d := newDisk(w.image, w.random)
	d.lies = w.lies
	s, err := serve(d, file)
	if err != nil {
		return err
	}
	if err := mountDisk(file, w.mounted()); err != nil {
		return errors.Join(err, s.close())
	}
	w.disk = d
	w.publisher.Mend()
	err = life()
	w.weir.kill()
	w.keys.kill()
	err = errors.Join(err, unmount(w.mounted()), s.close())
	d.flush()
	return err
}

// untilCut starts what runs on the disk and cuts the power after a while.
func (w *world) untilCut(after time.Duration) error {
	if err := errors.Join(w.weir.start(), w.keys.start()); err != nil {
		return err
	}
	if after >= 300*time.Millisecond { // a shorter time is for a cut while it starts
		if err := errors.Join(w.weir.ready(), w.keys.ready()); err != nil {
			return err
		}
	}
	time.Sleep(after) // the moment of the cut is what this is about
	off := make(chan struct{})
	w.disk.arm(1+w.random.IntN(12), func() {
		// The power is gone for the network too: what is acknowledged from now on does not count.
		w.acked, w.keys.least = w.publisher.Sever(), w.keys.done.Load()
		close(off)
	})
	select {
	case <-off:
	case <-time.After(time.Second): // nobody writes
	}
	w.server.Down()
	image, said := w.disk.cut()
	w.image, w.said = image, append(w.said, said)
	return errors.Join(w.weir.alive(), w.keys.alive())
}

// drain is the last life: everything arrives.
func (w *world) drain(ctx context.Context) error {
	if err := errors.Join(w.weir.start(), w.keys.start()); err != nil {
		return err
	}
	if err := errors.Join(w.weir.ready(), w.keys.ready()); err != nil {
		return err
	}
	want := map[string]uint64{}
	for t, n := range w.acked {
		want["sites/"+id+"/"+t] = n
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err := w.ledger.Wait(ctx, want)
	for i, fault := range w.ledger.Faults() {
		if i == 5 {
			break
		}
		err = errors.Join(err, errors.New(fault))
	}
	if n := w.publisher.Stats().SessionsLost; n > 0 {
		err = errors.Join(err, fmt.Errorf("the publisher's session was lost %d times", n))
	}
	for _, v := range append(w.publisher.Violations(), w.server.Violations()...) {
		err = errors.Join(err, errors.New(v))
	}
	err = errors.Join(err, w.weir.alive(), w.weir.stop(), w.keys.alive())
	if err != nil {
		err = fmt.Errorf("%w; weir said:\n%s", err, w.weir.said())
	}
	return err
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
