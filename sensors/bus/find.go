package bus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"weir/sensors"
)

// headerBus is the I2C bus on the pins of every Raspberry Pi.
const headerBus = 1

// I2C implements sensors.Machine. Without a bus name it looks on bus 1 first,
// then on all others; addresses that have a user are passed over.
func (m *Machine) I2C(ctx context.Context, name string, addresses []uint16, fits sensors.Fits) (sensors.Conn, error) {
	path, err := sensors.ParseBusPath(name)
	if err != nil {
		return nil, sensors.Errorf(sensors.Refused, "I2C", "bus: %v", err)
	}
	stages, err := m.searchOrder(path.Bus)
	if err != nil {
		return nil, err
	}
	var errs []error
	var asked []string
	for _, buses := range stages {
		segments, err := m.segments(ctx, buses, path.Hops)
		if err != nil {
			return nil, err
		}
		for _, s := range segments {
			asked = append(asked, strings.TrimPrefix(s.name, "bus "))
		}
		c, failed, err := m.searchAlone(ctx, segments, addresses, fits)
		if c != nil || err != nil {
			return c, err
		}
		errs = append(errs, failed...)
	}
	return nil, whyNone(errs, asked, addresses)
}

// searchOrder returns groups of buses: the next group is looked at only if the
// one before had nothing.
func (m *Machine) searchOrder(name string) ([][]int, error) {
	if name != "" {
		n, err := m.busNumber(name)
		if err != nil {
			return nil, err
		}
		return [][]int{{n}}, nil
	}
	all := slices.Sorted(slices.Values(m.buses()))
	if len(all) == 0 {
		return nil, sensors.Errorf(sensors.Gone, "I2C",
			"this machine shows no I2C bus: on a Raspberry Pi switch it on (dtparam=i2c_arm=on in config.txt), or plug an adapter in")
	}
	if !slices.Contains(all, headerBus) {
		return [][]int{all}, nil
	}
	others := slices.DeleteFunc(slices.Clone(all), func(n int) bool { return n == headerBus })
	if len(others) == 0 {
		return [][]int{{headerBus}}, nil
	}
	return [][]int{{headerBus}, others}, nil
}

// segments returns the same place on several buses, or the one place behind
// multiplexers.
func (m *Machine) segments(ctx context.Context, buses []int, hops []sensors.Hop) ([]*segment, error) {
	var all []*segment
	for _, n := range buses {
		a, err := m.adapter(ctx, n)
		if err != nil {
			return nil, err
		}
		if len(hops) > 0 {
			if owner := m.kernelOwner(n, hops[0].Mux); owner != "" {
				return nil, m.kernelMux(a, hops[0], owner)
			}
		}
		s, err := a.segment(hops)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// kernelMux is the error of a multiplexer that the kernel drives: its channels are
// buses of their own then.
func (m *Machine) kernelMux(a *adapter, h sensors.Hop, owner string) error {
	link := m.Path(fmt.Sprintf("/sys/bus/i2c/devices/%d-%04x/channel-%d", a.number, h.Mux, h.Channel))
	hint := "unload it"
	if to, err := os.Readlink(link); err == nil {
		hint = fmt.Sprintf("its channel %d is a bus of its own: write bus = %q", h.Channel, strings.TrimPrefix(filepath.Base(to), "i2c-"))
	}
	return sensors.Errorf(sensors.Refused, a.root.where(h.Mux), "the kernel's driver %q has this multiplexer; %s", owner, hint)
}

// busNumber reads the number of a bus, or looks for an adapter whose name contains
// the text.
func (m *Machine) busNumber(name string) (int, error) {
	if n, ok := (sensors.BusPath{Bus: name}).Number(); ok {
		return n, nil
	}
	var names []string
	for _, n := range m.buses() {
		b, err := os.ReadFile(m.Path(fmt.Sprintf("/sys/class/i2c-dev/i2c-%d/name", n)))
		if err != nil {
			continue
		}
		adapter := strings.TrimSpace(string(b))
		if strings.Contains(adapter, name) {
			return n, nil
		}
		names = append(names, fmt.Sprintf("%d (%s)", n, adapter))
	}
	return 0, sensors.Errorf(sensors.Gone, "I2C", "no bus called %q; there are: %s", name, orNone(names))
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// candidate is a chip that fits.
type candidate struct {
	c     *conn
	score int
}

// searchAlone searches and chooses while no other search uses the same buses: each claims what it asks, and would refuse the
// other an address that it gives back at once. Nothing found is no error.
func (m *Machine) searchAlone(ctx context.Context, segments []*segment, addresses []uint16, fits sensors.Fits) (sensors.Conn, []error, error) {
	for _, s := range segments { // in the order of their buses, as all do, so that no two wait for each other
		if err := s.a.search(ctx); err != nil {
			return nil, nil, err
		}
		defer s.a.searched()
	}
	found, failed := m.search(ctx, segments, addresses, fits)
	if len(found) == 0 {
		return nil, failed, nil
	}
	c, err := choose(found)
	return c, nil, err
}

// search asks every free address on every wire: which chips fit, and what the
// others said.
func (m *Machine) search(ctx context.Context, segments []*segment, addresses []uint16, fits sensors.Fits) (found []candidate, failed []error) {
	for _, s := range segments {
		for _, addr := range addresses {
			c, score, err := m.ask(ctx, s, addr, fits)
			if err != nil {
				failed = append(failed, err)
				continue
			}
			found = append(found, candidate{c, score})
		}
	}
	return found, failed
}

// ask claims an address and asks what answers there. The claim stays only if
// it fits.
func (m *Machine) ask(ctx context.Context, s *segment, addr uint16, fits sensors.Fits) (*conn, int, error) {
	c := s.connect(addr)
	if owner := m.kernelOwner(s.a.number, addr); owner != "" {
		return nil, 0, sensors.Errorf(sensors.Refused, c.name, "the kernel's driver %q has this chip; unload it", owner)
	}
	if user := s.claim(addr); user != "" {
		return nil, 0, sensors.Errorf(sensors.Refused, c.name, "%s", user)
	}
	c.claimed = true
	if sensors.IsMux(addr) { // what a driver asks would open channels of a multiplexer nobody knows of
		var yes [1]byte
		if err := c.request(ctx, nil, yes[:], true); err == nil && yes[0] == 1 {
			_ = c.Close() // only gives the claim back
			return nil, 0, sensors.Errorf(sensors.Refused, c.name, "a multiplexer is there; what is behind it has bus = %q", s.path()+fmt.Sprintf("/0x%02x/CHANNEL", addr))
		}
	}
	score, err := fits(ctx, c)
	if err != nil {
		_ = c.Close() // only gives the claim back
		return nil, 0, err
	}
	return c, score, nil
}

// choose returns the only best candidate and gives back the others.
func choose(found []candidate) (sensors.Conn, error) {
	slices.SortStableFunc(found, func(a, b candidate) int { return b.score - a.score })
	var best []string
	for _, f := range found {
		if f.score == found[0].score {
			best = append(best, f.c.name)
		}
	}
	keep := 1
	if len(best) > 1 {
		keep = 0
	}
	for _, f := range found[keep:] {
		_ = f.c.Close() // only gives the claim back
	}
	if keep == 0 {
		return nil, sensors.Errorf(sensors.Ambiguous, "", "%d chips fit: %s; set bus and address", len(best), strings.Join(best, ", "))
	}
	return found[0].c, nil
}

// whyNone makes one error of those of all candidates: what answered instead is
// worth more than that nothing did, and a free address that does not answer more
// than one that has a user.
func whyNone(errs []error, buses []string, addresses []uint16) error {
	if len(errs) == 1 {
		return errs[0]
	}
	for _, err := range errs {
		if errors.As(err, new(muxUnheardError)) { // no address behind it could answer
			return err
		}
	}
	for _, f := range []sensors.Fault{sensors.WrongChip, sensors.Garbage, sensors.Stuck, sensors.Timeout, sensors.Gone} {
		if all := ofClass(errs, f); len(all) > 0 {
			return together(all)
		}
	}
	refused := ofClass(errs, sensors.Refused)
	if len(refused) > 0 && len(refused) == len(errs) {
		return together(refused)
	}
	e := sensors.Errorf(sensors.NotAnswering, "", "nothing at %s on %s; look at power and wiring", addressList(addresses), busList(buses))
	for _, r := range refused {
		e.Text += "; " + place(r)
	}
	return e
}

// ofClass returns the errors of one class.
func ofClass(errs []error, f sensors.Fault) []*sensors.Error {
	var all []*sensors.Error
	for _, err := range errs {
		var e *sensors.Error
		if errors.As(err, &e) && e.Fault == f {
			all = append(all, e)
		}
	}
	return all
}

// together makes one error of several of the same class.
func together(all []*sensors.Error) error {
	if len(all) == 1 {
		return all[0]
	}
	var texts []string
	for _, e := range all {
		if t := place(e); !slices.Contains(texts, t) { // a bus that is gone says so for each address
			texts = append(texts, t)
		}
	}
	return &sensors.Error{Fault: all[0].Fault, Text: strings.Join(texts, "; ")}
}

// place is an error's text with its place, without its class.
func place(e *sensors.Error) string {
	if e.Where == "" {
		return e.Text
	}
	return e.Where + ": " + e.Text
}

func addressList(addresses []uint16) string {
	var s []string
	for _, a := range addresses {
		s = append(s, fmt.Sprintf("0x%02x", a))
	}
	return strings.Join(s, ", ")
}

func busList(buses []string) string {
	if len(buses) == 1 {
		return "bus " + buses[0]
	}
	return "buses " + strings.Join(buses, ", ")
}

// kernelOwner returns the name of the kernel driver bound to an address. User
// space transfers are not kept from fighting with it, so we do not begin.
func (m *Machine) kernelOwner(number int, addr uint16) string {
	link, err := os.Readlink(m.Path(fmt.Sprintf("/sys/bus/i2c/devices/%d-%04x/driver", number, addr)))
	if err != nil {
		return ""
	}
	return filepath.Base(link)
}

// listBuses returns the numbers of /dev/i2c-*, in order.
func (m *Machine) listBuses() []int {
	paths, _ := filepath.Glob(m.Path("/dev/i2c-*")) // the pattern is well formed, the only error there is
	var numbers []int
	for _, p := range paths {
		if n, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(p), "i2c-")); err == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers
}
