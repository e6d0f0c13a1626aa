package chip

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"weir/sensors"
)

var modbusRTU = sensors.Driver{
	Name: "modbus-rtu", Connection: sensors.OnSerial,
	Doc: "Modbus RTU slave on a serial line, with a register map",
	Keys: []sensors.Key{
		{Name: "bus", Kind: sensors.KindString, Required: true, Example: `"rs485"`, Meaning: "the serial line, [serial.NAME]"},
		{Name: "address", Kind: sensors.KindInt, Required: true, Min: 1, Max: 247, Example: "1", Meaning: "number of the slave"},
		{Name: "map", Kind: sensors.KindString, Required: true, Example: `"px400"`, Meaning: `register map, [modbus.MAP.QUANTITY], or a preset such as "xy-md02"`},
		{Name: "timeout", Kind: sensors.KindDuration, Default: "500ms", Min: 0.02, Max: 10, Meaning: "how long to wait for an answer, besides its time on the line"},
	},
	Table: &sensors.Table{Section: "modbus", Key: "map", Keys: modbusRowKeys, Presets: modbusPresets},
	Open:  openModbus,
	Check: func(s sensors.Settings) (wrong []*sensors.KeyError) {
		for _, row := range s.Rows {
			if _, err := newModbusValue(row); err != nil {
				wrong = append(wrong, &sensors.KeyError{Key: "modbus." + s.Text("map") + "." + row.Name + "." + err.Key, Text: err.Text})
			}
		}
		return wrong
	},
	Most: func(s sensors.Settings) time.Duration { // every block of registers, and the line falling silent after it
		return mostOf(time.Duration(max(len(s.Rows), 1)) * (2*s.Duration("timeout") + time.Second))
	},
	Named: func(s sensors.Settings) []sensors.Measure {
		var all []sensors.Measure
		for _, row := range s.Rows {
			if v, err := newModbusValue(row); err == nil {
				all = append(all, v.measure)
			}
		}
		return all
	},
}

var modbusRowKeys = []sensors.Key{
	{Name: "table", Kind: sensors.KindEnum, Choices: []string{"holding", "input"}, Default: "holding",
		Meaning: "holding registers (function 03) or input registers (function 04)"},
	{Name: "register", Kind: sensors.KindInt, Required: true, Min: 0, Max: 65535, Example: "4",
		Meaning: "number of the first register on the wire, from 0: a manual's 40005 is holding 4, its 30002 is input 1"},
	{Name: "type", Kind: sensors.KindEnum, Default: "int16",
		Choices: []string{"int16", "uint16", "int32", "uint32", "float32", "s16", "u16", "s32", "u32", "f32"}, Meaning: "type of the value"},
	{Name: "order", Kind: sensors.KindEnum, Choices: []string{"ABCD", "CDAB", "BADC", "DCBA"}, Default: "ABCD",
		Meaning: "order of the bytes on the wire, A being the highest"},
	{Name: "unit", Kind: sensors.KindUnit, Example: `"bar"`, Meaning: "unit of the value after scale and offset; must be set for a pressure"},
	{Name: "scale", Kind: sensors.KindFloat, Default: 1.0, Meaning: "the number is multiplied by it"},
	{Name: "offset", Kind: sensors.KindFloat, Default: 0.0, Meaning: "added after scale"},
	{Name: "invalid", Kind: sensors.KindInts, Min: math.MinInt32, Max: math.MaxUint32, Example: "[0x8000, 0x7FFF]",
		Meaning: "numbers in the register that mean that there is no value; no number (NaN) always does"},
	{Name: "min", Kind: sensors.KindFloat, Meaning: "lowest value the device can measure, in unit"},
	{Name: "max", Kind: sensors.KindFloat, Meaning: "highest value the device can measure, in unit"},
}

var modbusPresets = map[string][]sensors.Row{
	// XY-MD02 temperature and humidity transmitter; 9600 8N1, slave 1 when new.
	"xy-md02": {
		{Quantity: "temperature", Values: map[string]any{"table": "input", "register": 1, "type": "int16", "unit": "°C", "scale": 0.1, "min": -40.0, "max": 80.0}},
		{Quantity: "humidity", Values: map[string]any{"table": "input", "register": 2, "type": "uint16", "unit": "%RH", "scale": 0.1, "min": 0.0, "max": 100.0}},
	},
}

// modbusValue is one row of a map.
type modbusValue struct {
	converted
	function byte
	register uint16
	words    wordType
	order    string
	scale    float64
	offset   float64
	invalid  []int64
	request  int // which request reads it
	at       int // its first byte in the answer
}

func newModbusValue(row sensors.Settings) (modbusValue, *sensors.KeyError) {
	unit, err := unitOf(sensors.Quantity(row.Name), row.Unit("unit"))
	if err != nil {
		return modbusValue{}, &sensors.KeyError{Key: "unit", Text: err.Error()}
	}
	if row.Float("scale") == 0 {
		return modbusValue{}, &sensors.KeyError{Key: "scale", Text: "got 0, want a number that leaves something of the value"}
	}
	if row.Has("min") && row.Has("max") && row.Float("min") >= row.Float("max") {
		return modbusValue{}, &sensors.KeyError{Key: "max", Text: fmt.Sprintf("got %v, want more than min, which is %v", row.Float("max"), row.Float("min"))}
	}
	v := modbusValue{
		converted: newConverted(sensors.Quantity(row.Name), unit), function: readHolding, register: uint16(row.Int("register")),
		words: wordTypes[row.Text("type")], order: row.Text("order"), scale: row.Float("scale"), offset: row.Float("offset"), invalid: row.Ints("invalid"),
	}
	if row.Text("table") == "input" {
		v.function = readInput
	}
	if int(v.register)+v.words.registers > 1<<16 {
		return modbusValue{}, &sensors.KeyError{Key: "register", Text: fmt.Sprintf("%d is the last one, want two", v.register)}
	}
	if row.Has("min") || row.Has("max") {
		low, high := math.Inf(-1), math.Inf(1)
		if row.Has("min") {
			low = row.Float("min")
		}
		if row.Has("max") {
			high = row.Float("max")
		}
		v.limit(low, high)
	}
	return v, nil
}

// read takes the value out of an answer.
func (v *modbusValue) read(s *sensors.Sample, data []byte) {
	number, word := v.words.decode(data[v.at:], v.order)
	if slices.Contains(v.invalid, int64(word)) || !v.words.float && slices.Contains(v.invalid, int64(number)) {
		s.AddBad(v.measure, sensors.FaultValue, int64(word))
		return
	}
	if math.IsNaN(number) || math.IsInf(number, 0) {
		s.AddBad(v.measure, sensors.NotANumber, int64(word))
		return
	}
	resolution := math.Abs(v.scale)
	if v.words.float {
		resolution = 0
	}
	v.add(s, number*v.scale+v.offset, resolution, int64(word))
}

// modbusBlock is a run of registers without a hole, read in one request. Holes
// are not read: some slaves refuse them.
type modbusBlock struct {
	function     byte
	first, count uint16
}

// planModbus sorts values into as few requests as possible.
func planModbus(values []modbusValue) []modbusBlock {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(values[a].function, values[b].function), cmp.Compare(values[a].register, values[b].register))
	})
	var blocks []modbusBlock
	for _, i := range order {
		v := &values[i]
		end := int(v.register) + v.words.registers
		if n := len(blocks); n > 0 {
			b := &blocks[n-1]
			grown := max(end, int(b.first)+int(b.count)) - int(b.first)
			if b.function == v.function && int(v.register) <= int(b.first)+int(b.count) && grown <= maxRegisters {
				b.count = uint16(grown)
				v.request, v.at = n-1, 2*int(v.register-b.first)
				continue
			}
		}
		v.request, v.at = len(blocks), 0
		blocks = append(blocks, modbusBlock{v.function, v.register, uint16(v.words.registers)})
	}
	return blocks
}

// slave is one Modbus slave. Several share a line; each request is an exchange
// of its own, so that a slave that does not answer delays the others by one
// timeout.
type slave struct {
	pause
	line   sensors.Line
	values []modbusValue
	blocks []modbusBlock
	x      *modbusExchange // new after one that got stuck in the kernel
	fresh  func() *modbusExchange
	data   [][]byte // by request; the answers of this read
}

func openModbus(m sensors.Machine, s sensors.Settings) (sensors.Device, error) {
	line, err := m.Serial(s.Text("bus"))
	if err != nil {
		return nil, err
	}
	d := &slave{line: line}
	for _, row := range s.Rows {
		v, err := newModbusValue(row)
		if err != nil {
			return nil, fmt.Errorf("modbus.%s.%s: %w", s.Text("map"), row.Name, err)
		}
		d.values = append(d.values, v)
	}
	d.blocks = planModbus(d.values)
	d.data = make([][]byte, len(d.blocks))
	for i, b := range d.blocks {
		d.data[i] = make([]byte, 0, 2*b.count)
	}
	id, timeout, where := byte(s.Int("address")), s.Duration("timeout"), fmt.Sprintf("slave %d on %s", s.Int("address"), line)
	d.fresh = func() *modbusExchange {
		return &modbusExchange{slave: id, timeout: timeout, where: where, character: line.Mode().Character()}
	}
	d.x = d.fresh()
	return d, nil
}

// Read implements sensors.Device.
func (d *slave) Read(ctx context.Context, s *sensors.Sample) error {
	return readRetrying(ctx, d, &d.pause, s)
}

// Close implements sensors.Device.
func (d *slave) Close() error { return nil }

func (d *slave) lost() {}

func (d *slave) measure(ctx context.Context, s *sensors.Sample) error {
	for i, b := range d.blocks {
		d.x.block = b
		if err := d.line.Do(ctx, d.x); err != nil {
			if sensors.FaultOf(err) == sensors.Stuck {
				d.x = d.fresh() // the owner may still be using the old one
				d.x.owed = true
			}
			return err
		}
		d.data[i] = append(d.data[i][:0], d.x.data...)
	}
	s.Chip = "Modbus slave"
	for i := range d.values {
		d.values[i].read(s, d.data[d.values[i].request])
	}
	return nil
}

// modbusExchange is one request and its answer.
type modbusExchange struct {
	slave     byte
	timeout   time.Duration
	character time.Duration
	where     string
	block     modbusBlock
	owed      bool // the answer to a request that was given up may still come

	data     []byte // of the answer, part of received
	request  [8]byte
	received [2 * longestReply]byte
}

// Exchange implements sensors.Exchange. An answer does not say which registers it
// is about. So after a request without an answer, the first answer to the next one
// may be a late one: it is thrown away with all that follows it, and the question
// is asked again.
func (x *modbusExchange) Exchange(ctx context.Context, p sensors.Port) error {
	if x.owed {
		if err := x.ask(ctx, p); err != nil && x.owed {
			return err
		}
		x.owed = true // until the line is silent
		if err := p.Drain(x.silence(), time.Now().Add(x.timeout)); err != nil {
			return err
		}
	}
	return x.ask(ctx, p)
}

// ask sends the request and waits for the answer. Without one, owed is set.
func (x *modbusExchange) ask(ctx context.Context, p sensors.Port) error {
	b := x.block
	x.owed = true
	frame := modbusRequest(x.request[:0], x.slave, b.function, b.first, b.count)
	if err := p.Write(frame); err != nil {
		return err
	}
	deadline := time.Now().Add(x.timeout + time.Duration(len(frame)+5+2*int(b.count))*x.character)
	if end, ok := ctx.Deadline(); ok && end.Before(deadline) {
		deadline = end
	}
	for n := 0; ; {
		got, err := p.Read(x.received[n:], x.patience(n, deadline))
		if err != nil {
			return x.failed(p, n, err)
		}
		n += got
		data, exception, ok := modbusReply(x.received[:n], x.slave, b.function, b.count)
		switch {
		case exception != 0:
			x.owed = false
			return sensors.Errorf(exceptionFault(exception), x.where, "exception %d to reading %s: %s", exception, b, cmp.Or(exceptionNames[exception], "unknown"))
		case ok:
			x.data, x.owed = data, false
			return nil
		case n == len(x.received):
			return x.failed(p, n, sensors.Errorf(sensors.Garbage, x.where, "the line is never silent"))
		}
	}
}

// patience is until when to wait for more: once something has come, a silence
// ends the answer, long enough for one that arrives in pieces.
func (x *modbusExchange) patience(received int, deadline time.Time) time.Time {
	if received == 0 {
		return deadline
	}
	if soon := time.Now().Add(max(200*time.Millisecond, 20*x.character)); soon.Before(deadline) {
		return soon
	}
	return deadline
}

// silence is what ends a frame: 3.5 characters, and at least 1.75 ms (serial line
// 2.5.1.1).
func (x *modbusExchange) silence() time.Duration { return max(4*x.character, 2*time.Millisecond) }

// failed makes an error of what was received instead of an answer, and leaves
// the line silent, so that a late rest is not taken for the next answer.
func (x *modbusExchange) failed(p sensors.Port, n int, err error) error {
	if f := sensors.FaultOf(err); f != sensors.Timeout && f != sensors.Garbage {
		return err
	}
	drained := p.Drain(x.silence(), time.Now().Add(x.timeout))
	switch {
	case sensors.FaultOf(drained) == sensors.Gone:
		return drained
	case n == 0:
		return sensors.Errorf(sensors.NotAnswering, x.where, "no answer within %v; look at wiring, address and mode", x.timeout)
	}
	return sensors.Errorf(sensors.Garbage, x.where, "no answer to reading %s in % x", x.block, x.received[:min(n, 32)])
}

// String says which registers: "holding registers 4 to 5".
func (b modbusBlock) String() string {
	table := "holding"
	if b.function == readInput {
		table = "input"
	}
	if b.count == 1 {
		return fmt.Sprintf("%s register %d", table, b.first)
	}
	return fmt.Sprintf("%s registers %d to %d", table, b.first, int(b.first)+int(b.count)-1)
}
