package bus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weir/sensors"
)

// Certainty says how sure a scan is of what it found.
type Certainty string

// The certainties.
const (
	Identified Certainty = "identified" // the device said what it is
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
	Name      string            `json:"name,omitempty"`     // proposal for [sensor.NAME]
	Settings  map[string]string `json:"settings,omitempty"` // to write besides driver, as TOML values
}

// BusScan is what a scan saw on one I2C bus.
type BusScan struct {
	Number  int     `json:"number"`
	Adapter string  `json:"adapter,omitempty"` // its name in the kernel
	Found   []Found `json:"found"`             // by address
	Problem string  `json:"problem,omitempty"` // why the scan of this bus broke off
}

// Scan is what a scan found on the whole machine.
type Scan struct {
	Buses  []BusScan `json:"buses"`
	Others []Found   `json:"others"` // 1-wire and kernel devices
	Serial []string  `json:"serial"` // ports, by their stable links where there are some
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

// Scan looks at all buses, with reads only, and asks the given drivers what
// they know. It leaves alone risky addresses, those of kernel drivers and those
// of sensors that are open. A bus that hangs costs two time-outs. The error is
// that of ctx; what was found until then is returned with it.
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
	for _, n := range m.buses() {
		b, err := m.scanBus(ctx, n, drivers)
		s.Buses = append(s.Buses, b)
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

func (m *Machine) scanBus(ctx context.Context, number int, drivers []sensors.Driver) (BusScan, error) {
	b := BusScan{Number: number, Adapter: m.adapterName(number)}
	a, err := m.adapter(ctx, number)
	if err != nil {
		return b, err
	}
	hung := 0
	for addr := uint16(firstAddress); addr <= lastAddress; addr++ {
		f, err := m.look(ctx, a, addr, drivers)
		switch {
		case ctx.Err() != nil:
			return b, context.Cause(ctx)
		case err == nil:
			hung = 0
			if f.Certainty != "" {
				b.Found = append(b.Found, f)
			}
		case sensors.FaultOf(err) == sensors.Timeout && hung == 0:
			hung++
		default:
			b.Problem = err.Error()
			return b, nil
		}
	}
	if len(b.Found) > (lastAddress-firstAddress)/2 {
		b.Problem, b.Found = "nearly every address answers: the data line is held low", nil
	}
	return b, nil
}

// look asks one address. No certainty: nothing there, or left alone. The error
// is one of the bus, not of the address.
func (m *Machine) look(ctx context.Context, a *adapter, addr uint16, drivers []sensors.Driver) (Found, error) {
	f := Found{Address: addr, Where: where(addr, a.number)}
	if f.Chip = m.kernelOwner(a.number, addr); f.Chip != "" {
		f.Certainty = Owned
		return f, nil
	}
	if risky(addr) && !anyDriver(drivers, addr) {
		return f, nil
	}
	c := a.connect(addr)
	if c.claimed = a.claim(addr); !c.claimed {
		f.Certainty = InUse
		return f, nil
	}
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
	return f, identify(ctx, c, drivers, &f)
}

func anyDriver(drivers []sensors.Driver, addr uint16) bool {
	return slices.ContainsFunc(drivers, func(d sensors.Driver) bool {
		return d.Identify != nil && slices.Contains(d.Addresses, addr)
	})
}

// identify lets the drivers that know the address ask, in their order. A chip
// that does not answer a bare read may still answer its own question.
func identify(ctx context.Context, c *conn, drivers []sensors.Driver, f *Found) error {
	for _, d := range drivers {
		if d.Identify == nil || !slices.Contains(d.Addresses, c.addr) {
			continue
		}
		chip, err := d.Identify(ctx, c)
		if err != nil {
			if sensors.FaultOf(err) != sensors.NotAnswering {
				return err
			}
			continue
		}
		if f.Certainty == "" {
			f.Certainty = Unknown
		}
		if chip != "" {
			f.Certainty, f.Chip, f.Driver, f.Name = Identified, chip, d.Name, d.Name
			f.Settings = map[string]string{"bus": fmt.Sprintf("%q", fmt.Sprint(c.a.number)), "address": fmt.Sprintf("0x%02x", c.addr)}
			return nil
		}
	}
	return nil
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
