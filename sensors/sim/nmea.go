package sim

// Sources: NMEA 0183 sentences as makers of weather stations print them: Airmar
// LB150 technical manual 0.013, MDA (pages 15, 16) and XDR (pages 25 to 27);
// Lambrecht met[LOG] manual, 9.1.2 (MTA, MMB, XDR; 4800 8N1); Lufft WS200-UMB
// manual, 19.8.6.1 (XDR with transducers called 0). MHU has the fields of NMEA
// 0183: relative and absolute humidity, dew point, C.
//
// Assumed: an absolute humidity is never sent, as Airmar and Lambrecht do; a
// sentence with a value that is not known has an empty field in its place.

import (
	"fmt"
	"math"
	"time"
)

// NewNMEA returns an instrument that measures this world and sends the sentences
// in turn, one each interval, with $ before and the checksum behind.
func NewNMEA(w World, interval time.Duration, sentences ...func(Climate) string) *Line {
	l := NewLine(w)
	l.Interval, l.Checksum = interval, StarXor
	for _, s := range sentences {
		l.Turn = append(l.Turn, func(c Climate) string { return "$" + s(c) })
	}
	return l
}

const inchOfMercury = 3386.389 // Pa, at 0 °C

// MDA is the meteorological composite in the steps of Airmar's stations, without
// wind: pressure in inHg and bar, air temperature, humidity and dew point.
func MDA(c Climate) string {
	return fmt.Sprintf("WIMDA,%.2f,I,%.3f,B,%.1f,C,,,%.1f,,%.1f,C,,T,,M,,N,,M",
		c.Pressure/inchOfMercury, c.Pressure/1e5, c.Temperature, c.Humidity, dewPoint(c))
}

// MMB is the pressure in inHg and bar.
func MMB(c Climate) string {
	return fmt.Sprintf("WIMMB,%.2f,I,%.3f,B", c.Pressure/inchOfMercury, c.Pressure/1e5)
}

// LambrechtMMB is the pressure in hPa, with the letter of bar behind it.
func LambrechtMMB(c Climate) string { return fmt.Sprintf("WIMMB,,,%.1f,B", c.Pressure/100) }

// MTA is the air temperature.
func MTA(c Climate) string { return fmt.Sprintf("WIMTA,%.1f,C", c.Temperature) }

// MHU is the relative humidity and the dew point.
func MHU(c Climate) string { return fmt.Sprintf("WIMHU,%.1f,,%.1f,C", c.Humidity, dewPoint(c)) }

// XDR is pressure, temperature and humidity as transducers with names of their own.
func XDR(c Climate) string {
	return fmt.Sprintf("WIXDR,P,%.5f,B,BARO,C,%.1f,C,AIRT,H,%.1f,P,RELH", c.Pressure/1e5, c.Temperature, c.Humidity)
}

// LufftXDR is the same with transducers that are all called 0.
func LufftXDR(c Climate) string {
	return fmt.Sprintf("WIXDR,P,%.5f,B,0,C,%.1f,C,0,H,%.1f,P,0", c.Pressure/1e5, c.Temperature, c.Humidity)
}

// AirmarXDRA is version A of Airmar's XDR: wind chill and heat index, which are not
// known without wind, and the pressure of the station.
func AirmarXDRA(c Climate) string {
	return fmt.Sprintf("YXXDR,C,,C,WCHR,C,,C,WCHT,C,,C,HINX,P,%.3f,B,STNP", c.Pressure/1e5)
}

// AirmarXDRB is version B of Airmar's XDR: pitch and roll.
func AirmarXDRB(Climate) string { return "YXXDR,A,-0.3,D,PTCH,A,1.2,D,ROLL" }

// Sentence sends a text of its own, such as one with a maker's fault value.
func Sentence(text string) func(Climate) string { return func(Climate) string { return text } }

// dewPoint is in °C (Magnus formula).
func dewPoint(c Climate) float64 {
	x := math.Log(max(c.Humidity, 0.1) / 100 * saturation(c.Temperature) / 6.112)
	return 243.12 * x / (17.62 - x)
}
