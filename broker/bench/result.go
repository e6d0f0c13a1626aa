package bench

import "time"

// Report is what was measured, in the form of its JSON.
type Report struct {
	Schema  int      `json:"schema"` // 1
	URL     string   `json:"url"`
	Version string   `json:"protocol"`
	Size    Sizes    `json:"size"`
	Results []Result `json:"results"`
}

// Sizes is a Size in JSON: durations in seconds.
type Sizes struct {
	Payload     int     `json:"payload_bytes"`
	Publishers  int     `json:"publishers"`
	Subscribers int     `json:"subscribers"`
	Window      int     `json:"window"`
	Ahead       int     `json:"ahead"`
	AheadQueued int     `json:"ahead_queued"`
	Rate        int     `json:"rate"`
	Idle        int     `json:"idle"`
	Filters     int     `json:"filters"`
	Retained    int     `json:"retained"`
	For         float64 `json:"for_seconds"`
	EmptyFor    float64 `json:"empty_for_seconds"`
}

func (s *Size) json() Sizes {
	return Sizes{s.Payload, s.Publishers, s.Subscribers, s.Window, s.Ahead, s.AheadQueued, s.Rate, s.Idle, s.Filters, s.Retained,
		s.For.Seconds(), s.EmptyFor.Seconds()}
}

// Result is one scenario.
type Result struct {
	Scenario string   `json:"scenario"`
	Process  *Process `json:"process"` // of the broker; null: not known
	Figures  []Figure `json:"figures"` // as far as it came
	Error    string   `json:"error,omitempty"`
	LimitErr string   `json:"limit_error,omitempty"` // why there is no limit
}

// Process is a process of this machine.
type Process struct {
	PID  int    `json:"pid"`
	Name string `json:"name"`
}

// Figure is one number of a result.
type Figure struct {
	Name  string   `json:"name"`
	Unit  string   `json:"unit"`
	Value *float64 `json:"value"`           // null: not known
	Limit *float64 `json:"limit,omitempty"` // the same figure of the load generator with a peer that does the least
}

// Figure gives the figure of that name, and whether it is known.
func (r *Result) Figure(name string) (value float64, known bool) {
	for _, f := range r.Figures {
		if f.Name == name && f.Value != nil {
			return *f.Value, true
		}
	}
	return 0, false
}

// say adds a figure.
func (r *run) say(name, unit string, value float64) {
	r.figures = append(r.figures, Figure{Name: name, Unit: unit, Value: &value})
}

// sayIf adds a figure that may not be known.
func (r *run) sayIf(known bool, name, unit string, value float64) {
	if known {
		r.say(name, unit, value)
	} else {
		r.figures = append(r.figures, Figure{Name: name, Unit: unit})
	}
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
