package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"weir/bridge/client"
	"weir/bridge/upstream"
	"weir/broker"
	"weir/broker/auth"
	"weir/broker/packet"
	"weir/broker/topic"
	"weir/gateway/config"
	"weir/gateway/status"
)

// TestReload goes through a whole gateway: files change, some of them are bad, and only those have to go whose login
// does not hold.
func TestReload(t *testing.T) {
	s := newReloading(t)
	s.badFiles()
	s.usersAndRights()
	s.secretAndRestart()
}

// reloading is a site with users in files and in its configuration, all of whom are connected.
type reloading struct {
	*site
	acl, passwords, secret, text  string
	stays, leaves, changes, table *local
}

func newReloading(t *testing.T) *reloading {
	s := &reloading{site: newSite(t, upstream.Options{})}
	s.acl = s.write("acl", "user stays\ntopic #\nuser leaves\ntopic #\n")
	s.passwords = s.write("passwords", "")
	s.secret = s.write("secret", "secret")
	for _, name := range []string{"stays", "leaves", "changes"} {
		if _, err := auth.Set(s.passwords, name, []byte("secret")); err != nil {
			s.Fatal(err)
		}
	}
	s.text = head + noSensors + fmt.Sprintf(`
[listener.lan]
address = "127.0.0.1:1883"
anonymous = false
passwords = %q
acl = %q
[user.table]
password = { file = %q }
publish = ["table/#"]
subscribe = ["table/#"]
`, s.passwords, s.acl, s.secret)
	s.start(s.text)
	s.stays, s.leaves, s.changes, s.table = s.login("stays"), s.login("leaves"), s.login("changes"), s.login("table")
	return s
}

func (s *reloading) reload(text string) error {
	_, err := s.gateway.Reload(func() (*config.Config, error) { return s.config(text), nil })
	return err
}

func (s *reloading) login(user string) *local {
	l, err := s.connect(client.Options{ClientID: user, Username: user, Password: []byte("secret")})
	if err != nil {
		s.Fatalf("%s: %v", user, err)
	}
	s.Cleanup(l.close)
	return l
}

func (s *reloading) gone(l *local, who string) {
	s.Helper()
	<-l.conn.Done()
	var e *client.Error
	if err := l.conn.Err(); !errors.As(err, &e) || e.Reason != packet.AdministrativeAction {
		s.Errorf("%s ended with %v, want %s", who, err, packet.AdministrativeAction)
	}
}

func (s *reloading) there(l *local, who string) {
	s.Helper()
	if _, err := l.conn.Subscribe(s.ctx, packet.Subscription{Filter: []byte("there")}); err != nil {
		s.Errorf("%s is gone: %v", who, err)
	}
}

// badFiles: nothing changes, and it is said.
func (s *reloading) badFiles() {
	for _, bad := range []struct{ path, text, want string }{
		{s.acl, "topic reed x\n", s.acl + ":1: "},
		{s.passwords, "broken\n", s.passwords + ":1: "},
	} {
		before, _ := os.ReadFile(bad.path)
		if err := os.WriteFile(bad.path, []byte(bad.text), 0o600); err != nil {
			s.Fatal(err)
		}
		if err := s.reload(s.text); err == nil || !strings.Contains(err.Error(), bad.want) {
			s.Errorf("reload: %v, want %q in it", err, bad.want)
		}
		if st := s.gateway.Status(); !strings.Contains(st.Config.Refused, bad.want) || st.OK() || !strings.Contains(st.Verdict(), bad.want) {
			s.Errorf("status %+v, verdict %q: want %q in them", st.Config, st.Verdict(), bad.want)
		}
		os.WriteFile(bad.path, before, 0o600)
	}
	os.Rename(s.passwords, s.passwords+".away")
	if err := s.reload(s.text); !os.IsNotExist(errors.Unwrap(err)) && !strings.Contains(fmt.Sprint(err), "no such file") {
		s.Errorf("reload without the password file: %v", err)
	}
	os.Rename(s.passwords+".away", s.passwords)
	if _, err := s.gateway.Reload(func() (*config.Config, error) { return nil, errors.New("weir.toml:1:1: wrong") }); err == nil {
		s.Error("a configuration that cannot be loaded was taken")
	}
	if !strings.Contains(s.said.String(), "the configuration was refused") {
		s.Error("nothing was logged")
	}
	for who, l := range map[string]*local{"stays": s.stays, "leaves": s.leaves, "changes": s.changes, "table": s.table} {
		s.there(l, who)
	}
}

// usersAndRights: a user who is gone, a password that changed, rights that changed.
func (s *reloading) usersAndRights() {
	good, _ := os.ReadFile(s.acl)
	auth.Delete(s.passwords, "leaves")
	auth.Set(s.passwords, "changes", []byte("other"))
	os.WriteFile(s.acl, append(good, "user table\ntopic deny table/hidden\n"...), 0o600)
	if r, err := s.table.conn.Subscribe(s.ctx, packet.Subscription{Filter: []byte("table/#"), QoS: 1}); err != nil || r[0].Failed() {
		s.Fatalf("subscribe: %v, %v", r, err)
	}
	if err := s.reload(s.text); err != nil {
		s.Fatal(err)
	}
	s.gone(s.leaves, "leaves")
	s.gone(s.changes, "changes")
	s.there(s.stays, "stays")
	for _, name := range []string{"table/hidden", "table/shown"} {
		if err := s.stays.publish(name, "1"); err != nil {
			s.Fatal(err)
		}
	}
	s.table.wait("what may be shown", func(name, _ string, _ bool) bool { return name == "table/shown" })
	if strings.Contains(s.table.String(), "hidden") {
		s.Errorf("what may not be had any more was delivered: %s", s.table)
	}
	if st := s.gateway.Status(); st.Config.Refused != "" || len(st.Config.Restart) > 0 || st.Broker.Revoked != 2 || st.Broker.Withheld == 0 || !st.OK() {
		s.Errorf("status %+v, %+v", st.Config, st.Broker)
	}
}

// secretAndRestart: a secret in the configuration, and settings that take a restart.
func (s *reloading) secretAndRestart() {
	s.write("secret", "x") // another file of that name, elsewhere
	os.WriteFile(s.secret, []byte("changed"), 0o600)
	if err := s.reload(s.text + "[broker]\nretain = false\nqueue_messages = 7\n[listener.more]\naddress = \"127.0.0.1:1884\"\nanonymous = true\n"); err != nil {
		s.Fatal(err)
	}
	s.gone(s.table, "table")
	s.there(s.stays, "stays")
	st := s.gateway.Status()
	if !slices.Contains(st.Config.Restart, "broker.retain") || !slices.Contains(st.Config.Applied, "broker.queue_messages") || slices.Contains(st.Config.Restart, "broker.queue_messages") || !slices.Contains(st.Config.Restart, "listener.more.address") || slices.Contains(st.Config.Restart, "user.table.password") {
		s.Errorf("waiting for a restart: %q", st.Config.Restart)
	}
	if want := "Waiting for a restart: broker.retain"; !strings.Contains(st.Verdict(), want) && !strings.Contains(st.Verdict(), "Waiting for a restart: listener.more") {
		s.Errorf("verdict %q, want %q in it", st.Verdict(), want)
	}
}

// TestBadListEndsTheStart: without its access control list everyone could do everything, so there is no start.
func TestBadListEndsTheStart(t *testing.T) {
	s := newSite(t, upstream.Options{})
	acl := s.write("acl", "topic reed x\n")
	_, err := New(s.config(head+noSensors+fmt.Sprintf("[listener.lan]\naddress = \"127.0.0.1:1883\"\nacl = %q\n", acl)), s.options())
	var access *AccessError
	if !errors.As(err, &access) || !strings.Contains(err.Error(), acl+":1: access \"reed\"") {
		t.Errorf("error %v, want an AccessError that names the line", err)
	}
}

// TestAllPartsPrepareFirst: if one part refuses a configuration no part takes it.
func TestAllPartsPrepareFirst(t *testing.T) {
	var applied []string
	part := func(name string, err error) reloadable {
		return reloadable{prepare: func(*config.Config) (func(), error) { return func() { applied = append(applied, name) }, err }}
	}
	g := &Gateway{reloadables: []reloadable{part("a", nil), part("b", errors.New("no")), part("c", errors.New("nor"))}}
	if err := g.take(nil); err == nil || err.Error() != "no\nnor" || len(applied) > 0 {
		t.Errorf("error %v, applied %v", err, applied)
	}
	g.reloadables = []reloadable{part("a", nil), part("b", nil)}
	if err := g.take(nil); err != nil || !slices.Equal(applied, []string{"a", "b"}) {
		t.Errorf("error %v, applied %v", err, applied)
	}
}

// TestClientRights: {client} is the client id, and grants nothing to one that is more than one plain level.
func TestClientRights(t *testing.T) {
	users := tables(t, `
[user.pump7]
publish = ["own/{client}/#", "{user}/{client}"]
subscribe = ["cmd/{client}/+"]
[user."*"]
publish = ["all/{user}-{client}"]
`)
	for _, c := range []struct{ user, client, name string }{
		{"pump7", "c", "own/c/x"}, {"pump7", "c", "pump7/c"}, {"pump7", "c", "all/pump7-c"}, {"bob", "c", "all/bob-c"},
	} {
		if !newTableRights(users).of(c.user, c.client, true).MayPublish([]byte(c.name)) {
			t.Errorf("%s as %s may not publish to %s", c.user, c.client, c.name)
		}
	}
	for _, id := range []string{"", "+", "#", "a/b", "$SYS", "x", "{user}"} {
		r := newTableRights(users).of("pump7", id, true)
		for _, name := range []string{"own/c/x", "own/a/b/x", "own/$SYS/x", "pump7/c", "all/pump7-c", "own//x"} {
			if r.MayPublish([]byte(name)) {
				t.Errorf("client id %q may publish to %s", id, name)
			}
		}
		for _, text := range []string{"cmd/c/x", "cmd/+/x", "cmd/#", "cmd/a/b"} {
			f, _ := topic.ParseFilter(text)
			if r.MaySubscribe(f) || r.MayReceive([]byte("cmd/c/x")) {
				t.Errorf("client id %q may read %s", id, text)
			}
		}
	}
}

// TestPasswordsOfListeners: a password file is that of its listener; a listener without one takes those of all.
func TestPasswordsOfListeners(t *testing.T) {
	s := newSite(t, upstream.Options{})
	one, two := s.write("one", ""), s.write("two", "")
	auth.Set(one, "a", []byte("secret"))
	auth.Set(two, "b", []byte("secret"))
	s.start(head + noSensors + fmt.Sprintf(threeListeners, one, two))
	for i, allowed := range []string{"a", "b", "ab"} {
		for _, user := range []string{"a", "b"} {
			l, err := s.connect(client.Options{URL: "mqtt://" + s.addresses[i], ClientID: user, Username: user, Password: []byte("secret")})
			if err == nil {
				l.close()
			}
			if got := err == nil; got != strings.Contains(allowed, user) {
				t.Errorf("user %s at listener %d: %v", user, i+1, err)
			}
		}
	}
	ended, end := context.WithCancel(s.ctx)
	end()
	for password, want := range map[string]bool{"secret": true, "wrong": false} { // also what only the second file knows
		for _, user := range []string{"a", "b"} {
			if ok, _ := s.gateway.access.Verify(ended, "l3", user, []byte(password)); ok != want {
				t.Errorf("user %s with %q, nothing being computed: %v, want %v", user, password, ok, want)
			}
		}
	}
}

// threeListeners are two with a password file of their own, and one that asks both.
const threeListeners = `
[listener.l1]
address = "127.0.0.1:1883"
anonymous = false
passwords = %q
[listener.l2]
address = "127.0.0.2:1883"
anonymous = false
passwords = %q
[listener.l3]
address = "127.0.0.3:1883"
`

// TestKeysOfListeners: keys for SCRAM-SHA-256 are those of the listener's file, or of the first of all that has some, and of now.
func TestKeysOfListeners(t *testing.T) {
	s := newSite(t, upstream.Options{})
	one, two, none := s.write("one", ""), s.write("two", ""), s.write("none", "")
	set := func(path, name, password string) {
		t.Helper()
		if _, err := auth.SetScram(path, name, []byte(password), auth.MinIterations); err != nil {
			t.Fatal(err)
		}
	}
	set(one, "a", "secret")
	set(two, "b", "secret")
	auth.Set(none, "c", []byte("secret"))
	text := head + noSensors + fmt.Sprintf(threeListeners+`[listener.l4]
address = "127.0.0.4:1883"
anonymous = false
passwords = %q
`, one, two, none)
	s.start(text)
	a := s.gateway.access
	for listener, known := range map[string]string{"l1": "a", "l2": "b", "l3": "ab", "l4": ""} {
		for _, user := range []string{"a", "b", "c", "nobody"} {
			k, offered := a.keys(listener, user)
			if offered != (known != "") || k.Known != strings.Contains(known, user) || offered && k.Iterations != auth.MinIterations {
				t.Errorf("user %s at listener %s: %+v, %v", user, listener, k, offered)
			}
		}
	}
	before, _ := a.keys("l3", "b")
	other, _ := a.keys("l3", "a")
	set(two, "b", "other")
	if now, _ := a.keys("l3", "b"); now.Stored != before.Stored {
		t.Error("keys changed before the reload")
	}
	if _, err := s.gateway.Reload(func() (*config.Config, error) { return s.config(text), nil }); err != nil {
		t.Fatal(err)
	}
	if now, _ := a.keys("l3", "b"); now.Stored == before.Stored {
		t.Error("the keys are the old ones after the reload")
	}
	if now, _ := a.keys("l3", "a"); now.Stored != other.Stored {
		t.Error("keys changed that are the same in the file")
	}
}

// TestReloadSendsAway: a listener whose redirect comes with a reload sends its clients away and takes no more, those of another one
// stay, and when it goes again they are served again.
func TestReloadSendsAway(t *testing.T) {
	s := newSite(t, upstream.Options{})
	text := func(more string) string {
		return head + noSensors + `
[listener.l1]
address = "127.0.0.1:1883"
` + more + `
[listener.l2]
address = "127.0.0.2:1883"
`
	}
	s.start(text(""))
	connect := func(at int) (*local, error) {
		return s.connect(client.Options{URL: "mqtt://" + s.addresses[at], ClientID: fmt.Sprint("c", at)})
	}
	reload := func(more string) {
		t.Helper()
		st, err := s.gateway.Reload(func() (*config.Config, error) { return s.config(text(more)), nil })
		if err != nil || len(st.Restart) > 0 {
			t.Fatalf("%+v, %v", st, err)
		}
	}
	refused := func(err error, want packet.Reason) {
		t.Helper()
		if e := (*client.Error)(nil); !errors.As(err, &e) || e.Reason != want || !strings.Contains(e.Text, "it names another server: gateway2.example.com:1883") {
			t.Errorf("got %v, want %s and where to go", err, want)
		}
	}
	var all [2]*local
	for i := range all {
		var err error
		if all[i], err = connect(i); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(all[i].close)
	}
	reload(`redirect = "gateway2.example.com:1883"`)
	<-all[0].conn.Done()
	refused(all[0].conn.Err(), packet.UseAnotherServer)
	_, err := connect(0)
	refused(err, packet.UseAnotherServer)
	reload("redirect = \"gateway2.example.com:1883\"\nredirect_permanent = true")
	_, err = connect(0)
	refused(err, packet.ServerMoved)
	if _, err := all[1].conn.Subscribe(s.ctx, packet.Subscription{Filter: []byte("there")}); err != nil {
		t.Errorf("the client of the other listener is gone: %v", err)
	}
	reload("")
	back, err := connect(0)
	if err != nil {
		t.Fatal(err)
	}
	back.close()
}

// TestReloadLimits: limits hold from a reload on, for clients and listeners, and one that does not fit the running log is refused.
func TestReloadLimits(t *testing.T) {
	s := newSite(t, upstream.Options{})
	text := head + noSensors + "[listener.lan]\naddress = \"127.0.0.1:1883\"\n"
	s.start(text)
	limit := func(name string) (l status.Limit) {
		for _, l := range s.gateway.Status().Broker.Limits {
			if l.Name == name {
				return l
			}
		}
		t.Fatalf("no limit %q", name)
		return l
	}
	reload := func(text string) (status.Config, error) {
		return s.gateway.Reload(func() (*config.Config, error) { return s.config(text), nil })
	}
	c, err := reload(text + "max_connections = 7\n[broker]\nmax_sessions = 9\nlogin_failures = 2\nmax_connecting = 11\nsys_interval = \"1m\"\n")
	want := []string{"broker.max_sessions", "broker.max_connecting", "broker.login_failures", "listener.lan.max_connections"}
	slices.Sort(want)
	if slices.Sort(c.Applied); err != nil || !slices.Equal(c.Applied, want) || !slices.Equal(c.Restart, []string{"broker.sys_interval"}) {
		t.Errorf("applied %q, left %q, %v; want %q", c.Applied, c.Restart, err, want)
	}
	if limit("max_sessions").Most != 9 || limit("max_connecting").Most != 11 || limit("max_connections").Most != 10_000 {
		t.Errorf("limits are %+v", s.gateway.Status().Broker.Limits)
	}
	if c, err = reload(text); err != nil || len(c.Applied) != 4 || len(c.Restart) != 0 || limit("max_sessions").Most != 20_000 {
		t.Errorf("back again: applied %q, left %q, %v", c.Applied, c.Restart, err)
	}
	if _, err = reload(text + "[buffer]\nsegment = \"64MiB\"\ntail = \"64MiB\"\nmax_size = \"1GiB\"\n[broker]\nmax_packet = \"16MiB\"\nmax_sessions = 3\n"); err == nil || !strings.Contains(err.Error(), "broker.max_packet: got 16MiB") {
		t.Errorf("a packet that does not fit the running log: %v", err)
	}
	if limit("max_sessions").Most != 20_000 {
		t.Error("part of a configuration that was refused holds")
	}
}

// TestRightsSomewhere: a session that was stored may do what its user may at one of the listeners, as nobody knows which was its.
func TestRightsSomewhere(t *testing.T) {
	s := newSite(t, upstream.Options{})
	one, two := s.write("one", "user u\ntopic one/#\n"), s.write("two", "user u\ntopic write two/#\ntopic deny two/no\n")
	s.start(head + noSensors + fmt.Sprintf("[listener.l1]\naddress = \"127.0.0.1:1883\"\nacl = %q\n[listener.l2]\naddress = \"127.0.0.2:1883\"\nacl = %q\n", one, two))
	r := s.gateway.access.rights(broker.Who{User: "u", ClientID: "c"})
	for name, want := range map[string][2]bool{"one/x": {true, true}, "two/x": {true, false}, "two/no": {false, false}, "three": {false, false}} {
		if write, read := r.MayPublish([]byte(name)), r.MayReceive([]byte(name)); write != want[0] || read != want[1] {
			t.Errorf("%s: write %v, read %v, want %v", name, write, read, want)
		}
	}
	for filter, want := range map[string]bool{"one/#": true, "two/#": false, "#": false} {
		f, err := topic.ParseFilter(filter)
		if err != nil {
			t.Fatal(err)
		}
		if all := r.ReceivesAll(f); all != want {
			t.Errorf("%s: receives all of it %v, want %v", filter, all, want)
		}
		if !r.MaySubscribe(f) { // judged at delivery, as the lists say
			t.Errorf("%s: not subscribed", filter)
		}
	}
}
