package sim

// Sources: Vaisala PTB210 User's Guide, chapter 4 (pages 13 to 15: commands, ID
// code, ****.** outside of the limits, no echo); PTB220 User's Guide M210194EN,
// 4.2 P " " UUUU (pages 18 to 21), POLL mode (48, 49); PTB330 User's Guide
// M210855EN, FORM (page 71), OPEN, CLOSE, SEND (101); PTU300 User's Guide, FORM and
// SEND (103).
//
// Assumed: a PTB210 prints the number without a unit; a PTB330 prints as a PTU300
// does, "P=" with its unit; in POLL mode SEND without an address is not answered;
// in STOP mode what is typed comes back, and a prompt stands before each answer.

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Barometer is one instrument of Vaisala on a BarometerLine. It is in POLL mode
// when it is made: it is silent until it is asked by its name. Safe for concurrent use.
type Barometer struct {
	name    string // ID code or address
	dotted  bool   // a PTB210: ID.P instead of SEND address
	text    func(Climate, bool) string
	world   World
	distort distortions

	mu       sync.Mutex // guards the fields below
	operator bool       // STOP mode: anybody may type, and sees it
	faulty   bool
	asked    int
}

// NewPTB210 returns a barometer with an ID code, "0" when new.
func NewPTB210(id string, w World) *Barometer {
	return &Barometer{name: id, dotted: true, world: w, text: func(c Climate, bad bool) string {
		return starred(bad, "%7.2f", c.Pressure/100)
	}}
}

// NewPTB220 returns a barometer with an address from 0 to 99.
func NewPTB220(address int, w World) *Barometer {
	return &Barometer{name: strconv.Itoa(address), world: w, text: func(c Climate, bad bool) string {
		return starred(bad, "%7.2f", c.Pressure/100) + " hPa "
	}}
}

// NewPTB330 returns a barometer with an address from 0 to 255.
func NewPTB330(address int, w World) *Barometer {
	return &Barometer{name: strconv.Itoa(address), world: w, text: func(c Climate, bad bool) string {
		return "P=" + starred(bad, "%8.2f", c.Pressure/100) + " hPa"
	}}
}

// NewPTU300 returns a transmitter of pressure, temperature and humidity with an
// address from 0 to 99.
func NewPTU300(address int, w World) *Barometer {
	return &Barometer{name: strconv.Itoa(address), world: w, text: func(c Climate, bad bool) string {
		return "P=" + starred(bad, "%8.1f", c.Pressure/100) + " hPa    T=" + starred(bad, "%5.1f", c.Temperature) +
			" 'C RH=" + starred(bad, "%5.1f", c.Humidity) + " %RH"
	}}
}

// starred prints a number, or an asterisk for each digit of it.
func starred(bad bool, format string, v float64) string {
	text := fmt.Sprintf(format, v)
	if !bad {
		return text
	}
	return strings.Map(func(r rune) rune {
		if r == '.' || r == ' ' {
			return r
		}
		return '*'
	}, text)
}

// Stop puts the instrument into STOP mode: it echoes what is typed, prompts, and
// answers SEND without an address. A PTB210 has no such mode.
func (b *Barometer) Stop() { b.set(func() { b.operator = true }) }

// Fail makes the instrument print asterisks instead of values, or ends that.
func (b *Barometer) Fail(on bool) { b.set(func() { b.faulty = on }) }

func (b *Barometer) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

// Distort lets the next answers, 0 for all until clear is called, go out distorted.
// Distortions added later wait until the earlier ones are over.
func (b *Barometer) Distort(d Distortion, answers int) (clear func()) {
	return b.distort.add(d, answers)
}

// Asked returns how many commands this instrument has answered.
func (b *Barometer) Asked() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked
}

// Answer returns what the instrument sends after a command, which stands without
// its carriage return; "" is silence.
func (b *Barometer) Answer(at time.Time, command string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	echo := b.operator
	text := b.answer(at, command)
	if text != "" {
		b.asked++
	}
	if echo {
		text = command + "\r\n" + text
	}
	if b.operator {
		text += ">"
	}
	return text
}

func (b *Barometer) answer(at time.Time, command string) string {
	reading := func() string { return b.text(b.world.At(at), b.faulty) + "\r\n" }
	if b.dotted {
		if command == ".P" || command == b.name+".P" {
			return reading()
		}
		return ""
	}
	word, name, _ := strings.Cut(strings.TrimSpace(strings.ToUpper(command)), " ")
	mine := strings.TrimSpace(name) == b.name
	switch {
	case word == "SEND" && (mine || b.operator && name == ""):
		return reading()
	case word == "OPEN" && mine:
		b.operator = true
		return "PTB330: " + b.name + " line opened for operator commands\r\n"
	case word == "CLOSE" && b.operator:
		b.operator = false
		return "line closed\r\n"
	}
	return ""
}

// EvenParity shows an answer of seven data bits and even parity as a port sees it
// that was set to eight data bits without parity.
func EvenParity() Distortion {
	return func(b []byte) []Piece {
		for i, x := range b {
			x ^= x >> 4
			x ^= x >> 2
			x ^= x >> 1
			b[i] |= x & 1 << 7
		}
		return []Piece{{0, b}}
	}
}

// BarometerLine is a line with instruments of Vaisala on it, as an Instrument. All
// hear every command. The exported fields are set before Run.
type BarometerLine struct {
	Turnaround time.Duration // from the end of a command to the answer

	barometers []*Barometer
}

// NewBarometerLine returns a line with these instruments.
func NewBarometerLine(barometers ...*Barometer) *BarometerLine {
	return &BarometerLine{barometers: barometers}
}

// longestCommand is the most characters of a command; more is noise.
const longestCommand = 80

// Run is part of Instrument. One that answers late does not keep the others from
// answering.
func (l *BarometerLine) Run(ctx context.Context, port io.ReadWriter) error {
	out := &speaker{port: port}
	var command []byte
	var answers sync.WaitGroup
	defer answers.Wait()
	return run(ctx, port, func(ctx context.Context, heard []byte) error {
		for _, x := range heard {
			switch {
			case x == '\n':
			case x != '\r':
				if command = append(command, x); len(command) > longestCommand {
					command = command[:0]
				}
			default:
				for _, b := range l.barometers {
					if text := b.Answer(time.Now(), string(command)); text != "" {
						pieces := append([]Piece{{Pause: l.Turnaround}}, b.distort.apply([]byte(text))...)
						answers.Go(func() { _ = out.send(ctx, pieces) })
					}
				}
				command = command[:0]
			}
		}
		return nil
	}, nil)
}
