package identity

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// machine makes the files of a machine below a fresh root.
func machine(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, text := range files {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func pi(t testing.TB, serial string) string {
	return machine(t, map[string]string{"proc/device-tree/serial-number": serial + "\x00"})
}

const (
	deviceTree = "proc/device-tree/serial-number"
	cpuinfo    = "proc/cpuinfo"
	machineid  = "etc/machine-id"
)

func network(name, address, assigned, kind string) map[string]string {
	dir := "sys/class/net/" + name + "/"
	return map[string]string{dir + "address": address + "\n", dir + "addr_assign_type": assigned + "\n", dir + "type": kind + "\n"}
}

func merge(all ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, m := range all {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

func TestFromMachine(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef\n"
	for _, c := range []struct {
		name, source, id string
		files            map[string]string
	}{
		{"a Pi", SourceSerial, "weir-89abcdef", map[string]string{deviceTree: "10000000" + "89abcdef\x00", machineid: id}},
		{"an old Pi", SourceSerial, "weir-7a5c1e02", map[string]string{cpuinfo: "processor\t: 0\nmodel name\t: ARM\n\nSerial\t\t: 000000007a5c1e02\n"}},
		{"another board", SourceSerial, "weir-AB-12-x-", map[string]string{deviceTree: "serial AB/12+x#\n"}},
		{"zeros", SourceMachineID, "weir-0d96becc", map[string]string{deviceTree: "0000000000000000\x00", machineid: id}},
		{"short serial", SourceMachineID, "weir-0d96becc", map[string]string{deviceTree: "1234567", machineid: id}},
		{"a PC", SourceMachineID, "weir-0d96becc", merge(map[string]string{cpuinfo: "processor\t: 0\n", machineid: id}, network("eth0", "b8:27:eb:01:02:03", "0", "1"))},
		{"not yet set up", SourceMAC, "weir-eb010203", merge(map[string]string{machineid: "uninitialized\n"}, network("eth0", "b8:27:eb:01:02:03", "0", "1"))},
		{"first of two", SourceMAC, "weir-eb010203", merge(network("wlan0", "b8:27:eb:aa:aa:aa", "0", "1"), network("eth0", "b8:27:eb:01:02:03", "0", "1"))},
		{"only one is burnt in", SourceMAC, "weir-eb0a0b0c", merge(network("docker0", "02:42:00:00:00:01", "3", "1"), network("lo", "00:00:00:00:00:00", "0", "772"),
			network("eth0", "b8:27:eb:01:02:03", "1", "1"), network("eth1", "ba:27:eb:01:02:03", "0", "1"), network("wlan0", "b8:27:eb:0a:0b:0c", "0", "1"))},
	} {
		if id, source := fromMachine(machine(t, c.files)); id != c.id || source != c.source {
			t.Errorf("%s: got %s from %s, want %s from %s", c.name, id, source, c.id, c.source)
		}
	}
	empty := t.TempDir()
	a, source := fromMachine(empty)
	b, _ := fromMachine(empty)
	if source != SourceRandom || a == b || len(a) != len("weir-89abcdef") {
		t.Errorf("without anything: %s and %s from %s, want two random ones", a, b, source)
	}
}

func load(t *testing.T, root, dir string) Identity {
	t.Helper()
	is, err := Load(root, dir)
	if err != nil {
		t.Fatal(err)
	}
	return is
}

func TestPinned(t *testing.T) {
	root, dir := pi(t, "1000000089abcdef"), t.TempDir()
	first := load(t, root, dir)
	if first.ID != "weir-89abcdef" || !first.New || first.Cloned {
		t.Errorf("first start: %+v", first)
	}
	again := load(t, root, dir)
	if again.ID != first.ID || again.New || again.Cloned {
		t.Errorf("second start: %+v", again)
	}
	other := load(t, pi(t, "1000000011111111"), dir)
	if other.ID != first.ID || !other.Cloned || other.Own != "weir-11111111" {
		t.Errorf("in another board: %+v, want the same id, reported", other)
	}
	none := load(t, t.TempDir(), dir)
	if none.ID != first.ID || !none.Cloned {
		t.Errorf("in a machine without a number: %+v, want the same id, reported", none)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("%d files, want 1", len(entries))
	}
}

// TestPinnedRandom: an id that the machine cannot give again is kept all the same.
func TestPinnedRandom(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	first := load(t, root, dir)
	again := load(t, root, dir)
	if first.Source != SourceRandom || again.ID != first.ID || again.Cloned {
		t.Errorf("got %+v, then %+v", first, again)
	}
	// The same disk in a Pi: nothing says that the id was made elsewhere.
	if moved := load(t, pi(t, "1000000089abcdef"), dir); moved.ID != first.ID || moved.Cloned {
		t.Errorf("in a Pi: %+v", moved)
	}
}

// TestDocumentedFile reads the file drawn in doc.go.
func TestDocumentedFile(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(doc), "//\t"+firstLine+"\n")
	if !found {
		t.Fatal("no example")
	}
	text, _, _ = strings.Cut(text, "//\n")
	text = firstLine + "\n" + strings.ReplaceAll(text, "//\t", "")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, fileName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	is := load(t, pi(t, "1000000089abcdef"), dir)
	if is.ID != "weir-89abcdef" || is.Source != SourceSerial || is.Cloned || is.New || is.Damaged != nil {
		t.Errorf("got %+v", is)
	}
	fresh := t.TempDir()
	load(t, pi(t, "1000000089abcdef"), fresh)
	if got, _ := os.ReadFile(filepath.Join(fresh, fileName)); string(got) != text {
		t.Errorf("written as\n%s\ndoc.go says\n%s", got, text)
	}
}

var badFiles = []struct{ text, want string }{
	{"", "first line"},
	{"\x00\x00\x00\x00", "first line"},
	{"weir-id 0\n", "first line"},
	{"weir-id 1\n", "want 1 to 64 characters"},
	{"weir-id 1\nid a b\nsource mac\n", "want 1 to 64 characters"},
	{"weir-id 1\nid a/b\nsource mac\n", "want 1 to 64 characters"},
	{"weir-id 1\nid " + strings.Repeat("a", 65) + "\nsource mac\n", "want 1 to 64 characters"},
	{"weir-id 1\nid a\n", `source "" is not known`},
	{"weir-id 1\nid a\nid b\nsource mac\n", "line 3"},
	{"weir-id 1\nid a\n\nsource mac\n", "line 3"},
	{"weir-id 1\nid a\nsource mac\ncolour blue\n", "line 4"},
	{"weir-id 1\nid a\nsource mac\nserial 00\n", "want 16 hex digits"},
	{"weir-id 1\nid a\nsource mac\nserial xxxxxxxxxxxxxxxx\n", "want 16 hex digits"},
	{strings.Repeat("x", maxFile+1), "more than 4096 bytes"},
}

func TestDamaged(t *testing.T) {
	root := pi(t, "1000000089abcdef")
	for _, c := range badFiles {
		dir := t.TempDir()
		path := filepath.Join(dir, fileName)
		os.WriteFile(path, []byte(c.text), 0o600)
		is := load(t, root, dir)
		if is.ID != "weir-89abcdef" || !is.New || is.Damaged == nil || !strings.Contains(is.Damaged.Error(), path+": damaged: ") || !strings.Contains(is.Damaged.Error(), c.want) {
			t.Errorf("%.40q: %+v, want %q", c.text, is, c.want)
		}
		if kept, _ := os.ReadFile(path + ".damaged"); string(kept) != c.text {
			t.Errorf("%.40q: the damaged file is %.40q", c.text, kept)
		}
		if is := load(t, root, dir); is.Damaged != nil || is.New {
			t.Errorf("%.40q: the next start: %+v", c.text, is)
		}
	}
}

func TestNewerIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	os.WriteFile(path, []byte("weir-id 2\nname x\n"), 0o600)
	is, err := Load(pi(t, "1000000089abcdef"), dir)
	if !errors.Is(err, ErrNewer) || is.ID != "weir-89abcdef" || is.New {
		t.Errorf("got %+v, %v", is, err)
	}
	if text, _ := os.ReadFile(path); string(text) != "weir-id 2\nname x\n" {
		t.Errorf("the file became %q", text)
	}
}

// TestNotPinned: without a directory to write to there is an id all the same.
func TestNotPinned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "missing")
	is, err := Load(pi(t, "1000000089abcdef"), dir)
	if !errors.Is(err, fs.ErrNotExist) || is.ID != "weir-89abcdef" || is.New {
		t.Errorf("got %+v, %v", is, err)
	}
	dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, fileName), 0o700); err != nil {
		t.Fatal(err)
	}
	if is, err := Load(pi(t, "1000000089abcdef"), dir); err == nil || is.ID != "weir-89abcdef" {
		t.Errorf("a directory in its place: %+v, %v", is, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range badFiles {
		f.Add(c.text)
	}
	f.Add(record{"weir-1", SourceMAC, ""}.String())
	f.Add(record{"weir-1", SourceSerial, "0011223344556677"}.String())
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parse(text)
		if err != nil {
			return
		}
		again, err := parse(r.String())
		if err != nil || again != r {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
	})
}
