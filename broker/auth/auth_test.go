package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// quick makes hashes that take microseconds.
var quick = cost{kind: argon2id, memory: 8, passes: 1, lanes: 1}

func quickLine(name, password string) string {
	return name + ":" + newHashOf([]byte(password), quick).String() + "\n"
}

func writeFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "passwords")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t testing.TB, text string) *Passwords {
	t.Helper()
	p := NewPasswords()
	if _, err := p.Load(writeFile(t, text)); err != nil {
		t.Fatal(err)
	}
	return p
}

func verify(t testing.TB, p *Passwords, name, password string) bool {
	t.Helper()
	ok, err := p.Verify(t.Context(), name, []byte(password))
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// vectors were made by the argon2 command of the reference implementation:
//
//	printf %s password | argon2 somesalt -id -t 1 -k 8 -p 1 -l 32 -e
var vectors = []struct{ password, hash string }{
	{"password", "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$8Tf44YakA6Z5zNBgblq13Nr+Q8FkCFWsjG4z6b1j7rM"},
	{"pörtal 7", "$argon2id$v=19$m=7168,t=5,p=1$MDEyMzQ1Njc4OWFiY2RlZg$5BmQI5Nsw/eWxiPNz070eOibJS9wvNhVGFR+G5Zy5Xs"},
	{"x", "$argon2id$v=19$m=64,t=3,p=4$c29tZXNhbHQ$P9jMJyDdP1WiGFzuOqayPA"},
}

func TestHashesOfOthers(t *testing.T) {
	for _, v := range vectors {
		p := load(t, "u:"+v.hash+"\n")
		if !verify(t, p, "u", v.password) || verify(t, p, "u", v.password+"x") {
			t.Errorf("%s does not tell %q from another password", v.hash, v.password)
		}
		h, err := parseHash(v.hash)
		if err != nil || h.String() != v.hash {
			t.Errorf("%s became %s, error %v", v.hash, h, err)
		}
	}
}

// TestDocumentedLine reads the example of doc.go as a file.
func TestDocumentedLine(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, line, found := strings.Cut(string(doc), "//\tpump7:")
	line, _, _ = strings.Cut(line, "\n")
	if p := load(t, "pump7:"+line); !found || !verify(t, p, "pump7", "pörtal 7") {
		t.Errorf("the example %q does not hold the password it says", line)
	}
}

func TestVerify(t *testing.T) {
	p := NewPasswords()
	if verify(t, p, "", "") {
		t.Error("a set without users let somebody in")
	}
	p = load(t, "# people\n\n"+quickLine("pump7", "pörtal")+strings.TrimSuffix(quickLine("a b", "\x00"), "\n")+"\r")
	if p.Len() != 2 {
		t.Errorf("%d users, want 2", p.Len())
	}
	for range 2 { // the second time from memory
		for _, c := range []struct {
			name, password string
			want           bool
		}{
			{"pump7", "pörtal", true},
			{"pump7", "portal", false},
			{"pump7", "", false},
			{"a b", "\x00", true},
			{"a b", "", false},
			{"a b", "pörtal", false},
			{"nobody", "pörtal", false},
			{"", "", false},
		} {
			if got := verify(t, p, c.name, c.password); got != c.want {
				t.Errorf("%q with %q: %v, want %v", c.name, c.password, got, c.want)
			}
		}
	}
}

// TestRemembered holds the place in which hashes are computed: who gets in
// meanwhile is remembered, everybody else has to wait.
func TestRemembered(t *testing.T) {
	p := load(t, quickLine("u", "secret"))
	if !verify(t, p, "u", "secret") {
		t.Fatal("refused")
	}
	p.working <- struct{}{}
	if !verify(t, p, "u", "secret") {
		t.Error("a remembered login was refused")
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for _, name := range []string{"u", "nobody"} {
		if ok, err := p.Verify(ended, name, []byte("wrong")); ok || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, %v, want to wait until the context ends", name, ok, err)
		}
	}
	if _, err := p.Load(writeFile(t, quickLine("u", "secret"))); err != nil {
		t.Fatal(err)
	}
	if ok, err := p.Verify(ended, "u", []byte("secret")); ok || err == nil {
		t.Error("a login was remembered over Load")
	}
	<-p.working
	if !verify(t, p, "u", "secret") {
		t.Fatal("refused")
	}
	for range 100 { // though nobody else computes now
		if ok, err := p.Verify(ended, "u", []byte("secret")); !ok || err != nil {
			t.Fatalf("a remembered login: %v, %v", ok, err)
		}
		if ok, err := p.Verify(ended, "u", []byte("wrong")); ok || !errors.Is(err, context.Canceled) {
			t.Fatalf("%v, %v: a hash was computed though the context has ended", ok, err)
		}
	}
}

// TestOneAtATime proves that no two hashes are computed at once, and that those
// who wait for the same answer get it from the first.
func TestOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPasswords()
		p.table.Store(newTable([]user{{name: "u", hash: newHashOf([]byte("secret"), quick)}}, nil))
		p.working <- struct{}{}
		var in sync.WaitGroup
		for range 10 {
			in.Go(func() {
				if ok, err := p.Verify(context.Background(), "u", []byte("secret")); !ok || err != nil {
					t.Errorf("got %v, %v", ok, err)
				}
			})
		}
		synctest.Wait() // all are waiting: none computes
		if len(p.table.Load().succeeded) != 0 {
			t.Error("a hash was computed beside another")
		}
		<-p.working
		in.Wait()
	})
}

// TestUnknownCostsTheSame: over many names that do not exist, each kind of hash is computed as often as users have it, and
// for one name always the same.
func TestUnknownCostsTheSame(t *testing.T) {
	own := newHashOf([]byte("secret"), cost{memory: 64, passes: 3, lanes: 2})
	p := load(t, "u:"+own.String()+"\nv:"+own.String()+"\nw:"+mosquittoLine(t, "plain7")+"\nx:"+mosquittoLine(t, "old6")+"\n")
	table := p.table.Load()
	times := map[cost]int{}
	const names = 4000
	for i := range names {
		name := fmt.Sprint("nobody", i)
		h := p.forUnknown(table, name)
		if h.cost != p.forUnknown(table, name).cost {
			t.Fatalf("%s costs another time each time", name)
		}
		times[h.cost]++
	}
	for _, u := range []string{"u", "w", "x"} {
		want := names / 4
		if u == "u" {
			want = names / 2
		}
		if got := times[table.users[u].cost]; got < want*8/10 || got > want*12/10 {
			t.Errorf("the cost of %s was chosen %d times for %d names, want about %d", u, got, names, want)
		}
	}
	if h := p.forUnknown(newTable(nil, nil), "nobody"); h.cost != standard {
		t.Errorf("without users a login costs %+v, want %+v", h.cost, standard)
	}
}

func TestLoadKeepsUsersOnError(t *testing.T) {
	path := writeFile(t, quickLine("u", "secret"))
	p := NewPasswords()
	if _, err := p.Load(path); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(path, []byte("broken\n"), 0o600)
	if _, err := p.Load(path); err == nil || !strings.HasPrefix(err.Error(), path+":1: ") {
		t.Errorf("error %v, want one at %s:1", err, path)
	}
	if _, err := p.Load(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want not exist", err)
	}
	if _, err := p.Load(filepath.Dir(path)); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a directory: error %v", err)
	}
	if !verify(t, p, "u", "secret") {
		t.Error("the users are gone after a failed Load")
	}
}

func TestWarning(t *testing.T) {
	path := writeFile(t, quickLine("u", "secret"))
	for mode, want := range map[fs.FileMode]string{0o600: "", 0o400: "", 0o640: "its group", 0o644: "everyone", 0o602: "everyone"} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		w, err := NewPasswords().Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if w.Doubtful() != (want != "") || !strings.Contains(w.String(), want) || w.Doubtful() && !strings.Contains(w.String(), "chmod 0600 "+path) {
			t.Errorf("mode %o: warning %q, want %q in it", mode, w, want)
		}
	}
}

func TestSetDeleteList(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passwords")
	replaced, err := Set(path, "pump7", []byte("first"))
	if replaced || err != nil {
		t.Fatal(replaced, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v, want 0600", info.Mode(), err)
	}
	p := NewPasswords()
	if _, err := p.Load(path); err != nil || !verify(t, p, "pump7", "first") {
		t.Fatalf("the new user is refused, %v", err)
	}
	if p.table.Load().users["pump7"].cost != standard {
		t.Errorf("cost %+v, want %+v", p.table.Load().users["pump7"].cost, standard)
	}
	text, _ := os.ReadFile(path)
	other := quickLine("other", "x")
	os.WriteFile(path, []byte("# note\n"+other+string(text)+"\nlast:$7$old"), 0o600)
	if replaced, err := Set(path, "pump7", []byte("second")); !replaced || err != nil {
		t.Fatal(replaced, err)
	}
	if replaced, err := Set(path, "last", []byte("third")); !replaced || err != nil {
		t.Fatal(replaced, err)
	}
	names, err := List(path)
	if want := []string{"other", "pump7", "last"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("got %q, %v, want %q", names, err, want)
	}
	if _, err := p.Load(path); err != nil || verify(t, p, "pump7", "first") || !verify(t, p, "pump7", "second") || !verify(t, p, "last", "third") {
		t.Errorf("the passwords are not the new ones, %v", err)
	}
	if deleted, err := Delete(path, "pump7"); !deleted || err != nil {
		t.Fatal(deleted, err)
	}
	if deleted, err := Delete(path, "pump7"); deleted || err != nil {
		t.Fatal(deleted, err)
	}
	text, _ = os.ReadFile(path)
	if !strings.HasPrefix(string(text), "# note\n"+other+"\nlast:$argon2id$") {
		t.Errorf("other lines changed:\n%s", text)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("%d files are left, want 1", len(entries))
	}
}

func TestSetRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passwords")
	for _, c := range []struct{ name, password, want string }{
		{"", "x", "without a name"},
		{"a:b", "x", "no colon"},
		{"#a", "x", "no #"},
		{"a\nb", "x", "control character"},
		{"a\xff", "x", "not UTF-8"},
		{strings.Repeat("a", 256), "x", "limit 255"},
		{" a", "", "password is empty"},
		{"a", strings.Repeat("x", 65536), "limit 65535"},
	} {
		if _, err := Set(path, c.name, []byte(c.password)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.20q: error %v, want %q in it", c.name, err, c.want)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a refused user made a file")
	}
	if _, err := Delete(path, "a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Delete without a file: %v", err)
	}
	if _, err := List(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("List without a file: %v", err)
	}
	if _, err := Set(filepath.Join(path, "x"), "a", []byte("x")); err == nil {
		t.Error("Set without a directory: no error")
	}
}

func TestSetKeepsLinkAndGroup(t *testing.T) {
	path := writeFile(t, quickLine("a", "x"))
	link := filepath.Join(filepath.Dir(path), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	os.Chmod(path, 0o644)
	if _, err := Set(link, "b", []byte("y")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link became %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v, want 0640", info.Mode(), err)
	}
	if names, err := List(path); err != nil || !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("got %q, %v", names, err)
	}
}

var badLines = []struct{ line, want string }{
	{"u", "no colon"},
	{":x", "without a name"},
	{"u:", "no hash"},
	{"u:secret", "a plain password?"},
	{"u:$7$101$c2FsdHNhbHQ=$aGFzaA==", "a hash of 4 bytes, want 64"},
	{"u:$6$c2FsdHNhbHQ=$aGFzaA==", "a hash of 4 bytes, want 64"},
	{"u:$6$c2FsdA==$aGFzaA==", "a salt of 4 bytes, want 8 to 64"},
	{"u:$6$c2FsdHNhbHQ$aGFzaA==", "not base64"},
	{"u:$6$c2FsdHNhbHQ=", "cut short"},
	{"u:$6$" + strings.Repeat("c2Fsd", 20) + "$aGFzaA==", "more than 64 bytes"},
	{"u:$7$c2FsdHNhbHQ=$aGFzaA==", "without its iterations"},
	{"u:$7$0101$c2FsdHNhbHQ=$aGFzaA==", "without its iterations"},
	{"u:$7$0$c2FsdHNhbHQ=$aGFzaA==", "0 iterations, want 1 to 500000"},
	{"u:$7$500001$c2FsdHNhbHQ=$aGFzaA==", "500001 iterations"},
	{"u:$7$99999999999999999999$c2FsdHNhbHQ=$aGFzaA==", "without its iterations"},
	{"u:$7$101$c2FsdHNhbHQ=$aGFzaA==$x", "goes on"},
	{"u:$2b$12$abc", "unknown kind"},
	{"u:$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAA", "unknown kind"},
	{"u:$argon2id$", "parts"},
	{"u:$argon2id$v=16$m=8,t=1,p=1$c29tZXNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg", "other than v=19"},
	{"u:$argon2id$v=19$m=8,t=1$c29tZXNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg", "want m, t and p"},
	{"u:$argon2id$v=19$t=1,m=8,p=1$c29tZXNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg", "m=NUMBER"},
	{"u:$argon2id$v=19$m=08,t=1,p=1$c29tZXNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg", "m=NUMBER"},
	{"u:$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg", "want 8 to 65536"},
	{"u:$argon2id$v=19$m=8,t=4000,p=1$c29tZXNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg", "want 1 to 16"},
	{"u:$argon2id$v=19$m=8,t=0,p=1$c29tZXNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg", "want 1 to 16"},
	{"u:$argon2id$v=19$m=8,t=1,p=255$c29tZXNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg", "want 1 to 4"},
	{"u:$argon2id$v=19$m=8,t=1,p=2$c29tZXNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg", "8 KiB per lane"},
	{"u:$argon2id$v=19$m=8,t=1,p=1$c2FsdA$MDEyMzQ1Njc4OWFiY2RlZg", "a salt of 4 bytes"},
	{"u:$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAA", "a hash of 3 bytes"},
	{"u:$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ=$MDEyMzQ1Njc4OWFiY2RlZg", "not base64"},
	{"u:$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$MDEyMzQ1Njc4OWFiY2RlZh", "not base64"}, // left-over bits
	{"u:" + strings.Repeat("x", 2000), "limit 1024"},
	{"u\xff:x", "not UTF-8"},
}

func TestBadLines(t *testing.T) {
	for _, c := range badLines {
		_, err := NewPasswords().Load(writeFile(t, "\n# a\n"+c.line))
		if err == nil || !strings.Contains(err.Error(), ":3: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: error %v, want %q in it, at line 3", c.line, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "c29tZXNhbHQ")) {
			t.Errorf("%.60q: the error repeats the secret: %v", c.line, err)
		}
	}
	text := quickLine("u", "a") + "broken\n" + quickLine("u", "b") + quickLine("v", "c")
	path := writeFile(t, text)
	names, err := List(path)
	if err == nil || !slices.Equal(names, []string{"u", "v"}) {
		t.Fatalf("got %q, %v, want the sound users and an error", names, err)
	}
	if want := path + ":2: no colon, want NAME:HASH\n" + path + `:3: user "u" is already on line 1`; err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
	_, err = List(writeFile(t, strings.Repeat("broken\n", 100)))
	if n := strings.Count(err.Error(), "\n") + 1; n != maxErrors {
		t.Errorf("%d errors, want %d", n, maxErrors)
	}
}

func TestLoadTooLarge(t *testing.T) {
	path := writeFile(t, "")
	if err := os.Truncate(path, maxFile+1); err != nil {
		t.Fatal(err)
	}
	if _, err := NewPasswords().Load(path); err == nil || !strings.Contains(err.Error(), "limit 16777216") {
		t.Errorf("error %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range badLines {
		f.Add([]byte(c.line))
	}
	mosquitto, err := os.ReadFile("testdata/mosquitto.passwd")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(mosquitto)
	f.Add([]byte(secretMark + "c2VjcmV0IHNlY3JldCE=\npump7:" + pencil))
	for _, v := range vectors {
		f.Add([]byte("# x\nu:" + v.hash + "\r\n\nv:" + v.hash))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		users, err := parse("file", data)
		if err != nil && !strings.Contains(err.Error(), "file:") {
			t.Fatalf("error without a place: %v", err)
		}
		var again strings.Builder
		for _, u := range users {
			if c := u.hash.cost; c.kind != argon2id {
				length, least := maxHash, uint32(1)
				if c.kind == scramsha256 {
					length, least = sha256.Size, MinIterations
				}
				if c.passes < least || c.passes > maxIterations || len(u.hash.salt) > maxSalt || len(u.hash.sum) != length {
					t.Fatalf("out of bounds: %+v", u)
				}
			} else if c.memory > maxMemory || c.passes > maxPasses || c.lanes > maxLanes || c.passes < 1 ||
				c.memory < 8*uint32(c.lanes) || len(u.hash.salt) > maxSalt || len(u.hash.sum) > maxHash {
				t.Fatalf("out of bounds: %+v", u)
			}
			again.WriteString(u.name + ":" + u.hash.String() + "\n")
		}
		back, err := parse("file", []byte(again.String()))
		if err != nil || len(back) != len(users) {
			t.Fatalf("%d users became %d: %v", len(users), len(back), err)
		}
		for i := range back {
			if back[i].name != users[i].name || back[i].hash.String() != users[i].hash.String() {
				t.Fatalf("%+v became %+v", users[i], back[i])
			}
		}
		out, _ := edit(data, "u", []byte("u:new"))
		if edited, found := edit(out, "u", nil); !found || strings.Contains("\n"+string(edited), "\nu:") && len(edited) < maxLine {
			t.Fatalf("user u is still in %q", edited)
		}
	})
}

func BenchmarkVerifyRemembered(b *testing.B) {
	p := load(b, quickLine("u", "secret"))
	verify(b, p, "u", "secret")
	password := []byte("secret")
	b.ReportAllocs()
	for b.Loop() {
		if ok, _ := p.Verify(b.Context(), "u", password); !ok {
			b.Fatal("refused")
		}
	}
}

// BenchmarkVerifyFirst is the cost of a first login, and of every wrong one.
func BenchmarkVerifyFirst(b *testing.B) {
	h := newHashOf([]byte("secret"), standard)
	b.ReportAllocs()
	for b.Loop() {
		if h.matches([]byte("wrong")) {
			b.Fatal("let in")
		}
	}
}

// TestByteOrderMark: an editor of another system puts one at the head of a file. It is no part of the first user's name, nor of the
// first word of a list, and a file that is written anew is without it.
func TestByteOrderMark(t *testing.T) {
	const mark = "\xEF\xBB\xBF"
	path := writeFile(t, mark+quickLine("first", "secret")+quickLine("second", "secret"))
	p := NewPasswords()
	if _, err := p.Load(path); err != nil {
		t.Fatal(err)
	}
	if !verify(t, p, "first", "secret") || p.Len() != 2 {
		t.Errorf("the first of %d users cannot log in", p.Len())
	}
	if deleted, err := Delete(path, "first"); !deleted || err != nil {
		t.Errorf("the first user was not deleted: %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(data), "second:") {
		t.Errorf("%.10q..., %v", data, err)
	}
	acl, _, err := LoadACL(writeFile(t, mark+"topic read a\n"))
	if err != nil {
		t.Fatal(err)
	}
	if acl.For("", "c").Receive([]byte("a")) != Granted {
		t.Error("the first line of the list is not read")
	}
}
