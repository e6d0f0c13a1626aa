package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/broker/message"
	"weir/gateway/config"
	"weir/sensors/bus"
	"weir/sensors/chip"
	"weir/sensors/sim"
)

// TestHundredChipsForAnHour: a hundred chips of every kind there is, each read once a second for an hour by its driver and put
// through the pipeline, in an hour of fake time. Every reading is good and is what the room was like, none is missed.
func TestHundredChipsForAnHour(t *testing.T) {
	const many, hour = 100, 3600
	began := time.Now()
	readings := 0
	synctest.Test(t, func(t *testing.T) {
		var b board
		var rooms []*room
		start := time.Now()
		text := "[gateway]\nid = \"g1\"\n"
		for i := range many {
			r := &room{T: t, chip: &chips[i%len(chips)], world: sim.Room(uint64(i)), values: map[string]int{}}
			rooms = append(rooms, r)
			bus, addr := b.put(r.chip, r.world)
			text += fmt.Sprintf("\n[sensor.s%02d]\ndriver = %q\nbus = \"%d\"\naddress = 0x%02x\nevery = \"1s\"\nmedian = 3\n%s\n", i, r.chip.driver, bus, addr, r.chip.settings)
		}
		cfg, problems, err := config.Parse("test.toml", []byte(text), config.Options{Drivers: chip.Drivers})
		if err != nil {
			t.Fatalf("%v\n%s", err, config.Report(problems))
		}
		log := slog.New(slog.DiscardHandler)
		g := &Gateway{cfg: cfg, o: Options{Drivers: chip.Drivers}, log: log}
		g.machine = bus.New(bus.Options{Root: t.TempDir(), Buses: b.numbers, OpenI2C: b.open, Log: log})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = g.machine.Run(ctx) })
		for i, name := range slices.Sorted(maps.Keys(cfg.Sensor)) {
			s, err := g.sampler(cfg.Sensor[name])
			if err != nil {
				t.Fatal(err)
			}
			s.out, s.stamp = rooms[i], func() message.Stamp {
				return message.Stamp{Boot: 1, Since: time.Since(start), Wall: time.Now().UnixNano()}
			}
			g.add(s)
			running.Go(func() { s.run(ctx) })
		}
		time.Sleep(hour*time.Second + time.Second/2)
		cancel()
		running.Wait()
		for i, s := range g.all() {
			st := s.snapshot()
			if st.State != "ok" || st.Reads < hour || st.Reads > hour+1 || st.Failures+st.Missed+st.Dropped > 0 {
				t.Errorf("%s: %+v, want %d reads and nothing wrong", rooms[i].chip.driver, st, hour)
			}
			rooms[i].complete(int(st.Reads))
			readings += int(st.Reads)
		}
	})
	t.Logf("%d readings in %v", readings, time.Since(began))
}

// room takes what a sampler publishes and compares it with the air around its chip. Used by one goroutine at a time.
type room struct {
	*testing.T
	chip   *onBoard
	world  sim.World
	values map[string]int // by quantity
	wrong  int
}

// Publish implements publisher.
func (r *room) Publish(batch []message.Message) error {
	air := r.world.At(time.Now())
	for i := range batch {
		topic := string(batch[i].Topic)
		if strings.HasPrefix(topic, "weir/") {
			continue
		}
		quantity := topic[strings.LastIndexByte(topic, '/')+1:]
		r.values[quantity]++
		want, within := air.Temperature, r.chip.celsius
		switch quantity {
		case "pressure":
			want, within = air.Pressure/100, r.chip.hPa
		case "humidity":
			want, within = air.Humidity, r.chip.percent
		}
		// While the median of three was measured the air has changed a little.
		value, err := strconv.ParseFloat(string(batch[i].Payload), 64)
		if err != nil || math.Abs(value-want) > within+0.02 {
			if r.wrong++; r.wrong < 5 {
				r.Errorf("%s: %s is %s, want %.3f ± %v", r.chip.driver, quantity, batch[i].Payload, want, within)
			}
		}
	}
	return nil
}

// complete says whether each quantity of the chip came with each reading.
func (r *room) complete(reads int) {
	want := map[string]int{}
	for quantity, measured := range map[string]bool{
		"temperature": r.chip.celsius > 0, "pressure": r.chip.hPa > 0, "humidity": r.chip.percent > 0, "object_temperature": r.chip.driver == "mlx90614",
	} {
		if measured {
			want[quantity] = reads
		}
	}
	if !maps.Equal(r.values, want) {
		r.Errorf("%s: values %v, want %v", r.chip.driver, r.values, want)
	}
}
