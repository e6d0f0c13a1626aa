package auth

import (
	"os"
	"strings"
	"testing"

	"weir/broker/topic"
)

func aclOf(t testing.TB, text string) *ACL {
	t.Helper()
	acl, err := parseACL("acl", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return acl
}

// TestDocumentedACL reads the example of doc.go, line ends of other systems included.
func TestDocumentedACL(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "//\t# a comment\n")
	rest, _, _ = strings.Cut(rest, "\n//\n")
	var text strings.Builder
	for line := range strings.Lines(rest) {
		line = strings.TrimPrefix(line, "//\t")
		for _, note := range []string{"topics before", "read and write", "with a word", "everyone;"} {
			line, _, _ = strings.Cut(line, "  "+note)
		}
		text.WriteString(strings.TrimRight(line, " \n") + " \r\n")
	}
	acl := aclOf(t, text.String())
	for _, c := range []struct {
		user, client, topic string
		write, read         Verdict
	}{
		{"", "c", "$SYS/broker/uptime", Silent, Granted},
		{"pump7", "c", "$SYS/broker/uptime", Silent, Silent},
		{"pump7", "c", "plant/pump7/x", Granted, Granted},
		{"pump7", "c", "plant/pump7/secret", Denied, Denied},
		{"pump7", "c", "plant/pump7 cmd/x", Silent, Granted},
		{"pump7", "c", "devices/pump7/c/x", Granted, Silent},
	} {
		a := acl.For(c.user, c.client)
		if w, r := a.Publish([]byte(c.topic)), a.Receive([]byte(c.topic)); w != c.write || r != c.read {
			t.Errorf("%q %q: write %d, read %d, want %d, %d", c.user, c.topic, w, r, c.write, c.read)
		}
	}
}

// TestReceivesAll: never yes for a filter with a topic that may not be had.
func TestReceivesAll(t *testing.T) {
	acl := aclOf(t, `user u
topic read a/#
topic write w/#
topic deny a/secret
pattern read b/%u/#
pattern read a/secret/+
pattern deny b/+/x
user free
topic #
`)
	for _, c := range []struct {
		user, filter string
		all, may     bool // may: something of it may be denied
	}{
		{"u", "a/b", true, false}, {"u", "a/b/#", true, false}, {"u", "a/#", false, true}, {"u", "a/+", false, true}, {"u", "a/secret", false, true},
		{"u", "w/x", false, false}, {"u", "b/u/y", true, false}, {"u", "b/u/#", false, true}, {"u", "#", false, true}, {"u", "$share/g/a/b", true, false},
		{"free", "#", true, true}, {"free", "$SYS/#", false, false}, {"nobody", "b/nobody/z", true, false}, {"nobody", "b/u/z", false, false},
	} {
		f, err := topic.ParseFilter(c.filter)
		if err != nil {
			t.Fatal(err)
		}
		a := acl.For(c.user, "client")
		if a.ReceivesAll(f) != c.all || a.MayDeny(f) != c.may {
			t.Errorf("%s %s: all %v, may deny %v, want %v, %v", c.user, c.filter, a.ReceivesAll(f), a.MayDeny(f), c.all, c.may)
		}
	}
}

func TestBadACLLines(t *testing.T) {
	for line, want := range map[string]string{
		"topic":                    "topic without a filter",
		"pattern ":                 "pattern without a filter",
		"user":                     "user without a name",
		"topics a":                 `begins with "topics"`,
		"topic\ta":                 `begins with "topic`,
		"topic reed a":             `access "reed"`,
		"topic a/#/b":              "# before its last level",
		"topic read a#":            "# beside other characters",
		"topic $share/g/a":         "without $share",
		"topic read \xff":          "not UTF-8",
		" # not at its head":       `begins with "#"`,
		strings.Repeat("x", 70000): "limit",
	} {
		_, err := parseACL("acl", []byte("topic a\n"+line+"\n"))
		if err == nil || !strings.HasPrefix(err.Error(), "acl:2: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: error %v, want %q at line 2", line, err, want)
		}
	}
	_, err := parseACL("acl", []byte(strings.Repeat("wrong\n", 100)))
	if n := strings.Count(err.Error(), "\n") + 1; n != maxErrors {
		t.Errorf("%d errors, want %d", n, maxErrors)
	}
}

// TestACLFile: who may change it matters, who may read it does not.
func TestACLFile(t *testing.T) {
	path := writeFile(t, "topic a\n")
	for mode, want := range map[os.FileMode]string{0o644: "", 0o600: "", 0o664: "its group change", 0o666: "everyone change"} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		acl, w, err := LoadACL(path)
		if err != nil || acl.For("", "c").Publish([]byte("a")) != Granted {
			t.Fatalf("not read: %v", err)
		}
		if w.Doubtful() != (want != "") || !strings.Contains(w.String(), want) {
			t.Errorf("mode %o: warning %q, want %q in it", mode, w, want)
		}
	}
	if _, _, err := LoadACL(path + "x"); !os.IsNotExist(err) {
		t.Errorf("error %v, want not exist", err)
	}
}

// FuzzACL: nothing panics, and whatever a client is called, patterns that grant give it no more than they would with + in
// place of the names.
func FuzzACL(f *testing.F) {
	for _, user := range []string{"pump7", "#", "+", "a/b", "$SYS", "", "%c", "\x00"} {
		f.Add("user u\ntopic a\npattern read d/%u/#\npattern deny x/%c\npattern %u", user, "c", "d/pump7/x")
	}
	f.Fuzz(func(t *testing.T, text, user, client, name string) {
		acl, err := parseACL("acl", []byte(text))
		if err != nil || topic.ValidName([]byte(name)) != nil || name[0] == '$' {
			return
		}
		a := acl.For(user, client)
		got := a.Publish([]byte(name)) == Granted || a.Receive([]byte(name)) == Granted
		wide := &Access{own: acl.users[user]}
		for _, p := range acl.patterns {
			levels := strings.Split(p.text, "/")
			for i := range levels {
				if strings.Contains(levels[i], "%u") || strings.Contains(levels[i], "%c") {
					levels[i] = "+"
				}
			}
			if f, err := topic.ParseFilter(strings.Join(levels, "/")); err == nil && p.right != deny {
				wide.patterns.add(f, p.right)
			}
		}
		if most := wide.Publish([]byte(name)) == Granted || wide.Receive([]byte(name)) == Granted; got && !most {
			t.Fatalf("user %q, client %q: %q is granted by %q", user, client, name, text)
		}
	})
}
