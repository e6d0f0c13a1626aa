package bench

import (
	"encoding/json"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"weir/broker/packet"
)

// figuresOf is what each scenario must say; what comes from the process of the broker is known on Linux only.
var figuresOf = map[string]string{
	"empty":    "resident cpu",
	"idle":     "rate resident",
	"filters":  "rate resident rate_before rate_after cpu_before cpu_after growth lost",
	"retained": "set_rate resident rate cpu delivered lost repeated",
	"fan-in-0": "rate cpu cores own_cpu delivered lost repeated disordered",
	"fan-in-1": "rate cpu cores own_cpu delivered lost repeated disordered",
	"fan-in-2": "rate cpu cores own_cpu delivered lost repeated disordered",
	"fan-out":  "rate cpu cores own_cpu delivered lost repeated disordered",
	"paced-0":  "p50 p99 max rate cpu own_cpu lost repeated disordered",
	"paced-1":  "p50 p99 max rate cpu own_cpu lost repeated disordered",
}

func TestScenariosOnTheBroker(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		report := runOne(t, Options{URL: serveBroker(t), Version: v, Size: tiny()})
		if len(report.Results) != len(Scenarios) {
			t.Fatalf("%d results, want %d", len(report.Results), len(Scenarios))
		}
		for _, r := range report.Results {
			if r.Error != "" {
				t.Errorf("%s: %s", r.Scenario, r.Error)
			}
			var names []string
			for _, f := range r.Figures {
				names = append(names, f.Name)
			}
			for _, want := range strings.Fields(figuresOf[r.Scenario]) {
				_, known := r.Figure(want)
				if !known && (runtime.GOOS == "linux" || want == "rate" || want == "lost") {
					t.Errorf("%s: %s is not known; there are %v", r.Scenario, want, names)
				}
			}
			if lost, _ := r.Figure("lost"); lost != 0 {
				t.Errorf("%s: %v lost, want none", r.Scenario, lost)
			}
			if rate, known := r.Figure("rate"); known && rate <= 0 {
				t.Errorf("%s: rate %v", r.Scenario, rate)
			}
			if runtime.GOOS == "linux" && (r.Process == nil || r.Process.PID != os.Getpid()) {
				t.Errorf("%s: process %v, want %d, which has the broker", r.Scenario, r.Process, os.Getpid())
			}
		}
	})
}

func TestFanOutCountsEveryDelivery(t *testing.T) {
	report := runOne(t, Options{URL: "mqtt://" + serveBare(t), Size: tiny(), Scenarios: []string{"fan-out"}})
	delivered, _ := report.Results[0].Figure("delivered")
	if delivered < 4 || int(delivered)%4 != 0 {
		t.Errorf("%v deliveries to 4 subscribers", delivered)
	}
}

// TestProcessNotKnown: figures of a process that is not there are there, without a value.
func TestProcessNotKnown(t *testing.T) {
	o := Options{URL: "mqtt://" + serveBare(t), Size: tiny(), Scenarios: []string{"idle", "fan-in-0"}, PID: 1 << 27}
	for i, want := range []string{"resident", "cpu"} {
		r := runOne(t, o).Results[i]
		there := slices.ContainsFunc(r.Figures, func(f Figure) bool { return f.Name == want && f.Value == nil })
		if r.Error != "" || !there {
			t.Errorf("%s: error %q, %s without a value: %v", r.Scenario, r.Error, want, there)
		}
	}
}

func TestExec(t *testing.T) {
	t.Setenv(childRole, "bare")
	address := freeAddress(t)
	o := Options{URL: "mqtt://" + address, Size: tiny(), Scenarios: []string{"empty", "fan-in-0"}, Exec: []string{os.Args[0], address}}
	o.Limit = []string{os.Args[0], "127.0.0.1:0"}
	report := runOne(t, o)
	for _, r := range report.Results {
		if r.Error != "" || r.LimitErr != "" {
			t.Fatalf("%s: %s%s", r.Scenario, r.Error, r.LimitErr)
		}
		if err := syscall.Kill(r.Process.PID, 0); err != syscall.ESRCH {
			t.Errorf("%s: the broker, process %d, is still there: %v", r.Scenario, r.Process.PID, err)
		}
	}
	if ready, known := report.Results[0].Figure("ready"); !known || ready <= 0 {
		t.Errorf("ready after %v ms", ready)
	}
	if a, b := report.Results[0].Process.PID, report.Results[1].Process.PID; a == b {
		t.Errorf("process %d served two scenarios, want a new one for each", a)
	}
	for _, f := range report.Results[1].Figures {
		if f.Name == "rate" && (f.Limit == nil || *f.Limit <= 0) {
			t.Errorf("the rate has no limit beside it")
		}
	}
}

func TestExecFails(t *testing.T) {
	t.Setenv(childRole, "die")
	address := freeAddress(t)
	for want, program := range map[string]string{
		"the broker has ended: exit status 3; it said: no licence": os.Args[0],
		"the broker cannot be started: ":                           t.TempDir() + "/absent",
	} {
		o := Options{URL: "mqtt://" + address, Size: tiny(), Scenarios: []string{"fan-out"}, Exec: []string{program}}
		if got := runOne(t, o).Results[0].Error; !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", program, got, want)
		}
	}
	o := Options{URL: "mqtt://" + serveBare(t), Size: tiny(), Scenarios: []string{"fan-out"}, Limit: []string{os.Args[0]}}
	if got := runOne(t, o).Results[0]; got.Error != "" || !strings.Contains(got.LimitErr, "no licence") {
		t.Errorf("got %q and limit %q, want the limit only to fail", got.Error, got.LimitErr)
	}
}

func TestWrongOptions(t *testing.T) {
	good := Options{URL: "mqtt://127.0.0.1:1", Size: tiny()}
	for _, c := range []struct {
		name, want string
		change     func(o *Options)
	}{
		{"scheme", "want mqtt://", func(o *Options) { o.URL = "http://127.0.0.1:1883" }},
		{"password in the URL", "want mqtt://", func(o *Options) { o.URL = "mqtt://a:b@127.0.0.1:1883" }},
		{"scenario", `no scenario "fan-up", want one of empty, idle`, func(o *Options) { o.Scenarios = []string{"idle", "fan-up"} }},
		{"payload", "payload: got 8, want at least 24", func(o *Options) { o.Size.Payload = 8 }},
		{"large payload", "payload: got 60001", func(o *Options) { o.Size.Payload = 60_001 }},
		{"window", "window: got 65536", func(o *Options) { o.Size.Window = 65_536 }},
		{"ahead", "ahead: got 5, want at least 2 for each of 3", func(o *Options) { o.Size.AheadQueued = 5 }},
		{"rate", "rate: got -1", func(o *Options) { o.Size.Rate = -1 }},
		{"version", "version 3", func(o *Options) { o.Version = 3 }},
		{"password alone", "user name", func(o *Options) { o.Password = []byte("x") }},
	} {
		o := good
		c.change(&o)
		report, err := Run(t.Context(), o, func(Result) { t.Errorf("%s: something ran", c.name) })
		if report != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestFamiliesOfScenarios(t *testing.T) {
	chosen, err := choose([]string{"paced-1", "fan-in", "empty"})
	var names []string
	for _, s := range chosen {
		names = append(names, s.Name)
	}
	if got := strings.Join(names, " "); err != nil || got != "empty fan-in-0 fan-in-1 fan-in-2 paced-1" {
		t.Errorf("got %s, %v", got, err)
	}
}

// TestReportAsJSON holds the form that programs read: a change of it needs another schema.
func TestReportAsJSON(t *testing.T) {
	one, two := 1.5, 3.0
	size := tiny()
	text, err := json.Marshal(Report{Schema: 1, URL: "mqtt://h:1", Version: "3.1.1", Size: size.json(), Results: []Result{
		{Scenario: "fan-in-0", Process: &Process{PID: 7, Name: "x"}, Figures: []Figure{{"rate", "messages/s", &one, &two}, {"cpu", "µs/message", nil, nil}}},
		{Scenario: "idle", Figures: []Figure{}, Error: "e"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"schema":1,"url":"mqtt://h:1","protocol":"3.1.1","size":{"payload_bytes":64,"publishers":3,"subscribers":4,"window":5,` +
		`"ahead":60,"ahead_queued":60,"rate":500,"idle":20,"filters":250,"retained":300,"for_seconds":0.05,"empty_for_seconds":0.02},` +
		`"results":[{"scenario":"fan-in-0","process":{"pid":7,"name":"x"},"figures":[{"name":"rate","unit":"messages/s","value":1.5,"limit":3},` +
		`{"name":"cpu","unit":"µs/message","value":null}]},{"scenario":"idle","process":null,"figures":[],"error":"e"}]}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}
