package topic

import (
	"strings"
	"testing"
)

// oracle says whether a filter takes a name, straight from the words of 4.7 and
// independently of the code: levels are lists, a # is tried at every length.
func oracle(filter, name string) bool {
	f, n := strings.Split(filter, "/"), strings.Split(name, "/")
	if strings.HasPrefix(name, "$") && (f[0] == "+" || f[0] == "#") {
		return false
	}
	if inner := strings.Contains(filter+"/", "#/") && !strings.HasSuffix(filter, "#") || strings.Count(filter, "#") > 1; inner && len(n) > MaxLevels {
		return false
	}
	return oracleLevels(f, n)
}

func oracleLevels(f, n []string) bool {
	if len(f) == 0 {
		return len(n) == 0
	}
	if f[0] == "#" {
		for i := 0; i <= len(n); i++ {
			if oracleLevels(f[1:], n[i:]) {
				return true
			}
		}
		return false
	}
	if len(n) == 0 || f[0] != "+" && f[0] != n[0] {
		return false
	}
	return oracleLevels(f[1:], n[1:])
}

func mustParse(t testing.TB, s string) Filter {
	t.Helper()
	f, err := ParseFilter(s, InnerWildcard())
	if err != nil {
		t.Fatalf("ParseFilter(%q): %v", s, err)
	}
	return f
}

// matchCases carry the examples of 4.7.1 to 4.7.3 and the ones of our own.
var matchCases = []struct {
	filter, name string
	want         bool
}{
	{"sport/tennis/player1/#", "sport/tennis/player1", true}, // 4.7.1.2
	{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
	{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
	{"sport/#", "sport", true},
	{"sport/#", "sports", false},
	{"#", "a", true},
	{"#", "/", true},
	{"sport/tennis/+", "sport/tennis/player1", true}, // 4.7.1.3
	{"sport/tennis/+", "sport/tennis/player1/ranking", false},
	{"sport/+", "sport", false},
	{"sport/+", "sport/", true},
	{"+/+", "/finance", true},
	{"/+", "/finance", true},
	{"+", "/finance", false},
	{"+/tennis/#", "x/tennis", true},
	{"#", "$SYS/uptime", false}, // 4.7.2, [MQTT-4.7.2-1]
	{"+/monitor/Clients", "$SYS/monitor/Clients", false},
	{"$SYS/#", "$SYS/", true},
	{"$SYS/#", "$SYS", true},
	{"$SYS/monitor/+", "$SYS/monitor/Clients", true},
	{"a/#", "a/$b", true},
	{"+/$b", "a/$b", true},
	{"ACCOUNTS", "Accounts", false}, // 4.7.3, [MQTT-4.7.3-4]
	{"/finance", "finance", false},
	{"\ufeffa", "a", false}, // v5 [MQTT-1.5.4-3], v3 [MQTT-1.5.3-3]
	{"\ufeffa", "\ufeffa", true},
	{"\u00e9", "e\u0301", false},
	{"$share/consumers/+/b", "a/b", true}, // 4.8.2
	{"$share/consumers/#", "$SYS/a", false},
	{"$share/consumers/$SYS/#", "$SYS/a", true},
	{"$share/consumers//a", "/a", true},
	{"$share", "$share", true},
	{"/Home/#/Temperature", "/Home/Temperature", true},
	{"/Home/#/Temperature", "/Home/Floor1/Room1/Temperature", true},
	{"/Home/#/Temperature", "/Home/Temperature/Temperature", true},
	{"/Home/#/Temperature", "/Home/Floor1/Room1/Humidity", false},
	{"/Home/#/Temperature", "/Home", false},
	{"#/Temperature", "Temperature", true},
	{"#/Temperature", "/Temperature", true},
	{"#/Temperature", "$SYS/Temperature", false},
	{"a/#/b/#", "a/x/b", true},
	{"a/#/b/#", "a/b/b/c", true},
	{"a/#/b/#/c", "a/b/c/b", false},
	{"a/#/b/#/c", "a/b/x/b/c", true},
	{"a/#/+/c", "a/c", false},
	{"a/#/+/c", "a//c", true},
	{"#/a/+/b", "a/a/x/b", true},
}

func TestMatch(t *testing.T) {
	for _, c := range matchCases {
		f := mustParse(t, c.filter)
		if got := f.Match([]byte(c.name)); got != c.want {
			t.Errorf("%q takes %q: %v, want %v", c.filter, c.name, got, c.want)
		}
		if got := oracle(f.Topic(), c.name); got != c.want {
			t.Errorf("oracle: %q takes %q: %v, want %v", c.filter, c.name, got, c.want)
		}
	}
	if (Filter{}).Match([]byte("a")) || mustParse(t, "#").Match(nil) {
		t.Error("the zero filter or the empty name matched")
	}
}

func TestParseFilter(t *testing.T) {
	long := strings.Repeat("a", MaxBytes)
	cases := []struct {
		filter string
		inner  bool
		want   string // part of the error, "" for none
	}{
		{"a", false, ""},
		{"/", false, ""},
		{"+", false, ""},
		{"#", false, ""},
		{"a/+/#", false, ""},
		{"$SYS/#", false, ""},
		{"$share/g/#", false, ""},
		{"$share/g//", false, ""},
		{"$share", false, ""},
		{long, false, ""},
		{strings.Repeat("/", MaxLevels-1), false, ""},
		{"$share/g/" + strings.Repeat("/", MaxLevels-1), false, ""},
		{"a/#/b", true, ""},
		{"#/b/#", true, ""},

		{"", false, "is empty"},               // [MQTT-4.7.3-1]
		{"a\x00b", false, "U+0000"},           // [MQTT-4.7.3-2]
		{"a\xff", false, "not UTF-8"},         // v5 [MQTT-1.5.4-1]
		{"a\xed\xa0\x80", false, "not UTF-8"}, // a surrogate
		{long + "a", false, "limit 65535"},    // [MQTT-4.7.3-3]
		{strings.Repeat("/", MaxLevels), false, "256 levels, limit 255"},
		{"a/#/b", false, "# before its last level"}, // v5 [MQTT-4.7.1-1], 3.1.1 [MQTT-4.7.1-2]
		{"#/", false, "# before its last level"},
		{"a#", false, "# beside other"},
		{"a/b#", false, "# beside other"},
		{"##", false, "# beside other"},
		{"a#/b", true, "# beside other"},
		{"#/#", true, "two # side by side"},
		{"a+", false, "+ beside other"}, // v5 [MQTT-4.7.1-2], 3.1.1 [MQTT-4.7.1-3]
		{"a/++", false, "+ beside other"},
		{"+a/b", false, "+ beside other"},
		{"$share/", false, "no group"}, // [MQTT-4.8.2-1]
		{"$share//a", false, "no group"},
		{"$share/g", false, "no filter"}, // [MQTT-4.8.2-2]
		{"$share/g/", false, "is empty"},
		{"$share/g+/a", false, "wildcard in its group"},
		{"$share/#/a", false, "wildcard in its group"},
		{"$share/+/a", false, "wildcard in its group"},
		{"$share/g/a#", false, "# beside other"},
		{"$share/g\x00/a", false, "U+0000"},
	}
	for _, c := range cases {
		var opts []Option
		if c.inner {
			opts = append(opts, InnerWildcard())
		}
		f, err := ParseFilter(c.filter, opts...)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%.60q: %v", c.filter, err)
		case c.want == "" && f.String() != c.filter:
			t.Errorf("%.60q: String is %.60q", c.filter, f.String())
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%.60q: error %v, want %q in it", c.filter, err, c.want)
		case c.want != "" && f != Filter{}:
			t.Errorf("%.60q: a filter came with the error", c.filter)
		case err != nil && len(err.Error()) > 400:
			t.Errorf("%.60q: the error has %d bytes", c.filter, len(err.Error()))
		}
	}
}

func TestShared(t *testing.T) {
	f := mustParse(t, "$share/group 1/a/+")
	if group, ok := f.Shared(); group != "group 1" || !ok || f.Topic() != "a/+" || !f.Wildcard() {
		t.Errorf("got group %q, %v, topic %q, wildcard %v", group, ok, f.Topic(), f.Wildcard())
	}
	f = mustParse(t, "a/b")
	if group, ok := f.Shared(); group != "" || ok || f.Topic() != "a/b" || f.Wildcard() {
		t.Errorf("got group %q, %v, topic %q, wildcard %v", group, ok, f.Topic(), f.Wildcard())
	}
	if f != mustParse(t, "a/b") || f == mustParse(t, "a/c") {
		t.Error("filters do not compare by their text")
	}
}

func TestValidName(t *testing.T) {
	for _, s := range []string{"a", "/", "a b", "$SYS/x", "\ufeff", strings.Repeat("/", MaxBytes)} {
		if err := ValidName([]byte(s)); err != nil {
			t.Errorf("%.40q: %v", s, err)
		}
	}
	for s, want := range map[string]string{
		"":                              "is empty",           // [MQTT-4.7.3-1]
		"a/+":                           `'+' at byte 2`,      // v5 [MQTT-4.7.0-1]
		"a#":                            `'#' at byte 1`,      // v3 [MQTT-4.7.1-1]
		"a\x00":                         "U+0000 at byte 1",   // [MQTT-4.7.3-2]
		"\xc3":                          "not UTF-8",          // v5 [MQTT-1.5.4-1]
		strings.Repeat("a", MaxBytes+1): "65536 bytes, limit", // [MQTT-4.7.3-3]
	} {
		if err := ValidName([]byte(s)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: error %v, want %q in it", s, err, want)
		}
	}
}

// TestMatchIsNotExponential counts on the deadline of the test run: with
// backtracking into every # the second name would take longer than the universe.
func TestMatchIsNotExponential(t *testing.T) {
	filter := strings.Repeat("#/a/", MaxLevels/2) + "b"
	f := mustParse(t, filter)
	yes := []byte(strings.Repeat("a/", MaxLevels-1) + "b")
	no := []byte(strings.Repeat("a/", MaxLevels-1) + "c")
	deep := []byte(strings.Repeat("a/", MaxLevels) + "b")
	var tree Tree[int]
	tree.Add(f, 1)
	for i := range 100 {
		tree.Add(mustParse(t, strings.Repeat("#/a/", 1+i)+"c/d"), i)
	}
	var names Names[int]
	for _, n := range [][]byte{yes, no, deep} {
		names.Set(string(n), new(int))
	}
	for _, c := range []struct {
		name []byte
		want bool
	}{{yes, true}, {no, false}, {deep, false}} {
		if got := f.Match(c.name); got != c.want {
			t.Errorf("Filter.Match: %v, want %v", got, c.want)
		}
		if got := len(tree.Match(c.name, nil)); got == 1 != c.want {
			t.Errorf("Tree.Match: %d values, want match %v", got, c.want)
		}
	}
	found := 0
	names.Match(f, func(*int) bool {
		found++
		return true
	})
	if found != 1 {
		t.Errorf("Names.Match: %d names, want 1", found)
	}
}

func FuzzFilterMatch(f *testing.F) {
	for _, c := range matchCases {
		f.Add(c.filter, c.name)
	}
	f.Fuzz(func(t *testing.T, filter, name string) {
		if ValidName([]byte(name)) != nil || strings.Count(name, "/") > 12 || strings.Count(filter, "/") > 12 {
			return
		}
		_, strict := ParseFilter(filter)
		parsed, err := ParseFilter(filter, InnerWildcard())
		if err != nil {
			if strict == nil {
				t.Fatalf("%q is a filter only without the option: %v", filter, err)
			}
			return
		}
		if got, want := parsed.Match([]byte(name)), oracle(parsed.Topic(), name); got != want {
			t.Fatalf("%q takes %q: %v, want %v", filter, name, got, want)
		}
		if parsed.String() != filter {
			t.Fatalf("%q became %q", filter, parsed.String())
		}
	})
}
