// Package chip holds the drivers: one file per chip or device family (with a
// second one for its pure computations), and the table Drivers.
//
// What a driver of a chip does in each Read, in this order:
//
//	set up, if it is not: find the chip by its id, reset, read the calibration
//	  twice, compare it with the one of before, configure, measure once for nothing
//	look whether the settings are still there (a brown-out resets them unnoticed)
//	start one measurement, wait its longest time, poll until it is over
//	read the result in one burst, refuse what no measurement gives
//	compensate, in a function without bus traffic
//
// An error starts it again, 10 and then 50 ms later; the third one is returned
// and the chip is set up anew next time. Compensation is in integers for
// the BMP180 and in floating point for all others, as their sheets have it.
//
// What they share:
//
//	attached (attached.go)         I2C chips: found by identity, set up once, tried again, set up anew
//	registers, i2cKeys (read.go)   register access, patience, the settings of every I2C driver
//	word.go, crc.go, command.go    words of several bytes, checksums, chips with commands in place of registers
//	air (air.go)                   temperature and humidity as two words, without calibration: an airKind each
//	bosch.go                       what BMP388, BMP581, BME680 and BMx280 have in common
//	kerneldevice.go, sysfs.go      IIO, hwmon and thermal zones, 1-wire: files of the kernel, by stable names
//	line_polled, _spoken, _cutter  instruments that answer when asked, or send by themselves, a line at a time
//	modbus_*.go                    register maps: planned into requests, exchanged, turned into values
//
// Several kinds of chip live at one address. What a driver asks to find out which it
// is must be no setting to any of the others: reads first, commands only where those
// have ruled out a chip with registers. A test asks every simulated chip with every
// driver.
//
// Devices on a serial line share it. Each request is an exchange of its own, and
// one that did not answer is asked once in a read and after the others (partner).
// What comes late is never taken for the answer to another question: of a Modbus
// slave the first answer after a missing one is thrown away, and the line waited on;
// of polled devices that answer alike, the line is waited on after the missing one.
// Devices that send by themselves are heard by an ear, which keeps the newest.
//
// To add a chip: a file with a sensors.Driver, its name in Drivers, a simulated
// chip from its data sheet in sensors/sim by somebody else.
package chip
