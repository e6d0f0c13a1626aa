package sim

// Sheet: Melexis MLX90614, 3901090614: SMBus section 8.4 (commands, read word with
// PEC, write word), EEPROM table (8.3.3) and RAM table (8.3.5), flags, sleep mode
// 8.4.8, timing of the first data. The sheet was not at hand; this is what is known
// of it from public drivers (Linux mlx90614) and the worked example of its PEC.
//
// Where that is silent:
//   - RAM reads 0 until 0.25 s after the supply rose, then it is renewed every 0.1 s;
//   - a cell of the EEPROM that is not erased keeps its ones when it is written;
//     writing takes 5 ms in which nothing is acknowledged; cells other than 0 to 5
//     and E are locked;
//   - asleep it acknowledges nothing until its supply rises again, since the wake-up
//     pulse is not a transaction;
//   - a wrong PEC of a write is not acknowledged, and the write has no effect;
//   - a read without a command reads FF; a stop between command and read is allowed;
//   - what it looks at has the emissivity that is set;
//   - it is made for one zone: object 2 reads 0;
//   - the noise is one step of the object and half a step of the ambient.

import "time"

const (
	mlxAmbient  = 0x06
	mlxObject1  = 0x07
	mlxEEPROM   = 0x20
	mlxFlags    = 0xF0
	mlxSleep    = 0xFF
	mlxAddress  = 0x0E // cell of the EEPROM
	mlxLastCell = 0x1F

	mlxFirst  = 250 * time.Millisecond
	mlxRenews = 100 * time.Millisecond
	mlxWrites = 5 * time.Millisecond
)

// Faced is a World that also says how warm the surface is that an infrared
// thermometer looks at.
type Faced interface {
	World
	Object(at time.Time) (celsius float64)
}

// Facing is the world w with such a surface in it. In other worlds it is as warm as
// the air.
func Facing(w World, celsius func(at time.Time) float64) Faced { return facing{w, celsius} }

type facing struct {
	World
	celsius func(at time.Time) float64
}

func (f facing) Object(at time.Time) float64 { return f.celsius(at) }

// RawMLX90614 holds words of the RAM: 0.02 K each, bit 15 marks an error.
type RawMLX90614 struct{ Ambient, Object uint16 }

// MLX90614 is a simulated infrared thermometer MLX90614. Safe for concurrent use.
type MLX90614 struct {
	repeater[RawMLX90614]
	cells   [mlxLastCell + 1]uint16 // EEPROM; it outlives the supply
	asleep  bool
	busy    time.Time // until then nothing is acknowledged
	valid   time.Time // when RAM holds the first data
	command int       // -1: none
	raw     RawMLX90614
}

// NewMLX90614 returns an MLX90614 (temperature of itself and of what it looks at)
// in this world. It works out checksums with the address in its EEPROM, which is
// 0x5A as from the factory; see SetAddress.
func NewMLX90614(w World, options ...ChipOption) *MLX90614 {
	c := &MLX90614{}
	c.tuning, c.shown = tune(w, 0, options), &c.raw
	c.cells = [mlxLastCell + 1]uint16{
		0: 0x9993, 1: 0x62E3, 2: 0x0201, 3: 0xF71C, 4: 0xFFFF, 5: 0x9FB4, mlxAddress: 0xBE5A,
		0x1C: 0x1B12, 0x1D: 0x4FB2, 0x1E: 0x5A30, 0x1F: 0xC90D, // the id of one chip
	}
	c.PowerUp(time.Time{})
	return c
}

// SetAddress writes the address into the EEPROM. It does not move the chip on the
// bus.
func (c *MLX90614) SetAddress(addr byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cells[mlxAddress] = c.cells[mlxAddress]&0xFF00 | uint16(addr)
}

// PowerUp is part of Device.
func (c *MLX90614) PowerUp(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asleep, c.busy, c.command = false, now, -1
	c.valid = now.Add(c.tuning.scaled(mlxFirst))
	c.raw = RawMLX90614{}
	if c.held != nil {
		c.raw = *c.held
	}
	c.repeated = repeating{}
	c.repeated.start(now, c.tuning.scaled(mlxFirst), 0, true)
}

// Write is part of Device: a command, or a command with a word and its PEC.
func (c *MLX90614) Write(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asleep || now.Before(c.busy) {
		return ErrNack
	}
	c.command = int(data[0])
	address := byte(c.cells[mlxAddress])
	switch {
	case len(data) == 1:
		return nil
	case data[len(data)-1] != smbusPEC(append([]byte{address << 1}, data[:len(data)-1]...)...):
		return ErrNack
	case data[0] == mlxSleep && len(data) == 2:
		c.asleep = true
	case data[0] >= mlxEEPROM && data[0] <= mlxEEPROM+mlxLastCell && len(data) == 4:
		c.program(now, data[0]-mlxEEPROM, uint16(data[1])|uint16(data[2])<<8)
	}
	return nil
}

// program writes a cell of the EEPROM.
func (c *MLX90614) program(now time.Time, cell byte, word uint16) {
	if cell > 5 && cell != mlxAddress {
		return
	}
	if word != 0 {
		word |= c.cells[cell]
	}
	c.cells[cell] = word
	c.busy = now.Add(mlxWrites)
}

// Read is part of Device: low byte, high byte, PEC.
func (c *MLX90614) Read(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asleep || now.Before(c.busy) {
		return ErrNack
	}
	c.advance(now)
	answer := [3]byte{0xFF, 0xFF, 0xFF}
	if c.command >= 0 {
		command, address := byte(c.command), byte(c.cells[mlxAddress])
		word := c.load(now, command)
		answer[0], answer[1] = byte(word), byte(word>>8)
		answer[2] = smbusPEC(address<<1, command, address<<1|1, answer[0], answer[1])
	}
	for i := range data {
		data[i] = 0xFF
	}
	copy(data, answer[:])
	c.command = -1
	return nil
}

// load returns the word a command asks for.
func (c *MLX90614) load(now time.Time, command byte) uint16 {
	switch {
	case command == mlxAmbient:
		return c.raw.Ambient
	case command == mlxObject1:
		return c.raw.Object
	case command >= mlxEEPROM && command <= mlxEEPROM+mlxLastCell:
		return c.cells[command-mlxEEPROM]
	case command == mlxFlags && !now.Before(c.valid):
		return 1 << 4 // the power-up routine is over
	}
	return 0
}

// advance renews the RAM.
func (c *MLX90614) advance(now time.Time) {
	at, ok := c.repeated.ended(now)
	if !ok {
		return
	}
	if c.repeated.once { // the first data, from here on it is renewed
		renews := c.tuning.scaled(mlxRenews)
		c.repeated.start(at, renews, renews, false)
		if later, ok := c.repeated.ended(now); ok {
			at = later
		}
	}
	if c.held != nil {
		return
	}
	air := c.tuning.feels(at, Climate{Temperature: 0.01})
	object := air.Temperature
	if w, ok := c.tuning.world.(Faced); ok {
		object = w.Object(at) + c.tuning.offset.Temperature
		if c.tuning.noise != nil {
			object += c.tuning.noise.NormFloat64() * 0.02
		}
	}
	c.raw = RawMLX90614{Ambient: mlxWord(air.Temperature), Object: mlxWord(object)}
}

// mlxWord returns the word for a temperature.
func mlxWord(celsius float64) uint16 {
	return uint16(nearest(0, 0x7FFF, celsius, func(code int64) float64 { return float64(code)*0.02 - 273.15 }))
}

// smbusPEC is the packet error code of the SMBus: CRC-8 with the polynomial x^8 +
// x^2 + x + 1.
func smbusPEC(bytes ...byte) byte {
	crc := byte(0)
	for _, b := range bytes {
		crc ^= b
		for range 8 {
			top := crc&0x80 != 0
			crc <<= 1
			if top {
				crc ^= 0x07
			}
		}
	}
	return crc
}
