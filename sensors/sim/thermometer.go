package sim

// The thermometers that have a pointer and four registers, temperature,
// configuration and two limits, high byte first: LM75 and its descendants. What
// they differ in stands in thermometer_models.go, with the sheets.

import "time"

// Registers, by the low bits of the pointer.
const (
	thermTemperature = 0
	thermConfig      = 1
	thermLow         = 2 // T_hyst of an LM75
	thermHigh        = 3 // T_os of an LM75
	thermID          = 0x0F
)

// Thermometer is a simulated LM75, LM75B, TMP105, TMP102, TMP112 or TMP1075. Safe
// for concurrent use.
type Thermometer struct {
	model *thermometerModel

	repeater[uint16]
	pointer byte
	config  uint16 // of one or two bytes, as the model has it
	limits  [2]uint16
	data    uint16 // the temperature register
	last    byte   // the byte that was read last
	asked   bool   // a single conversion is going on
	single  bool   // and is over
	alert   bool   // the temperature has crossed the high limit, and not the low one since
}

func newThermometer(m *thermometerModel, w World, options []ChipOption) *Thermometer {
	c := &Thermometer{model: m}
	c.tuning, c.shown = tune(w, m.id, options), &c.data
	c.PowerUp(time.Time{})
	return c
}

// PowerUp is part of Device.
func (c *Thermometer) PowerUp(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready = now.Add(c.model.startup)
	c.pointer, c.last = thermTemperature, 0
	c.config = c.model.config
	c.limits = [2]uint16{0x4B00, 0x5000} // 75 and 80 °C
	c.data, c.asked, c.single, c.alert = 0, false, false, false
	if c.held != nil {
		c.data = *c.held
	}
	c.repeated = repeating{}
	c.begin(c.ready, false)
}

// begin starts converting as the configuration says.
func (c *Thermometer) begin(now time.Time, once bool) {
	takes, every := c.model.times(c.config)
	if c.tuning.typical {
		takes = time.Duration(float64(takes) * c.model.typical)
	}
	c.repeated.start(now, c.tuning.scaled(takes), c.tuning.scaled(every), once)
}

// Write is part of Device: the pointer, then the bytes of one register.
func (c *Thermometer) Write(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.ready) {
		return ErrNack
	}
	c.advance(now)
	c.pointer = data[0] & c.model.pointer
	switch data = data[1:]; c.pointer {
	case thermConfig:
		c.configure(now, data)
	case thermLow, thermHigh:
		if len(data) >= 2 {
			c.limits[c.pointer-thermLow] = uint16(data[0])<<8 | uint16(data[1])
		}
	}
	return nil
}

func (c *Thermometer) configure(now time.Time, data []byte) {
	if len(data) == 0 {
		return
	}
	word := uint16(data[0])
	if c.model.wide {
		word = word<<8 | c.config&0xFF
		if len(data) > 1 {
			word = word&0xFF00 | uint16(data[1])
		}
	}
	m, before := c.model, c.config
	c.config = before&^m.writable | word&m.writable
	asleep := c.config&m.shutdown != 0
	switch {
	case asleep && word&m.oneShot != 0:
		c.asked, c.single = true, false
		c.begin(now, true)
	case asleep && before&m.shutdown == 0:
		c.repeated.stop(now)
	case !asleep && c.config != before:
		c.asked, c.single = false, false
		c.begin(now, false)
	}
}

// Read is part of Device.
func (c *Thermometer) Read(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.ready) {
		return ErrNack
	}
	c.advance(now)
	word, bytes := c.load()
	for i := range data {
		data[i] = byte(word)
		if bytes == 2 && i%2 == 0 {
			data[i] = byte(word >> 8)
		}
		c.last = data[i]
	}
	return nil
}

// load returns the register under the pointer, and its length in bytes.
func (c *Thermometer) load() (word uint16, bytes int) {
	switch c.pointer {
	case thermTemperature:
		return c.data, 2
	case thermConfig:
		word = c.model.shows(c.config, c.single, c.alert)
		if c.model.wide {
			return word, 2
		}
		return word, 1
	case thermLow, thermHigh:
		return c.limits[c.pointer-thermLow], 2
	case thermID:
		if c.model.id != 0 {
			return uint16(c.tuning.id) << 8, 2
		}
	}
	return uint16(c.last), 1 // an unused register of an LM75
}

// advance takes over the newest conversion that is over.
func (c *Thermometer) advance(now time.Time) {
	at, ok := c.repeated.ended(now)
	if !ok {
		return
	}
	c.asked, c.single = false, c.asked
	if c.held == nil {
		air := c.tuning.feels(at, Climate{Temperature: c.model.noise})
		c.data = c.model.word(c.config, air.Temperature)
	}
	switch t := int16(c.data); {
	case t >= int16(c.limits[1]):
		c.alert = true
	case t < int16(c.limits[0]):
		c.alert = false
	}
}
