package gateway

import (
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"weir/bridge/client"
	"weir/bridge/upstream"
	"weir/broker/packet"
)

// list is an access control list as people write them for mosquitto, corners included.
const list = `# general
topic read news/#
topic write inbox/anonymous
topic deny news/secret

user root
topic #

user pump7
topic plant/pump7/#
topic deny plant/pump7/hidden
topic read plant/+/state
topic write plant/all/up
topic readwrite two words
topic readwrite  plant/three blank words/#

user strict
topic deny x/#
topic x/y

user late
topic write late/w
user pump7
topic read added/later

pattern write devices/%u/up
pattern read devices/%u/down/#
pattern readwrite clients/%c/#
pattern deny devices/%u/down/hidden
pattern deny plant/pump7/pattern-denied
pattern deny late/w
pattern read both/%u/%c
pattern read for/everyone
pattern read part-%u-of/a-level
pattern deny private/%u/#
pattern readwrite private/#
`

// peerCase is what one client may do with a topic.
type peerCase struct {
	user, client, topic string
	write, read         bool
	ours                string // why weir says no where mosquitto says yes; empty: they say the same
}

var peerCases = []peerCase{
	{"", "c", "news/today", false, true, ""},
	{"", "c", "news", false, true, ""},
	{"", "c", "news/secret", false, false, ""},
	{"", "c", "inbox/anonymous", true, false, ""},
	{"", "c", "plant/pump7/x", false, false, ""},
	{"", "c", "clients/c/x", true, true, ""},
	{"", "c", "clients/d/x", false, false, ""},
	{"", "c", "devices//up", false, false, ""},
	{"", "c", "devices/%u/up", false, false, ""},
	{"", "c", "for/everyone", false, true, ""},
	{"", "c", "private/x", true, true, ""},

	{"pump7", "c", "plant/pump7", true, true, ""},
	{"pump7", "c", "plant/pump7/a/b", true, true, ""},
	{"pump7", "c", "plant/pump7/hidden", false, false, ""},
	{"pump7", "c", "plant/pump8/x", false, false, ""},
	{"pump7", "c", "plant/pump8/state", false, true, ""},
	{"pump7", "c", "plant/all/up", true, false, ""},
	{"pump7", "c", "two words", true, true, ""},
	{"pump7", "c", "plant/three blank words/x", true, true, ""},
	{"pump7", "c", "added/later", false, true, ""},
	{"pump7", "c", "news/today", false, false, ""}, // the general section is for anonymous clients only
	{"pump7", "c", "devices/pump7/up", true, false, ""},
	{"pump7", "c", "devices/pump7/down/x", false, true, ""},
	{"pump7", "c", "devices/pump7/down/hidden", false, false, ""},
	{"pump7", "c", "devices/pump8/up", false, false, ""},
	{"pump7", "c", "plant/pump7/pattern-denied", true, true, ""}, // what a user is granted no pattern denies
	{"pump7", "c", "both/pump7/c", false, true, ""},
	{"pump7", "c", "both/c/pump7", false, false, ""},
	{"pump7", "c", "part-pump7-of/a-level", false, true, ""}, // mosquitto.conf(5) asks for whole levels, mosquitto does not
	{"pump7", "c", "private/pump7/x", false, false, ""},
	{"pump7", "c", "private/pump8/x", true, true, ""},
	{"pump7", "c", "late/w", false, false, ""},
	{"late", "c", "late/w", true, false, ""},
	{"late", "c", "for/everyone", false, true, ""},
	{"strict", "c", "x/y", false, false, ""}, // deny first, wherever it stands
	{"strict", "c", "x", false, false, ""},
	{"unlisted", "c", "devices/unlisted/up", true, false, ""},
	{"unlisted", "c", "plant/pump7", false, false, ""},

	{"pump+", "c", "devices/pump7/up", false, false, ""},
	{"pump+", "c", "for/everyone", false, false, ""}, // no pattern grants anything to such a name
	{"x#", "c", "devices/x/up", false, false, ""},
	{"pump7", "c#", "clients/x/y", false, false, ""},
	{"pump7", "c#", "devices/pump7/up", false, false, ""},
	{"pump7", "c#", "plant/pump7/x", true, true, ""},
	{"pump7", "+", "clients/x/y", false, false, ""},
	{"a/b", "c", "devices/a/b/up", false, false, "a name of two levels is more than one device"},
	{"a/b", "c", "private/a/b/x", false, false, ""}, // but it is denied by it
	{"a/b", "c", "private/a/x", true, true, ""},
	{"pump7", "a/b", "clients/a/b/x", false, false, "a client id of two levels is more than one device"},
}

// TestMosquittoACL holds a listener with an access control list against a table, and Debian's mosquitto with the same
// files against it too.
func TestMosquittoACL(t *testing.T) {
	s := newSite(t, upstream.Options{})
	acl := s.write("acl", list)
	names := map[string]bool{}
	var passwords strings.Builder
	for _, c := range append(peerCases, peerCase{user: "root"}) {
		if c.user != "" && !names[c.user] {
			names[c.user] = true
			sum := sha512.Sum512([]byte("secret" + "twelve bytes"))
			b64 := base64.StdEncoding.EncodeToString
			fmt.Fprintf(&passwords, "%s:$6$%s$%s\n", c.user, b64([]byte("twelve bytes")), b64(sum[:]))
		}
	}
	passwd := s.write("passwd", passwords.String())
	s.start(head + noSensors + fmt.Sprintf("[listener.lan]\naddress = \"127.0.0.1:1883\"\nanonymous = true\nacl = %q\npasswords = %q\n", acl, passwd))
	t.Run("weir", func(t *testing.T) { holdAgainst(t, s, "mqtt://"+s.addresses[0], true) })

	mosquitto, err := exec.LookPath("mosquitto")
	if err != nil {
		if mosquitto, err = exec.LookPath("/usr/sbin/mosquitto"); err != nil {
			t.Log("NOT RUN: mosquitto against the same table: there is none here")
			return
		}
	}
	t.Run("mosquitto", func(t *testing.T) { holdAgainst(t, s, runMosquitto(t, s, mosquitto, acl, passwd), false) })
}

// runMosquitto starts a mosquitto with the files and gives its URL.
func runMosquitto(t *testing.T, s *site, program, acl, passwd string) string {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	free.Close()
	text := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\npassword_file %s\nacl_file %s\n", port, passwd, acl)
	if os.Geteuid() == 0 {
		text += "user root\n"
	}
	cmd := exec.Command(program, "-c", s.write("mosquitto.conf", text))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	address := fmt.Sprintf("127.0.0.1:%d", port)
	if !within(limit, func() bool {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	}) {
		t.Fatal("mosquitto does not listen")
	}
	return "mqtt://" + address
}

// holdAgainst goes through the table with one server.
func holdAgainst(t *testing.T, s *site, url string, ours bool) {
	as := func(user, id string) *local {
		o := client.Options{URL: url, ClientID: id}
		if user != "" {
			o.Username, o.Password = user, []byte("secret")
		}
		l, err := s.connect(o)
		if err != nil {
			t.Fatalf("%q: %v", user, err)
		}
		return l
	}
	root := as("root", "root")
	defer root.close()
	for _, c := range peerCases {
		l := as(c.user, c.client)
		write, read := c.may(t, s, l, root)
		l.close()
		wantWrite, wantRead := c.write, c.read
		if c.ours != "" && !ours { // what mosquitto says of those is told, so that a change shows
			t.Logf("%q %q %q: mosquitto says write %v, read %v; weir no, as %s", c.user, c.client, c.topic, write, read, c.ours)
			if !write && !read {
				t.Errorf("%q %q %q: mosquitto says no too", c.user, c.client, c.topic)
			}
			continue
		}
		if write != wantWrite || read != wantRead {
			t.Errorf("user %q, client %q, topic %q: write %v, read %v, want %v, %v", c.user, c.client, c.topic, write, read, wantWrite, wantRead)
		}
	}
}

// may finds out what a client may do: by PUBACK, and by a message that comes before the answer to a later packet or not
// at all.
func (c *peerCase) may(t *testing.T, s *site, l, root *local) (write, read bool) {
	t.Helper()
	subscribe := func(filter string) {
		if r, err := l.conn.Subscribe(s.ctx, packet.Subscription{Filter: []byte(filter), QoS: 0}); err != nil || r[0].Failed() {
			t.Fatalf("%q %q: subscribe to %q: %v, %v; want it granted, as mosquitto grants everything", c.user, c.client, filter, r, err)
		}
	}
	subscribe("#")
	if err := root.publish(c.topic, "from root"); err != nil {
		t.Fatalf("root: %v", err)
	}
	subscribe("barrier")
	l.mu.Lock()
	read = len(l.came) > 0
	l.mu.Unlock()
	var refused *client.RefusedError
	switch err := l.publish(c.topic, "own"); {
	case errors.As(err, &refused) && refused.Reason == packet.NotAuthorized:
	case err != nil:
		t.Fatalf("publish: %v", err)
	default:
		write = true
	}
	return write, read
}
