package bus

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Grid draws the addresses of a bus as i2cdetect does: the address where
// something answers, UU for the kernel's, == for sensors in use, -- for
// nothing, ^^ where what answers is in front of the multiplexer, blank where the
// scan does not look.
func (b *BusScan) Grid() string {
	var g strings.Builder
	g.WriteString("     0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f\n")
	for row := uint16(0); row < 0x80; row += 16 {
		line := fmt.Sprintf("%02x: ", row)
		for addr := row; addr < row+16; addr++ {
			line += b.cell(addr) + " "
		}
		g.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return g.String()
}

func (b *BusScan) cell(addr uint16) string {
	i := slices.IndexFunc(b.Found, func(f Found) bool { return f.Address == addr })
	switch {
	case i >= 0 && b.Found[i].Certainty == Owned:
		return "UU"
	case i >= 0 && b.Found[i].Certainty == InUse:
		return "=="
	case i >= 0:
		return fmt.Sprintf("%02x", addr)
	case b.heard[addr]:
		return "^^"
	case addr < firstAddress || addr > lastAddress || risky(addr):
		return "  "
	}
	return "--"
}

// TOML returns a configuration for everything identified, ready to paste, with
// the rest as comments. Names of sensors that are taken are not given out.
func (s *Scan) TOML(taken ...string) string {
	var t strings.Builder
	used := map[string]int{}
	for _, name := range taken {
		used["sensor."+name]++
	}
	for _, b := range s.Buses {
		for _, f := range b.Found {
			f.write(&t, used)
		}
		if b.Problem != "" {
			fmt.Fprintf(&t, "# bus %s: %s\n", b.Path, oneLine(b.Problem))
		}
	}
	for _, f := range s.Others {
		f.write(&t, used)
	}
	for _, p := range s.Serial {
		s.writePort(&t, p, unique(used, "serial", serialName(p)), used)
	}
	return t.String()
}

// writePort writes a serial line as a comment, or, if something answered on it, as
// a table, followed by what answered. A line has one mode, so what answers at
// another one is only told.
func (s *Scan) writePort(t *strings.Builder, port, name string, used map[string]int) {
	mark, mode := "# ", "9600 8N1"
	for _, m := range s.Modbus {
		if m.Port == port && m.Problem != "" {
			fmt.Fprintf(t, "# %s: %s\n", port, oneLine(m.Problem))
		} else if m.Port == port && mark != "" {
			mark, mode = "", m.Mode
		}
	}
	fmt.Fprintf(t, "%s[serial.%s]\n%sdevice = %q\n%smode   = %q\n\n", mark, name, mark, port, mark, mode)
	for _, m := range s.Modbus {
		switch {
		case m.Port != port || m.Problem != "":
		case m.Mode != mode:
			fmt.Fprintf(t, "# slave %d answers at mode = %q: %s\n\n", m.Address, m.Mode, oneLine(m.Words))
		default:
			fmt.Fprintf(t, "# [sensor.%s]   # a Modbus slave answers: %s\n", unique(used, "sensor", fmt.Sprintf("%s-%d", name, m.Address)), oneLine(m.Words))
			fmt.Fprintf(t, "# driver  = \"modbus-rtu\"\n# bus     = %q\n# address = %d\n# map     = \"NAME\"   # its registers stand in [modbus.NAME.QUANTITY]\n\n", name, m.Address)
		}
	}
}

// write writes the table of a device, as a comment if what it is is not certain,
// and for one that nothing reads a line that says so.
func (f *Found) write(t *strings.Builder, used map[string]int) {
	if f.Driver == "" || f.Certainty != Identified && f.Certainty != Likely {
		fmt.Fprintf(t, "# %s: %s\n", f.Where, oneLine(f.what()))
		return
	}
	mark, sure := "", ""
	if f.Certainty == Likely {
		mark, sure = "# ", "probably "
	}
	fmt.Fprintf(t, "%s[sensor.%s]   # %s%s at %s\n", mark, unique(used, "sensor", f.Name), sure, f.Chip, f.Where)
	fmt.Fprintf(t, "%sdriver  = %q\n", mark, f.Driver)
	for _, k := range slices.Backward(slices.Sorted(maps.Keys(f.Settings))) { // bus before address, as people write it
		fmt.Fprintf(t, "%s%-7s = %s\n", mark, k, f.Settings[k])
	}
	t.WriteString("\n")
}

// what says what is known of a device that nothing reads.
func (f *Found) what() string {
	switch {
	case f.Mux:
		path := strings.TrimSuffix(strings.Trim(f.Settings["bus"], `"`), "/")
		return fmt.Sprintf("a %s multiplexer or one like it; a sensor on its channel 0 has bus = %q", f.Chip, path+"/0")
	case f.Certainty == Owned:
		return "belongs to the kernel's driver " + f.Chip
	case f.Certainty == InUse:
		return "is in use by a sensor"
	case f.Chip != "":
		return f.Chip
	case len(f.Could) > 0:
		return "something answers that cannot say what it is; if it is one of these, write driver = " + strings.Join(f.Could, ", ")
	}
	return "something answers"
}

// unique returns a name that can stand in a table header without quotes and was
// not given out before for the same kind of table.
func unique(used map[string]int, kind, name string) string {
	bare := strings.Trim(strings.Map(func(r rune) rune {
		if r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '-') {
			return r
		}
		return '-'
	}, name), "-")
	if bare == "" {
		bare = kind
	}
	for n := 1; ; n++ {
		try := bare
		if n > 1 {
			try += "-" + strconv.Itoa(n)
		}
		if used[kind+"."+try] == 0 {
			used[kind+"."+try]++
			return try
		}
	}
}

// serialName makes a short name of a port's path.
func serialName(path string) string {
	name := path[strings.LastIndex(path, "/")+1:]
	name = strings.TrimPrefix(name, "usb-")
	if i := strings.Index(name, "-if"); i > 0 {
		name = name[:i]
	}
	return strings.ToLower(name)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
