package auth

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// passwordsOf are those that mosquitto_passwd 2.0.11 was given for testdata/mosquitto.passwd:
//
//	mosquitto_passwd -b FILE plain7 'secret 7'; mosquitto_passwd -b -H sha512 FILE old6 'pörtal 6'
//	mosquitto_passwd -b -I 5000 FILE many7 x; and so on
var passwordsOf = map[string]string{
	"plain7": "secret 7", "old6": "pörtal 6", "many7": "x", "with space": "käse & brot", "many101": strings.Repeat("a", 200),
}

// mosquittoLine is what stands behind the name of a user in that file.
func mosquittoLine(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/mosquitto.passwd")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if user, rest, _ := strings.Cut(strings.TrimSpace(line), ":"); user == name {
			return rest
		}
	}
	t.Fatalf("no user %s", name)
	return ""
}

// TestMosquittoFile reads a file as mosquitto_passwd wrote it.
func TestMosquittoFile(t *testing.T) {
	p := NewPasswords()
	if _, err := p.Load("testdata/mosquitto.passwd"); err != nil {
		t.Fatal(err)
	}
	if p.Len() != len(passwordsOf) {
		t.Errorf("%d users, want %d", p.Len(), len(passwordsOf))
	}
	for name, password := range passwordsOf {
		for range 2 { // the second time from memory
			if !verify(t, p, name, password) || verify(t, p, name, password+"x") || verify(t, p, name, "") {
				t.Errorf("%s: the hash does not tell its password from others", name)
			}
		}
		line := mosquittoLine(t, name)
		if h, err := parseHash(line); err != nil || h.String() != line {
			t.Errorf("%s became %s, %v", line, h, err)
		}
	}
	if h, err := parseHash(mosquittoLine(t, "many7")); err != nil || h.passes != 5000 || h.kind != pbkdf2sha512 {
		t.Errorf("%+v, %v, want 5000 iterations", h.cost, err)
	}
}

// TestDocumentedMosquittoLines reads the examples of doc.go as a file.
func TestDocumentedMosquittoLines(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"plain7", "old6"} {
		_, line, _ := strings.Cut(string(doc), "//\t"+name+":")
		line, _, _ = strings.Cut(line, "\n")
		if p := load(t, name+":"+line); !verify(t, p, name, passwordsOf[name]) {
			t.Errorf("the example %q does not hold the password of %s", line, name)
		}
	}
}

// TestWeirChangesMosquittoFile: weir passwd sets one user anew and leaves the others.
func TestWeirChangesMosquittoFile(t *testing.T) {
	data, err := os.ReadFile("testdata/mosquitto.passwd")
	if err != nil {
		t.Fatal(err)
	}
	path := writeFile(t, string(data))
	if _, err := Set(path, "old6", []byte("new")); err != nil {
		t.Fatal(err)
	}
	p := NewPasswords()
	if _, err := p.Load(path); err != nil {
		t.Fatal(err)
	}
	if !verify(t, p, "old6", "new") || verify(t, p, "old6", passwordsOf["old6"]) || !verify(t, p, "plain7", passwordsOf["plain7"]) {
		t.Error("the passwords are not the new one and the old ones")
	}
}

// TestMosquittoPasswd reads what the mosquitto_passwd of this machine writes now, if it has one.
func TestMosquittoPasswd(t *testing.T) {
	tool, err := exec.LookPath("mosquitto_passwd")
	if err != nil {
		t.Log("NOT RUN: no mosquitto_passwd here")
		return
	}
	path := filepath.Join(t.TempDir(), "passwd")
	for i, args := range [][]string{{"-c", "-b", path, "a", "one"}, {"-b", path, "b", "zwei ü"}} {
		if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
			t.Fatalf("%d: %v: %s", i, err, out)
		}
	}
	p := NewPasswords()
	if _, err := p.Load(path); err != nil {
		t.Fatal(err)
	}
	if !verify(t, p, "a", "one") || !verify(t, p, "b", "zwei ü") || verify(t, p, "a", "zwei ü") {
		t.Error("the passwords do not fit")
	}
	if names, err := List(path); err != nil || !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("got %q, %v", names, err)
	}
}
