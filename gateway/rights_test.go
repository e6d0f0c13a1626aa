package gateway

import (
	"errors"
	"strings"
	"testing"

	"weir/bridge/client"
	"weir/bridge/upstream"
	"weir/broker/packet"
	"weir/broker/topic"
	"weir/gateway/config"
)

// tables reads the users of a configuration.
func tables(t *testing.T, text string) map[string]*config.User {
	t.Helper()
	cfg, problems, err := config.Parse("test.toml", []byte(text), config.Options{SkipFiles: true})
	if err != nil {
		t.Fatalf("%v\n%s", err, config.Report(problems))
	}
	return cfg.User
}

const plant = `
[user.pump7]
publish = ["plant/pump7/#"]
subscribe = ["plant/pump7/cmd/#", "own/{user}"]
[user."*"]
publish = ["devices/{user}/#", "{user}/up"]
subscribe = ["news/+", "{user}/#", "${user}/g/#", "$shar{user}/g/#", "x-{user}-y/+/z"]
`

func TestUserRights(t *testing.T) {
	cases := []struct {
		name, tables, user string
		publish, subscribe string // allowed, separated by spaces
		denied, unread     string
	}{
		{"no tables, anonymous", "", "", "a /Home/x", "# +/a $share/g/# /#", "", "$SYS/# $SYS/x $share/g/$SYS/#"},
		{"no tables, a user", "", "bob", "a /Home/x", "# +/a", "", "$SYS/#"},
		{"anonymous", plant, "", "", "", "a devices//x devices/{user}/x plant/pump7/x up", "# news/+ news/x own/ /#"},
		{"own table and everyone's", plant, "pump7", "plant/pump7 plant/pump7/a/b devices/pump7/x pump7/up",
			"plant/pump7/cmd/# plant/pump7/cmd/x plant/pump7/cmd/+/y $share/g/plant/pump7/cmd own/pump7 news/+ news/x pump7/# pump7/a x-pump7-y/+/z",
			"plant/pump8/x plant devices/pump8/x devices/{user}/x pump8/up", "plant/pump7/# plant/# # news/# own/+ own/x +/# x-pump8-y/+/z x-pump7-y/#"},
		{"everyone's only", plant, "pump8", "devices/pump8/x devices/pump8", "news/x pump8/#", "devices/pump7/x plant/pump8/x", "plant/pump7/cmd/# own/pump8"},
		{"no table", `[user.pump7]
publish = ["a"]`, "pump8", "", "", "a b", "a #"},
		{"a table that grants nothing", `[user.pump7]
password = { env = "X" }`, "pump7", "", "", "a", "a #"},
		{"called *", plant, "*", "devices/*/x", "*/#", "devices/a/x plant/pump7/x", "plant/pump7/cmd/# own/+"},
		{"called {user}", plant, "{user}", "devices/{user}/x", "{user}/#", "devices/a/x", "own/{user} #"},

		{"wildcard #", plant, "#", "", "news/x", "devices/a devices/#/a x/up up", "# +/# x/#"},
		{"wildcard +", plant, "+", "", "news/x", "devices/a/b x/up", "# +/# +/a x/#"},
		{"two levels", plant, "a/b", "", "news/x", "devices/a/b devices/a/b/c a/b/up", "a/b/# a/b"},
		{"a level and #", plant, "a/#", "", "news/x", "devices/a devices/a/b", "a/# a/b"},
		{"a slash", plant, "/", "", "news/x", "devices///x //up", "//# /# //a"},
		{"$SYS", plant, "$SYS", "", "news/x", "$SYS/up devices/$SYS/x", "$SYS/# $SYS/a"},
		{"$share", plant, "$share", "", "news/x", "$share/up", "# $share/a/# a"},
		{"share, for ${user}", plant, "share", "devices/share/x", "news/x share/#", "g a", "# g/# $share/g/#"},
		{"SYS, for ${user}", plant, "SYS", "devices/SYS/x", "SYS/#", "$SYS/g/a", "$SYS/g/# $SYS/g/a"},
		{"e, for $shar{user}", plant, "e", "devices/e/x", "e/#", "g a", "# g/# $share/g/#"},
		{"U+0000", plant, "a\x00", "", "news/x", "devices/a", "#"},
		{"not UTF-8", plant, "a\xff", "", "news/x", "devices/a devices/a\xff/b", "#"},
		{"too long", plant, strings.Repeat("a", topic.MaxBytes), "", "news/x", "devices/a", "#"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newTableRights(tables(t, c.tables)).of(c.user, "client", true)
			for list, want := range map[string]bool{c.publish: true, c.denied: false} {
				for _, name := range strings.Fields(list) {
					if got := r.MayPublish([]byte(name)); got != want {
						t.Errorf("publish to %q: %v, want %v", name, got, want)
					}
				}
			}
			for list, want := range map[string]bool{c.subscribe: true, c.unread: false} {
				for _, text := range strings.Fields(list) {
					f, err := topic.ParseFilter(text)
					if err != nil {
						t.Fatal(err)
					}
					if got := r.MaySubscribe(f); got != want {
						t.Errorf("subscribe to %q: %v, want %v", text, got, want)
					}
				}
			}
		})
	}
}

// TestNobodyHasNoTopics: the empty name would make {user}/# everything that begins with a slash.
func TestNobodyHasNoTopics(t *testing.T) {
	if got := personal(tables(t, plant)["*"].Publish, "", "c"); len(got) > 0 {
		t.Errorf("the empty name gets %q", got)
	}
}

// TestRightsAllocateNothing: MayPublish is asked for each message of a client.
func TestRightsAllocateNothing(t *testing.T) {
	r := newTableRights(tables(t, plant)).of("pump7", "client", true)
	allowed, denied := []byte("plant/pump7/a/b"), []byte("plant/pump8/a/b")
	if n := testing.AllocsPerRun(1000, func() {
		if !r.MayPublish(allowed) || r.MayPublish(denied) {
			t.Fatal("wrong")
		}
	}); n != 0 {
		t.Errorf("%.2f allocations, want none", n)
	}
}

// FuzzPersonal: whatever a user is called, a filter with {user} never takes more than it would with + for its level.
func FuzzPersonal(f *testing.F) {
	for _, user := range []string{"pump7", "#", "+", "a/b", "/", "$SYS", "$share", "share", "e", "", "{user}", "*", "a\x00", "\xff"} {
		for _, filter := range []string{"devices/{user}/#", "{user}", "{user}/#", "{user}/g/#", "${user}/g/#", "$shar{user}/g/#", "x-{user}-y/+", "{user}{user}/a"} {
			f.Add(filter, user)
		}
	}
	f.Fuzz(func(t *testing.T, text, user string) {
		filter, err := topic.ParseFilter(text)
		if err != nil {
			return
		}
		if _, shared := filter.Shared(); shared {
			return
		}
		out := personal([]topic.Filter{filter}, user, "")
		if len(out) == 0 {
			return
		}
		levels := strings.Split(text, "/")
		for i, level := range levels {
			if strings.Contains(level, "{user}") && level[0] != '$' {
				levels[i] = "+"
			} else {
				levels[i] = strings.ReplaceAll(level, "{user}", user)
			}
		}
		most, err := topic.ParseFilter(strings.Join(levels, "/"))
		if _, shared := out[0].Shared(); err != nil || shared || len(out) > 1 || !most.Covers(out[0]) {
			t.Fatalf("%q for user %q became %q", text, user, out)
		}
		if !strings.Contains(text, "{user}") && out[0] != filter {
			t.Fatalf("%q became %q", text, out)
		}
	})
}

// TestRights goes through a whole gateway: who logs in as whom, and what they may do then.
func TestRights(t *testing.T) {
	s := newSite(t, upstream.Options{})
	secret := s.write("secret", "secret")
	s.start(head + noSensors + plant + strings.NewReplacer("SECRET", secret).Replace(`
[user.pump8]
password = { file = "SECRET" }
[user.all]
password = { file = "SECRET" }
publish = ["#"]
subscribe = ["#"]
`))
	as := func(user, id string, will *client.Will) (*local, error) {
		o := client.Options{ClientID: id, Will: will}
		if user != "" {
			o.Username, o.Password = user, []byte("secret")
		}
		return s.connect(o)
	}
	login := func(user, id string) *local {
		l, err := as(user, id, nil)
		if err != nil {
			t.Fatalf("%q: %v", user, err)
		}
		t.Cleanup(l.close)
		return l
	}
	subscribed := func(l *local, filter string) packet.Reason {
		reasons, err := l.conn.Subscribe(s.ctx, packet.Subscription{Filter: []byte(filter), QoS: 1})
		if err != nil {
			t.Fatalf("subscribe to %q: %v", filter, err)
		}
		return reasons[0]
	}
	published := func(l *local, name string) packet.Reason {
		var refused *client.RefusedError
		switch err := l.publish(name, "1"); {
		case errors.As(err, &refused):
			return refused.Reason
		case err != nil:
			t.Fatalf("publish to %q: %v", name, err)
		}
		return packet.Success
	}
	all := login("all", "all")
	if r := subscribed(all, "#"); r.Failed() {
		t.Fatalf("subscribe: %s", r)
	}
	pump, nobody := login("pump8", "p"), login("", "n")
	for _, c := range []struct {
		l          *local
		name, verb string
		want       packet.Reason
	}{
		{pump, "devices/pump8/speed", "publish", packet.Success},
		{pump, "devices/pump7/speed", "publish", packet.NotAuthorized},
		{pump, "plant/pump8/speed", "publish", packet.NotAuthorized},
		{pump, "news/today", "subscribe", packet.GrantedQoS1},
		{pump, "#", "subscribe", packet.NotAuthorized},
		{pump, "$share/g/#", "subscribe", packet.NotAuthorized},
		{nobody, "devices/x", "publish", packet.NotAuthorized},
		{nobody, "news/today", "subscribe", packet.NotAuthorized},
		{all, "anything", "publish", packet.Success},
		{all, "$SYS/#", "subscribe", packet.NotAuthorized},
	} {
		got := packet.Success
		if c.verb == "publish" {
			got = published(c.l, c.name)
		} else {
			got = subscribed(c.l, c.name)
		}
		if got != c.want {
			t.Errorf("%s %q: %s, want %s", c.verb, c.name, got, c.want)
		}
	}
	all.wait("what pump8 may publish", func(name, _ string, _ bool) bool { return name == "devices/pump8/speed" })
	all.wait("the last message", func(name, _ string, _ bool) bool { return name == "anything" })
	if strings.Contains(all.String(), "pump7") || strings.Contains(all.String(), "plant/") || strings.Contains(all.String(), "devices/x") {
		t.Errorf("denied messages were delivered: %s", all)
	}
	if l, err := as("pump8", "w", &client.Will{Topic: "devices/pump7/state"}); err == nil {
		l.close()
		t.Error("a will without the right was taken")
	}
	if !strings.Contains(s.said.String(), "not allowed to publish") {
		t.Error("nothing was logged")
	}
}
