package bridge

import (
	"errors"
	"strings"
	"testing"

	"weir/broker/packet"
	"weir/broker/topic"
)

var remaps = []struct{ name, strip, prefix, want string }{
	{"/Home/x", "", "sites/7", "sites/7/Home/x"},
	{"Home/x", "", "sites/7", "sites/7/Home/x"},
	{"Home/x", "", "sites/7/", "sites/7/Home/x"},
	{"/Home/x", "", "/", "/Home/x"},
	{"Home/x", "", "/", "/Home/x"},
	{"/Home/x", "", "", "/Home/x"},
	{"//x", "", "p", "p//x"},
	{"/", "", "p", "p/"},
	{"x", "", "p", "p/x"},
	{"a/b/c", "a", "z", "z/b/c"},
	{"a/b/c", "a/", "z", "z/b/c"},
	{"a/b/c", "a/b", "", "c"},
	{"a/b/c", "b", "", "a/b/c"},
	{"a", "a", "z", "z"},
	{"a", "a", "", ""}, // nothing is left: refused
	{"ab/c", "a", "z", "z/ab/c"},
	{"/a", "/", "", "a"},
	{"a/b", "/", "", "a/b"},
	{"a//b", "a", "", "/b"},
	{"a//b", "a", "z", "z/b"},
	{"a/", "a", "", ""},
	{"a/", "a", "z", "z/"},
	{"sites/7/command/x", "sites/7", "", "command/x"},
	{"/Home/x", "/Home", "z", "z/x"},
	{"/Home/x", "Home", "z", "z/Home/x"},
}

func TestRemap(t *testing.T) {
	for _, test := range remaps {
		rule := Rule{Strip: test.strip, Prefix: test.prefix}
		got, err := rule.Remap([]byte("kept"), []byte(test.name))
		if test.want == "" {
			var e *packet.Error
			if !errors.As(err, &e) || e.Reason != packet.TopicNameInvalid || string(got) != "kept" {
				t.Errorf("%+v: %q, %v, want TopicNameInvalid", test, got, err)
			}
			continue
		}
		if err != nil || string(got) != "kept"+test.want {
			t.Errorf("%+v: %q, %v", test, got, err)
		}
		back := ReceiveRule{Strip: test.strip, Prefix: test.prefix}
		if also, _ := back.Remap(nil, []byte(test.name)); string(also) != test.want {
			t.Errorf("receive rule %+v: %q", test, also)
		}
	}
}

func TestRemapTooLong(t *testing.T) {
	rule := Rule{Prefix: strings.Repeat("p", 65530)}
	if _, err := rule.Remap(nil, []byte("123456")); err == nil {
		t.Error("a topic of more than 65535 bytes was taken")
	}
}

func TestRuleTakes(t *testing.T) {
	rule := Rule{Filter: filter(t, "/Home/#"), Exclude: []topic.Filter{filter(t, "/Home/+/secret")}}
	for name, want := range map[string]bool{"/Home/x": true, "/Home/x/secret": false, "/Home/x/y/secret": true, "Home/x": false} {
		if rule.Takes([]byte(name)) != want {
			t.Errorf("%s: %v, want %v", name, !want, want)
		}
	}
}

// Any name and any rule give a valid topic or an error, never a panic; the levels that were not stripped are all there,
// in order; and remap is what a naive version over lists of levels makes of it.
func FuzzRemap(f *testing.F) {
	for _, s := range remaps {
		f.Add(s.name, s.strip, s.prefix)
	}
	f.Fuzz(func(t *testing.T, name, strip, prefix string) {
		got, err := remap(nil, []byte(name), strip, prefix)
		want, ok := naiveRemap(name, strip, prefix)
		if valid := ok && topic.ValidName([]byte(want)) == nil; valid != (err == nil) {
			t.Fatalf("name %q, strip %q, prefix %q: error %v, naive %q", name, strip, prefix, err, want)
		}
		if err == nil && string(got) != want {
			t.Fatalf("name %q, strip %q, prefix %q: %q, naive %q", name, strip, prefix, got, want)
		}
	})
}

func naiveRemap(name, strip, prefix string) (string, bool) {
	levels := strings.Split(name, "/")
	if strip != "" {
		gone := strings.Split(strings.TrimSuffix(strip, "/"), "/")
		if len(gone) <= len(levels) && strings.Join(levels[:len(gone)], "/") == strings.Join(gone, "/") {
			levels = levels[len(gone):]
		}
	}
	if prefix != "" {
		if len(levels) > 1 && levels[0] == "" {
			levels = levels[1:]
		}
		levels = append(strings.Split(strings.TrimSuffix(prefix, "/"), "/"), levels...)
	}
	return strings.Join(levels, "/"), len(levels) > 0
}
