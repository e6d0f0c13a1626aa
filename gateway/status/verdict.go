package status

import (
	"fmt"
	"strings"
	"time"
)

// OK tells whether everything works: sensors answer, upstreams are connected, the store takes writes, and the
// configuration that holds is the one of the file.
func (s *Snapshot) OK() bool {
	for i := range s.Sensors {
		if s.Sensors[i].State == "failing" {
			return false
		}
	}
	for i := range s.Bridges {
		if !s.Bridges[i].up() {
			return false
		}
	}
	for i := range s.Listeners {
		if e := s.Listeners[i].Expires; s.Clock.Trusted && !e.IsZero() && s.Taken.After(e) {
			return false
		}
		if s.Listeners[i].Err != "" {
			return false
		}
	}
	return s.Store.Err == "" && !s.Store.Full && s.Config.Refused == ""
}

func (b *Bridge) up() bool { return b.State == "connected" || b.State == "draining" }

// Verdict says in one line how the gateway is: sensors, upstreams, store. It is what systemctl status shows.
func (s *Snapshot) Verdict() string {
	parts := []string{s.sensorsVerdict()}
	for i := range s.Bridges {
		parts = append(parts, s.Bridges[i].verdict(s.Taken))
	}
	if s.Config.Refused != "" {
		first, _, more := strings.Cut(s.Config.Refused, "\n")
		if more {
			first += " (and more)"
		}
		parts = append(parts, "The configuration was refused, the one before holds: "+first+".")
	}
	if len(s.Config.Restart) > 0 {
		parts = append(parts, "Waiting for a restart: "+strings.Join(s.Config.Restart, ", ")+".")
	}
	if s.Store.Err != "" {
		parts = append(parts, "The store takes no writes: "+s.Store.Err+".")
	}
	if s.Store.Full && s.Store.Err == "" {
		parts = append(parts, "The disk is full: the store makes do with the room it has.")
	}
	for i := range s.Listeners {
		if err := s.Listeners[i].Err; err != "" {
			parts = append(parts, "Listener "+s.Listeners[i].Name+" cannot be opened: "+err+".")
		}
		for _, w := range s.Listeners[i].Warnings {
			parts = append(parts, "Listener "+s.Listeners[i].Name+": "+w+".")
		}
	}
	if n := s.Broker.NotKept; n > 0 {
		parts = append(parts, fmt.Sprintf("%d times something of a local session could not be stored: it lives in memory.", n))
	}
	if s.Store.FlashHeld {
		parts = append(parts, "The flash budget of this hour is used up: publishers wait longer.")
	}
	if s.Store.Damage != "" {
		parts = append(parts, "At start: "+s.Store.Damage+".")
	}
	if !s.Clock.Trusted {
		parts = append(parts, "The clock is not set yet.")
	}
	return strings.Join(parts, " ")
}

func (s *Snapshot) sensorsVerdict() string {
	var failing []string
	opening := 0
	for i := range s.Sensors {
		switch s.Sensors[i].State {
		case "failing":
			failing = append(failing, s.Sensors[i].Name)
		case "opening":
			opening++
		}
	}
	switch n := len(s.Sensors); {
	case n == 0:
		return "No sensors."
	case len(failing) > 0:
		return fmt.Sprintf("%d of %d sensors failing: %s.", len(failing), n, strings.Join(failing, ", "))
	case opening > 0:
		return fmt.Sprintf("%d of %d sensors not read yet.", opening, n)
	case n == 1:
		return "The sensor answers."
	default:
		return fmt.Sprintf("All %d sensors answer.", n)
	}
}

func (b *Bridge) verdict(now time.Time) string {
	waiting := "nothing waiting"
	if b.Backlog > 0 {
		waiting = fmt.Sprintf("%d messages waiting", b.Backlog)
	}
	text := fmt.Sprintf("%s: %s, %s.", b.Name, b.State, waiting)
	if !b.up() && !b.Since.IsZero() {
		text = fmt.Sprintf("%s: %s for %s, %s.", b.Name, b.State, now.Sub(b.Since).Round(time.Second), waiting)
		if b.Err != "" {
			text += " " + capital(b.Err) + "."
		}
	}
	if n := b.Aside + b.Dead; n > 0 {
		text += fmt.Sprintf(" %d refused by it and kept.", n)
	}
	if b.DeadLost > 0 {
		text += fmt.Sprintf(" %d refused by it and dropped, as the dead letters were full.", b.DeadLost)
	}
	if b.Repeats > 0 {
		text += fmt.Sprintf(" %d may have arrived twice.", b.Repeats)
	}
	if b.Dropped > 0 {
		text += fmt.Sprintf(" %d dropped: no room, too many, or too old.", b.Dropped)
	}
	return text
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
