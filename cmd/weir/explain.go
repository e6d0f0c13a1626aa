package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"weir/gateway/config"
	"weir/sensors"
	"weir/sensors/chip"
)

func runExplain(_ context.Context, c console, args []string) int {
	f := flags("explain", "[--json] [DRIVER | TABLE | TABLE.KEY | KEY]")
	asJSON := f.Bool("json", false, "print JSON")
	if status, done := parseFlags(c, f, args); done {
		return status
	}
	if f.NArg() > 1 {
		return c.fail(exitUsage, "explain: got %d words, want one, such as bme280, sensor, broker.max_packet or every", f.NArg())
	}
	what := f.Arg(0)
	d := sensors.Find(chip.Drivers, what)
	fields, near := config.Explain(chip.Drivers, what)
	switch {
	case d != nil:
		fields = fieldsOf(d)
	case what == "":
		fields = config.Fields(chip.Drivers)
	case len(fields) == 0 && near != "":
		return c.fail(exitFailed, "explain: there is no driver, table or key %q; did you mean %s?", what, near)
	case len(fields) == 0:
		return c.fail(exitFailed, "explain: there is no driver, table or key %q; all are listed by: weir explain", what)
	}
	switch {
	case *asJSON:
		return explainJSON(c, fields)
	case d != nil:
		explainDriver(c.out, d, fields)
	case what == "":
		explainAll(c.out)
	default:
		explainFields(c.out, fields)
		if strings.HasPrefix(fields[0].Path, "sensor.NAME.") && len(fields) > 1 && len(fields[0].Drivers) == 0 {
			fmt.Fprintln(c.out, "\nWhat a driver takes besides is said by, for example: weir explain bme280")
		}
	}
	return exitOK
}

// fieldsOf are the settings of a driver, those of its register maps too.
func fieldsOf(d *sensors.Driver) (fields []config.Field) {
	for _, f := range config.Fields([]sensors.Driver{*d}) {
		if len(f.Drivers) > 0 || d.Table != nil && strings.HasPrefix(f.Path, d.Table.Section+".") {
			fields = append(fields, f)
		}
	}
	return fields
}

func explainJSON(c console, fields []config.Field) int {
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	err := e.Encode(struct {
		Schema int            `json:"schema"`
		Fields []config.Field `json:"fields"`
	}{1, fields})
	if err != nil {
		return c.fail(exitFailed, "explain: %v", err)
	}
	return exitOK
}

// explainAll lists the tables of a file and the drivers.
func explainAll(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintln(w, "The tables of a configuration; weir explain TABLE lists what each takes:")
	for _, s := range config.Sections(chip.Drivers) {
		fmt.Fprintf(w, "  %s\t%s\n", s.Header, s.Meaning)
	}
	fmt.Fprintln(w, "\nThe drivers of sensors; weir explain DRIVER lists what each takes:")
	for _, d := range chip.Drivers {
		fmt.Fprintf(w, "  %s\t%s\n", d.Name, d.Doc)
	}
}

// explainDriver says what a driver reads, where, and what it takes.
func explainDriver(out io.Writer, d *sensors.Driver, fields []config.Field) {
	fmt.Fprintf(out, "driver = %q: %s\n\n", d.Name, d.Doc)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	where := d.Connection.String()
	for i, a := range slices.Sorted(slices.Values(d.Addresses)) {
		where += fmt.Sprintf("%s0x%02x", [2]string{" ", ", "}[min(i, 1)], a)
	}
	fmt.Fprintf(w, "  is on\t%s\n", where)
	for _, m := range d.Measures {
		line := string(m.Quantity)
		if m.Min != 0 || m.Max != 0 {
			low, _ := sensors.Convert(m.Min, m.Unit, m.Unit.Shown())
			high, _ := sensors.Convert(m.Max, m.Unit, m.Unit.Shown())
			line += fmt.Sprintf(" from %.6g to %.6g %s", low, high, m.Unit.Shown())
		}
		fmt.Fprintf(w, "  measures\t%s\n", line)
	}
	if d.Table != nil {
		fmt.Fprintf(w, "  presets\t%s = %s\n", d.Table.Key, strings.Join(slices.Sorted(maps.Keys(d.Table.Presets)), ", "))
	}
	_ = w.Flush() // what could not be written is told at the end of the process
	fmt.Fprintln(out)
	explainFields(out, fields)
	fmt.Fprintln(out, "\nWhat every sensor takes, such as every, topic and units, is said by: weir explain sensor")
}

// explainFields says of each key what it means, what it takes and what holds without it.
func explainFields(out io.Writer, fields []config.Field) {
	table := ""
	for _, f := range fields {
		at := strings.LastIndex(f.Path, ".")
		in := "[" + f.Path[:at] + "]"
		if list, ok := strings.CutSuffix(f.Path[:at], "[]"); ok {
			in = "[[" + list + "]]"
		}
		if in != table {
			if table != "" {
				fmt.Fprintln(out)
			}
			table = in
			fmt.Fprintln(out, table)
		}
		fmt.Fprintf(out, "  %s: %s\n      %s\n", f.Path[at+1:], f.Meaning, strings.Join(terms(&f), "; "))
	}
}

// terms are the conditions of a key.
func terms(f *config.Field) (all []string) {
	all = append(all, f.Want)
	if f.Example != "" && !strings.Contains(f.Want, f.Example) {
		all = append(all, "for example "+f.Example)
	}
	switch {
	case f.Required:
		all = append(all, "must be there")
	case f.Default != "":
		all = append(all, "default: "+f.Default)
	}
	if len(f.Placeholders) > 0 {
		all = append(all, "replaced in it: {"+strings.Join(f.Placeholders, "}, {")+"}")
	}
	if f.Secret {
		all = append(all, "never printed")
	}
	if len(f.Drivers) > 1 {
		all = append(all, "of "+strings.Join(f.Drivers, ", "))
	}
	return all
}
