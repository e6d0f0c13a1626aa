package bus

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Grid draws the addresses of a bus as i2cdetect does: the address where
// something answers, UU for the kernel's, == for sensors in use, -- for
// nothing, blank where the scan does not look.
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
			fmt.Fprintf(&t, "# bus %d: %s\n", b.Number, oneLine(b.Problem))
		}
	}
	for _, f := range s.Others {
		f.write(&t, used)
	}
	for _, p := range s.Serial {
		name := unique(used, "serial", serialName(p))
		fmt.Fprintf(&t, "# [serial.%s]\n# device = %q\n# mode   = \"9600 8N1\"\n\n", name, p)
	}
	return t.String()
}

func (f *Found) write(t *strings.Builder, used map[string]int) {
	if f.Certainty != Identified || f.Driver == "" {
		what := "something answers"
		switch {
		case f.Certainty == Owned:
			what = "belongs to the kernel's driver " + f.Chip
		case f.Certainty == InUse:
			what = "is in use by a sensor"
		case f.Chip != "":
			what = f.Chip
		}
		fmt.Fprintf(t, "# %s: %s\n", f.Where, oneLine(what))
		return
	}
	fmt.Fprintf(t, "[sensor.%s]%s# %s at %s\n", unique(used, "sensor", f.Name), "   ", f.Chip, f.Where)
	fmt.Fprintf(t, "driver  = %q\n", f.Driver)
	keys := make([]string, 0, len(f.Settings))
	for k := range f.Settings {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	slices.Reverse(keys) // bus before address, as people write it
	for _, k := range keys {
		fmt.Fprintf(t, "%-7s = %s\n", k, f.Settings[k])
	}
	t.WriteString("\n")
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
