package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"weir/sensors"
)

// Certainty says how sure a scan is of what it found.
type Certainty string

// The certainties.
const (
	Identified Certainty = "identified" // the device said what it is
	Likely     Certainty = "likely"     // it answers as one of the kind would, but others may too
	Unknown    Certainty = "unknown"    // something answers
	InUse      Certainty = "in use"     // by a sensor of the running gateway; not asked
	Owned      Certainty = "kernel"     // by a driver of the kernel; not asked
)

// Found is one device of a scan.
type Found struct {
	Driver    string            `json:"driver,omitempty"` // that reads it; "" if none does
	Chip      string            `json:"chip,omitempty"`   // what it says it is, or the kernel's driver
	Where     string            `json:"where"`            // "0x76 on bus 1"
	Address   uint16            `json:"address,omitempty"`
	Certainty Certainty         `json:"certainty"`
	Mux       bool              `json:"multiplexer,omitempty"` // what is behind its channels has scans of its own
	Could     []string          `json:"could_be,omitempty"`    // unknown: drivers of chips that have this address and cannot say what they are
	Name      string            `json:"name,omitempty"`        // proposal for [sensor.NAME]: the same whenever it is found there
	Settings  map[string]string `json:"settings,omitempty"`    // to write besides driver, as TOML values
}

// BusScan is what a scan saw on one I2C bus, or behind one channel of a multiplexer.
type BusScan struct {
	Number  int     `json:"number"`
	Path    string  `json:"path"`              // "1", "1/0x70/3": what to write for bus
	Adapter string  `json:"adapter,omitempty"` // its name in the kernel
	Found   []Found `json:"found"`             // by address
	Problem string  `json:"problem,omitempty"` // why the scan of this bus broke off

	heard map[uint16]bool // addresses that answer in front of the channel, and so hide what is behind it
}

// Scan is what a scan found on the whole machine.
type Scan struct {
	Buses  []BusScan `json:"buses"`  // each bus followed by the channels of its multiplexers
	Others []Found   `json:"others"` // 1-wire and kernel devices
	Serial []string  `json:"serial"` // ports, by their stable links where there are some

	Modbus []Slave `json:"modbus,omitempty"` // what answered on them, for whoever has asked
}

// Slave is something that answers as a Modbus slave on a serial port.
type Slave struct {
	Port    string `json:"port"`
	Mode    string `json:"mode"` // "9600 8N1"
	Address int    `json:"address"`
	Words   string `json:"answer"`            // for people
	Problem string `json:"problem,omitempty"` // of the port; there is no slave then
}

// The addresses a scan looks at: those outside are reserved (I2C specification
// UM10204, table 3).
const (
	firstAddress = 0x08
	lastAddress  = 0x77
)

// risky reports whether an address usually has a chip that even a read may
// disturb: memory modules and power controllers (0x30-0x37), EEPROMs
// (0x50-0x57) and clocks (0x68, 0x6f).
func risky(addr uint16) bool {
	return addr >= 0x30 && addr <= 0x37 || addr >= 0x50 && addr <= 0x57 || addr == 0x68 || addr == 0x6f
}

// Scan looks at all buses and behind their multiplexers, and asks the given drivers
// what they know. It reads, with what drivers write to say what they want to read;
// multiplexers are told apart and set as muxTest says. It leaves alone risky
// addresses, those of kernel drivers and those of sensors that are open. A bus that
// hangs costs two time-outs. The error is that of ctx; what was found until then is
// returned with it.
func (m *Machine) Scan(ctx context.Context, drivers []sensors.Driver) (*Scan, error) {
	s := &Scan{Serial: m.serialPorts()}
	for _, d := range drivers {
		if d.List == nil {
			continue
		}
		for _, l := range d.List(m) {
			s.Others = append(s.Others, Found{Driver: d.Name, Chip: l.Chip, Where: l.Where, Certainty: Identified, Name: l.Name, Settings: l.Settings})
		}
	}
	seen := map[int]*BusScan{}
	for _, n := range m.buses() {
		a, err := m.adapter(ctx, n)
		if err != nil {
			return s, err
		}
		heard := map[uint16]bool{}
		if in, isChannel := channelOf(m.adapterName(n)); isChannel && seen[in] != nil {
			heard = seen[in].answers()
		}
		all, err := m.scanWire(ctx, a.root, drivers, heard)
		all[0].Adapter = m.adapterName(n)
		seen[n] = &all[0]
		s.Buses = append(s.Buses, all...)
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

// kernelChannel is what Linux calls the channel of a multiplexer that it drives itself.
var kernelChannel = regexp.MustCompile(`^i2c-(\d+)-mux `)

// channelOf returns the bus in front of an adapter that is a channel of a multiplexer.
func channelOf(adapter string) (number int, ok bool) {
	found := kernelChannel.FindStringSubmatch(adapter)
	if found == nil {
		return 0, false
	}
	number, err := strconv.Atoi(found[1])
	return number, err == nil
}

// answers are the addresses at which something was found, and those in front.
func (b *BusScan) answers() map[uint16]bool {
	all := maps.Clone(b.heard)
	for _, f := range b.Found {
		all[f.Address] = true
	}
	return all
}

// scanWire scans a segment, and behind the multiplexers that are on it. The first
// of the scans is that of the segment.
func (m *Machine) scanWire(ctx context.Context, s *segment, drivers []sensors.Driver, heard map[uint16]bool) ([]BusScan, error) {
	b := BusScan{Number: s.a.number, Path: s.path(), heard: heard}
	hung := 0
	for addr := uint16(firstAddress); addr <= lastAddress; addr++ {
		if heard[addr] {
			continue
		}
		f, err := m.look(ctx, s, addr, drivers)
		switch {
		case ctx.Err() != nil:
			return []BusScan{b}, context.Cause(ctx)
		case err == nil:
			hung = 0
			if f.Certainty != "" {
				b.Found = append(b.Found, f)
			}
		case sensors.FaultOf(err) == sensors.Timeout && hung == 0:
			hung++
		default:
			b.Problem = err.Error()
			return []BusScan{b}, nil
		}
	}
	if len(b.Found) > (lastAddress-firstAddress)/2 {
		b.Problem, b.Found = "nearly every address answers: the data line is held low", nil
	}
	return m.scanBehind(ctx, s, b, drivers)
}

// scanBehind adds scans of the channels of the multiplexers that b found.
func (m *Machine) scanBehind(ctx context.Context, s *segment, b BusScan, drivers []sensors.Driver) ([]BusScan, error) {
	all := []BusScan{b}
	for _, f := range b.Found {
		for channel := 0; f.Mux && len(s.hops) < sensors.MaxHops && channel < sensors.MuxChannels; channel++ {
			path := append(slices.Clone(s.hops), sensors.Hop{Mux: f.Address, Channel: channel})
			behind, err := s.a.segment(path)
			if err != nil { // a sensor has taken the address meanwhile
				break
			}
			more, err := m.scanWire(ctx, behind, drivers, b.answers())
			all = append(all, more...)
			if err != nil {
				return all, err
			}
		}
	}
	return all, nil
}

// look asks one address. No certainty: nothing there, or left alone. The error
// is one of the bus, not of the address.
func (m *Machine) look(ctx context.Context, s *segment, addr uint16, drivers []sensors.Driver) (Found, error) {
	f := Found{Address: addr, Where: s.where(addr)}
	if f.Chip = m.kernelOwner(s.a.number, addr); f.Chip != "" {
		f.Certainty = Owned
		return f, nil
	}
	if risky(addr) && !anyDriver(drivers, addr) {
		return f, nil
	}
	if known, err := s.lookAtMux(ctx, &f); known || err != nil {
		return f, err
	}
	if err := s.a.search(ctx); err != nil {
		return f, err
	}
	defer s.a.searched()
	c := s.connect(addr)
	user := s.claim(addr)
	if user != "" && s.taken(addr) {
		f.Certainty = InUse
		return f, nil
	}
	c.claimed = user == "" // else it is in use behind a multiplexer, which is closed now
	defer c.Close()
	if !risky(addr) {
		var one [1]byte
		switch err := c.Tx(ctx, nil, one[:]); {
		case err == nil:
			f.Certainty = Unknown
		case sensors.FaultOf(err) != sensors.NotAnswering:
			return f, err
		}
	}
	if f.Certainty == Unknown && sensors.IsMux(addr) {
		if is, err := s.findMux(ctx, c); is || err != nil {
			if is {
				f.itIsMux(s)
			}
			return f, err
		}
	}
	return f, identify(ctx, c, drivers, &f)
}

func (f *Found) itIsMux(s *segment) {
	f.Certainty, f.Mux, f.Chip = Identified, true, "TCA9548"
	f.Settings = map[string]string{"bus": fmt.Sprintf(`"%s/0x%02x"`, s.path(), f.Address)}
}

// findMux asks whether a multiplexer answers, and takes it into the segment.
func (s *segment) findMux(ctx context.Context, c *conn) (is bool, err error) {
	var yes [1]byte
	switch err := c.request(ctx, nil, yes[:], true); {
	case sensors.FaultOf(err) == sensors.NotAnswering: // to the second question
		return false, nil
	case err != nil:
		return false, err
	case yes[0] == 0:
		return false, nil
	}
	_ = c.Close() // only gives the claim back
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	_, _ = s.mux(c.addr) // refused: its address is in use elsewhere, and its channels are not scanned
	return true, nil
}

// lookAtMux asks a multiplexer that is known, and forgets one that is another chip
// now.
func (s *segment) lookAtMux(ctx context.Context, f *Found) (known bool, err error) {
	i := slices.IndexFunc(s.a.muxesOn(s), func(m *mux) bool { return m.addr == f.Address })
	if i < 0 {
		return false, nil
	}
	mx := s.a.muxesOn(s)[i]
	var yes [1]byte
	err = s.connect(f.Address).request(ctx, nil, yes[:], true)
	switch {
	case err == nil && yes[0] == 1:
		f.itIsMux(s)
		return true, nil
	case err != nil && sensors.FaultOf(err) != sensors.NotAnswering:
		return true, err
	}
	return !s.forget(mx), nil
}

// forget takes a multiplexer out, unless a sensor behind it is in use.
func (s *segment) forget(m *mux) bool {
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	for c := range s.a.claims {
		if c.at.through(m) {
			return false
		}
	}
	s.muxes = slices.DeleteFunc(slices.Clone(s.muxes), func(o *mux) bool { return o == m })
	return true
}

func anyDriver(drivers []sensors.Driver, addr uint16) bool {
	return slices.ContainsFunc(drivers, func(d sensors.Driver) bool {
		return (d.Identify != nil || d.Guess != nil) && slices.Contains(d.Addresses, addr)
	})
}

// identify lets the drivers that know the address ask, in their order, and if none
// is certain those that can only guess. A chip that does not answer a bare read may
// still answer its own question.
func identify(ctx context.Context, c *conn, drivers []sensors.Driver, f *Found) error {
	certain := func(d *sensors.Driver) asking { return d.Identify }
	guess := func(d *sensors.Driver) asking { return d.Guess }
	if done, err := f.ask(ctx, c, drivers, certain, Identified); done || err != nil {
		return err
	}
	if done, err := f.ask(ctx, c, drivers, guess, Likely); done || err != nil || f.Certainty == "" {
		return err
	}
	for _, d := range drivers {
		if d.Connection == sensors.OnI2C && d.Identify == nil && d.Guess == nil && slices.Contains(d.Addresses, c.addr) {
			f.Could = append(f.Could, d.Name)
		}
	}
	return nil
}

// asking is sensors.Driver.Identify or Guess.
type asking = func(ctx context.Context, c sensors.Conn) (chip string, err error)

// ask puts one of the questions of each driver until one knows the chip.
func (f *Found) ask(ctx context.Context, c *conn, drivers []sensors.Driver, question func(d *sensors.Driver) asking, sure Certainty) (done bool, err error) {
	for i := range drivers {
		d := &drivers[i]
		q := question(d)
		if q == nil || !slices.Contains(d.Addresses, c.addr) {
			continue
		}
		chip, err := q(ctx, c)
		if err != nil {
			switch sensors.FaultOf(err) {
			case sensors.Timeout, sensors.Gone:
				return false, err
			case sensors.NotAnswering:
			default: // an answer, though not one this driver understands
				f.Certainty = cmp.Or(f.Certainty, Unknown)
			}
			continue
		}
		if chip != "" {
			f.Certainty, f.Chip, f.Driver, f.Name = sure, chip, d.Name, nameAt(d.Name, c)
			f.Settings = map[string]string{"bus": strconv.Quote(c.at.path()), "address": fmt.Sprintf("0x%02x", c.addr)}
			return true, nil
		}
	}
	return false, nil
}

// nameAt makes the name of a sensor of its kind and place, "bme280-1-76" or
// "bme280-1-70-3-76", so that it has the same one whenever and with whatever else
// it is found.
func nameAt(driver string, c *conn) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s-%d", driver, c.a.number)
	for _, h := range c.at.hops {
		fmt.Fprintf(&b, "-%02x-%d", h.Mux, h.Channel)
	}
	fmt.Fprintf(&b, "-%02x", c.addr)
	return b.String()
}

func (m *Machine) adapterName(number int) string {
	b, err := os.ReadFile(m.Path(fmt.Sprintf("/sys/class/i2c-dev/i2c-%d/name", number)))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// serialPorts lists ports by the links that stay the same, and otherwise by
// device name.
func (m *Machine) serialPorts() []string {
	for _, pattern := range []string{"/dev/serial/by-id/*", "/dev/serial/by-path/*"} {
		if found := m.glob(pattern); len(found) > 0 {
			return append(found, m.glob("/dev/serial[0-9]*")...)
		}
	}
	var found []string
	for _, pattern := range []string{"/dev/ttyUSB*", "/dev/ttyACM*", "/dev/serial[0-9]*"} {
		found = append(found, m.glob(pattern)...)
	}
	return found
}

// glob returns matching paths, without the root they were looked for under.
func (m *Machine) glob(pattern string) []string {
	found, err := filepath.Glob(m.Path(pattern))
	if errors.Is(err, filepath.ErrBadPattern) {
		return nil // a root with brackets in its name: nothing is found there
	}
	for i, p := range found {
		found[i] = strings.TrimPrefix(p, strings.TrimSuffix(m.o.Root, "/"))
	}
	return found
}
