package mosquitto

import "strings"

// account names the lines that are not named yet: they say nothing that does not hold by itself.
func (c *converter) account(p *page, lines []line) {
	var q page
	for _, n := range append(c.left[:len(c.left):len(c.left)], c.needless...) {
		q.line(n.line.place())
	}
	text := p.b.String() + q.b.String()
	for _, l := range lines {
		if !names(text, l.place()) {
			c.needless = append(c.needless, note{l, "nothing of its own to carry: it is so without it, a later line says it anew, or it belongs to what is not carried"})
		}
	}
}

// names tells whether a text names a place, and not only one whose number begins like it.
func names(text, place string) bool {
	for {
		_, rest, found := strings.Cut(text, place)
		if !found || rest == "" || rest[0] < '0' || rest[0] > '9' {
			return found
		}
		text = rest
	}
}

// rest writes what was not carried.
func (c *converter) rest(p *page) {
	write := func(head string, notes []note) {
		if len(notes) == 0 {
			return
		}
		p.line("")
		p.comment("%s", head)
		for _, n := range notes {
			p.comment("  %s: %s", n.line.place(), n.line.text())
			p.comment("      %s", n.reason)
		}
	}
	write("Not carried:", c.left)
	write("Not needed:", c.needless)
	if len(c.dangers) > 0 {
		p.line("")
		p.comment("DANGER: more is possible than it was:")
		for _, d := range c.dangers {
			p.comment("  %s", d)
		}
	}
}
