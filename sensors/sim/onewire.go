package sim

// Sheets: Maxim DS18B20, 19-7487 revision 5: temperature register page 6, memory map
// (scratchpad, power-up +85 °C) pages 8-9, CRC page 9. DS18S20, 19-5474: extended
// resolution page 6. What byte 6 holds is not in the sheet: 0C after power-up and 10
// less the low four bits of the temperature after a conversion, as chips show.

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
)

// Probe is a DS18B20 or a relative of it, read by the kernel's w1_therm.
type Probe struct {
	*KernelDevice
	family byte
	bits   int // of its resolution; not of a DS18S20
}

// AddProbe adds a probe with this ROM id, as the kernel writes it: two digits of
// family (10 DS18S20, 22 DS1822, 28 DS18B20, 3b DS1825, 42 DS28EA00), a dash and
// twelve digits. It is at sys/bus/w1/devices/ID, with the files w1_slave and, as
// newer kernels have them, temperature, resolution, conv_time, features and
// ext_power.
func (s *Sysfs) AddProbe(id string, celsius float64) (*Probe, error) {
	family, serial, _ := strings.Cut(id, "-")
	code, err := hex.DecodeString(family)
	if err != nil || len(code) != 1 || len(serial) != 12 {
		return nil, fmt.Errorf("1-wire id %q, want such as 28-0316a2794bff", id)
	}
	if err := s.addMaster(); err != nil {
		return nil, err
	}
	p := &Probe{family: code[0], bits: 12, KernelDevice: &KernelDevice{
		tree: s, class: "sys/bus/w1/devices", prefix: id, fixed: true, parent: "sys/devices/w1_bus_master1",
		files: map[string]string{
			"name": id + "\n", "resolution": "12\n", "conv_time": "750\n", "features": "0\n", "ext_power": "1\n",
		},
	}}
	if err := p.Show(celsius); err != nil {
		return nil, err
	}
	return p, p.Plug()
}

// addMaster adds the bus master, once.
func (s *Sysfs) addMaster() error {
	s.mu.Lock()
	first := s.next["w1_bus_master"] == 0
	s.next["w1_bus_master"] = 1
	s.mu.Unlock()
	if !first {
		return nil
	}
	_, err := s.add(&KernelDevice{
		class: "sys/bus/w1/devices", prefix: "w1_bus_master1", fixed: true, parent: "sys/devices",
		files: map[string]string{"w1_master_name": "w1_bus_master1\n", "therm_bulk_read": "0\n"},
	})
	return err
}

// Show lets the probe measure this temperature, -55 to 125 °C.
func (p *Probe) Show(celsius float64) error {
	pad := p.scratchpad(celsius)
	return p.show(pad, p.measured(pad), "YES")
}

// SetBits gives it a resolution of 9 to 12 bits, which what it shows from now on has,
// and which the file resolution says. A write to that file has no such effect here.
func (p *Probe) SetBits(bits int) error {
	p.bits = bits
	return p.Set("resolution", fmt.Sprintf("%d\n", bits))
}

// ShowPowerUp lets the probe hold its power-up value of 85 °C, as after a
// conversion that lost its supply.
func (p *Probe) ShowPowerUp() error {
	pad := p.scratchpad(85)
	pad[6] = 0x0C
	return p.show(pad, 85000, "YES")
}

// ShowShorted lets the data line be held low: nothing but zeros, whose CRC is
// right.
func (p *Probe) ShowShorted() error { return p.show([8]byte{}, 0, "YES") }

// ShowBadCRC lets a bit have been lost on the way: w1_slave says NO, and the file
// temperature cannot be read.
func (p *Probe) ShowBadCRC(celsius float64) error {
	pad := p.scratchpad(celsius)
	if err := p.show(pad, p.measured(pad), "NO"); err != nil {
		return err
	}
	return p.Break("temperature")
}

// ShowNothing lets the files be empty, as the kernel leaves them when the probe does
// not answer, or when bit 0 of features is set and a conversion failed.
func (p *Probe) ShowNothing() error {
	if err := p.Set("w1_slave", ""); err != nil {
		return err
	}
	return p.Set("temperature", "")
}

// SetParasite takes its supply away, so that it lives on its data line, or gives it
// back.
func (p *Probe) SetParasite(parasite bool) error {
	supply := "1\n"
	if parasite {
		supply = "0\n"
	}
	return p.Set("ext_power", supply)
}

// show writes what w1_therm makes of a scratchpad.
func (p *Probe) show(pad [8]byte, thousandths int, verdict string) error {
	crc := crcDallas(pad[:])
	if verdict == "NO" {
		crc ^= 0x01
	}
	bytes := fmt.Sprintf("% x %02x", pad, crc)
	value := fmt.Sprintf("%d\n", thousandths)
	text := fmt.Sprintf("%s : crc=%02x %s\n%s t=%s", bytes, crcDallas(pad[:]), verdict, bytes, value)
	if err := p.Set("w1_slave", text); err != nil {
		return err
	}
	return p.Set("temperature", value)
}

// scratchpad is that of a probe that has converted a temperature.
func (p *Probe) scratchpad(celsius float64) (pad [8]byte) {
	if p.family == 0x10 {
		whole := math.Floor(celsius + 0.25)
		remain := 16 - math.Round((celsius+0.25-whole)*16)
		binary.LittleEndian.PutUint16(pad[:], uint16(int16(whole)*2))
		copy(pad[2:], []byte{0x4B, 0x46, 0xFF, 0xFF, byte(remain), 0x10})
		return pad
	}
	unused := 12 - p.bits
	raw := int16(math.Round(celsius*16)) >> unused << unused
	binary.LittleEndian.PutUint16(pad[:], uint16(raw))
	copy(pad[2:], []byte{0x4B, 0x46, byte(p.bits-9)<<5 | 0x1F, 0xFF, 0x10 - byte(raw&0x0F), 0x10})
	return pad
}

// measured is what the kernel makes of it, in thousandths of a degree: whole numbers
// throughout, divided towards zero.
func (p *Probe) measured(pad [8]byte) int {
	raw := int(int16(binary.LittleEndian.Uint16(pad[:])))
	if p.family == 0x10 && pad[7] != 0 {
		return raw>>1*1000 - 250 + 1000*(int(pad[7])-int(pad[6]))/int(pad[7])
	}
	return raw * 1000 / 16
}

// crcDallas is the CRC of 1-wire.
func crcDallas(b []byte) byte {
	var crc byte
	for _, x := range b {
		crc ^= x
		for range 8 {
			low := crc & 1
			crc >>= 1
			if low != 0 {
				crc ^= 0x8C
			}
		}
	}
	return crc
}
