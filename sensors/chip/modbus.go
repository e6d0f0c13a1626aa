package chip

import (
	"context"
	"fmt"
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
		{Name: "holes", Kind: sensors.KindInt, Default: 0, Min: 0, Max: maxRegisters - 2, Unit: "registers",
			Meaning: "how many registers that nobody asked for may be read along to save a request; many slaves refuse those they do not have"},
		{Name: "max_registers", Kind: sensors.KindInt, Default: maxRegisters, Min: 4, Max: maxRegisters, Unit: "registers",
			Meaning: "the most registers in one request"},
	},
	Table: &sensors.Table{Section: "modbus", Key: "map", Keys: modbusRowKeys, Presets: modbusPresets},
	Open:  openModbus,
	Check: func(s sensors.Settings) (wrong []*sensors.KeyError) {
		for _, row := range s.Rows {
			if _, err := newModbusValue(row); err != nil {
				wrong = append(wrong, &sensors.KeyError{Key: "modbus." + s.Text("map") + "." + row.Name + "." + err.Key, Text: err.Text})
			}
		}
		if len(wrong) == 0 && len(modbusMeasures(s)) == 0 {
			wrong = append(wrong, &sensors.KeyError{Key: "map", Text: "every row of it has expect, so there is nothing to measure"})
		}
		return wrong
	},
	Most: func(s sensors.Settings) time.Duration { // every block of registers, and late answers being waited for
		return mostOf(time.Duration(max(len(s.Rows), 1)) * (4*s.Duration("timeout") + time.Second))
	},
	Named: modbusMeasures,
}

// modbusMeasures are the quantities of a map, which has sound rows only.
func modbusMeasures(s sensors.Settings) []sensors.Measure {
	var all []sensors.Measure
	for _, row := range s.Rows {
		if v, err := newModbusValue(row); err == nil && !v.expected {
			all = append(all, v.measure)
		}
	}
	return all
}

// slave is one Modbus slave. Several share a line; each request is an exchange
// of its own, so that a slave that does not answer delays the others by one
// timeout, and seldom: see partner.
type slave struct {
	partner
	line   sensors.Line
	values []modbusValue // what is measured
	proofs []modbusValue // what must be found before that
	blocks []modbusBlock // for the values
	proven bool

	x     *modbusExchange // new after one that got stuck in the kernel
	fresh func() *modbusExchange
	data  [][]byte // by request; the answers of this read
}

func openModbus(m sensors.Machine, s sensors.Settings) (sensors.Device, error) {
	line, err := m.Serial(s.Text("bus"))
	if err != nil {
		return nil, err
	}
	d := &slave{line: line}
	for _, row := range s.Rows {
		v, err := newModbusValue(row)
		switch {
		case err != nil:
			return nil, fmt.Errorf("modbus.%s.%s: %w", s.Text("map"), row.Name, err)
		case v.expected:
			d.proofs = append(d.proofs, v)
		default:
			d.values = append(d.values, v)
		}
	}
	d.blocks = planModbus(wordsOf(d.values), int(s.Int("holes")), int(s.Int("max_registers")))
	d.data = make([][]byte, len(d.blocks))
	for i, b := range d.blocks {
		d.data[i] = make([]byte, 0, 2*b.count)
	}
	id, timeout, where := byte(s.Int("address")), s.Duration("timeout"), fmt.Sprintf("slave %d on %s", s.Int("address"), line)
	d.fresh = func() *modbusExchange {
		return &modbusExchange{slave: id, timeout: timeout, where: where, character: line.Mode().Character(), partner: &d.partner}
	}
	d.x = d.fresh()
	return d, nil
}

// Read implements sensors.Device.
func (d *slave) Read(ctx context.Context, s *sensors.Sample) error { return d.read(ctx, d, s) }

// Close implements sensors.Device.
func (d *slave) Close() error { return nil }

func (d *slave) lost() { d.proven = false }

func (d *slave) measure(ctx context.Context, s *sensors.Sample) error {
	if !d.proven {
		if err := d.prove(ctx); err != nil {
			return err
		}
	}
	for i, b := range d.blocks {
		data, err := d.ask(ctx, b)
		if err != nil {
			return err
		}
		d.data[i] = append(d.data[i][:0], data...)
	}
	s.Chip = "Modbus slave"
	for i := range d.values {
		d.values[i].read(s, d.data)
	}
	return nil
}

// prove reads what must be found before values of this slave can be believed.
func (d *slave) prove(ctx context.Context) error {
	for i := range d.proofs {
		v := &d.proofs[i]
		b := modbusBlock{v.function, v.register, uint16(v.registers)}
		data, err := d.ask(ctx, b)
		if err != nil {
			return err
		}
		if found := v.disproof(data); found != "" {
			return sensors.Errorf(sensors.WrongChip, d.x.where, "%s should hold %v for a device of this map, but hold %s", b, v.expect, found)
		}
	}
	d.proven = true
	return nil
}

// ask reads a block; the result is valid until the next call.
func (d *slave) ask(ctx context.Context, b modbusBlock) ([]byte, error) {
	d.x.block = b
	err := d.line.Do(ctx, d.x)
	if sensors.FaultOf(err) == sensors.Stuck {
		d.x = d.fresh() // the owner may still be using the old one
		d.x.owe()
	}
	return d.x.data, d.note(ctx, err)
}
