// Package sim is a table full of simulated hardware: I2C buses with chips on
// them, serial instruments, Modbus slaves, and sysfs trees with 1-wire probes
// and thermal zones. Real drivers read them as they read real hardware, in
// tests, in the demo, and on machines that have no sensor at all.
//
// A World says how warm, heavy and humid the air is at a moment. A chip turns
// that into the raw words a real chip would hold, by inverting the compensation
// formula of its own data sheet, and then behaves at register level: power-up
// state, busy bits, conversion time, modes. Faults are put on the wire, or into
// the chip.
//
//	bus := sim.NewBus("I2C1")
//	chip := sim.NewBME280(sim.Room(1), sim.Noise(1))
//	bus.Add(0x76, chip)
//	clear := bus.Inject(0x76, sim.Nack().At(0xF7).Times(3))
//
//	what goes wrong                       how it is asked for
//	absent, NACK, EIO, time-out, adapter  Bus.Inject(addr, Nack() InputOutput() Timeout() Lost() Gone())
//	bits flip, all 00, all FF, any bytes  Bus.Inject(addr, Flip(n) FlipAny(seed) Zeros() Ones() Answer(...))
//	the same for every address            Bus.InjectAll
//	when: n times, later, one register    Fault.Times, After, At, Chance
//	a line is stuck                       Bus.Hang
//	pulled out, put back, supply dips     Bus.Unplug, Plug, BrownOut
//	clone, slow, noisy, beside the truth  ChipID, Slow, Noise, Offset (when made, or later by Tune)
//	stuck or skipped words                Hold, of every chip
//	a gas sensor's air, its heater        Gas, BME68x.Heater
//	not calibrated (AHT20)                AHT20.Blank
//	asleep (SHTC3), measuring by itself   by command, as another program would
//	behind a multiplexer                  TCA9548.Channel(n), a bus of its own with its own faults
//	what an infrared thermometer sees     Facing
//	another chip, other calibration       SetTrim
//	reads far too hot, other source       DPS310.ReadHot, SetSource
//	broken PROM; status bits of Honeywell MS5611.SetPROM; HSC.Say, MPR.Fail
//	serial: silence, late, split, noise   Line.Distort, ModbusSlave.Distort, Barometer.Distort
//	serial: another framing, fault value  EvenParity, Barometer.Fail, Sentence
//	serial: pulled out, other tty name    Terminal.Unplug, Plug
//	kernel: EIO, slow, other number       KernelDevice.Break, Slow, Unplug and Plug
//	1-wire: CRC, 85 °C, shorted, gone     Probe.ShowBadCRC, ShowPowerUp, ShowShorted, Unplug
//
// The chips are written from the data sheets named at the head of their files,
// which also say what is assumed where a sheet is silent. They import no driver
// and share no constants with one, so that driver and simulation can only agree by
// both being right; and they agree with outside vectors.
//
// Time is the time of the bus's clock: the system's by default, which inside a
// testing/synctest bubble is the bubble's, or any other given with Clock. Chips
// and buses have no goroutine; they work out what has happened since they were
// last asked. A Bus that several goroutines of a bubble use must have been made in
// that bubble, or their waiting for each other stops the bubble's clock.
//
// Limits: conversions take exactly the sheet's time; supply, SPI, ten-bit
// addresses, clock stretching and SMBus alerts are not simulated. Terminal and
// KernelDevice.Slow exist on Linux only.
package sim
