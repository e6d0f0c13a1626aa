package topic

// Overlaps reports whether there may be a name that both filters take. Of shared filters only the part behind the group
// counts. It is exact for filters as the standard has them; with a # before the last level in one of them it says yes
// unless only one of the two can take names that begin with $.
func (f Filter) Overlaps(g Filter) bool {
	a, b := f.Topic(), g.Topic()
	switch {
	case a == "" || b == "":
		return false
	case a[0] == '$' && startsWild(b), b[0] == '$' && startsWild(a):
		return false // [MQTT-4.7.2-1]
	case f.inner() || g.inner():
		return true
	case a == "/#" && b == "+", a == "+" && b == "/#":
		return false // only the empty name, and none is [MQTT-4.7.3-1]
	}
	apos, bpos := 0, 0
	for apos <= len(a) && bpos <= len(b) {
		var x, y string
		x, apos = nextLevel(a, apos)
		y, bpos = nextLevel(b, bpos)
		switch {
		case x == "#" || y == "#": // takes whatever the other one still wants
			return true
		case x != "+" && y != "+" && x != y:
			return false
		}
	}
	return apos > len(a) && bpos > len(b) || apos <= len(a) && a[apos:] == "#" || bpos <= len(b) && b[bpos:] == "#" // 4.7.1.2
}
