package topic

import "strings"

// Covers reports whether f takes every name that g takes, levels being as long as they like: whether who may have f may
// have g. Of shared filters (MQTT 5.0, 4.8.2) only the part behind the group counts. The time is at most levels of f
// times levels of g.
//
// It is exact, but for answers on the safe side: the zero Filter neither covers nor is covered; an f with an inner #
// covers, of the filters with wildcards, only itself; a g that begins with # and goes on is judged as if what
// it begins with could be the empty name, or a level with $ at its head.
func (f Filter) Covers(g Filter) bool {
	have, want := f.Topic(), g.Topic()
	switch {
	case have == "" || want == "":
		return false
	case have == want:
		return true
	case !g.Wildcard():
		return f.Match([]byte(want)) // the one name that g takes
	case f.inner():
		return false
	case want[0] == '$' && startsWild(have):
		return false // [MQTT-4.7.2-1]
	}
	switch want { // no name is empty, [MQTT-4.7.3-1]: the same with what a name must have spelt out
	case "#":
		want = "+/#"
	case "/#":
		want = "/+/#"
	}
	c := coverage{have: strings.Split(have, "/")}
	c.at.add(0)
	for pos := 0; pos <= len(want); {
		var level string
		level, pos = nextLevel(want, pos)
		if !c.step(level) {
			return false
		}
	}
	return c.end()
}

// A coverage walks along two filters at once. have has a # at its end only, so a name leads to one place of it; at holds
// the places of all names that the levels of the other filter so far can stand for. It is enough that one of those names
// finds no way on: some rest of the other filter completes it.
type coverage struct {
	have []string
	at   places
}

// step goes one level of the other filter on, and reports whether every name still has a way.
func (c *coverage) step(level string) bool {
	var to places
	for i := range len(c.have) + 1 {
		switch {
		case !c.at.has(i):
		case i == len(c.have):
			return false // nothing may follow
		case c.have[i] == "#": // takes whatever follows: 4.7.1.2
			to.add(i)
		case level == "#": // the later places of at lie on the way from the first
			return c.any(i)
		case c.have[i] == "+" || c.have[i] == level: // 4.7.1.3; a + takes what another + takes, a text does not
			to.add(i + 1)
		default:
			return false
		}
	}
	c.at = to
	return true
}

// any goes on from place i by no level, by one, by two and so on, each of any text: only + can take those, and a # in
// the end.
func (c *coverage) any(i int) bool {
	c.at = places{}
	for ; i < len(c.have); i++ {
		c.at.add(i)
		if c.have[i] == "#" {
			return true
		}
		if c.have[i] != "+" {
			return false
		}
	}
	return false
}

// end reports whether every name that ends here is taken: a # may stand for no level, 4.7.1.2.
func (c *coverage) end() bool {
	for i, have := range c.have {
		if c.at.has(i) && have != "#" {
			return false
		}
	}
	return true
}
