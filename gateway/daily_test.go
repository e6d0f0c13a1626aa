package gateway

import (
	"testing"
	"time"
)

func TestDaily(t *testing.T) {
	var d daily
	now, count := time.Unix(0, 0), int64(100) // what opening wrote
	if got := d.note(now, count); got != 100 {
		t.Errorf("at first %d, want all 100", got)
	}
	for i := range 30 * 60 { // a byte a minute
		now, count = now.Add(time.Minute), count+1
		got, hour := d.note(now, count), (i+1)/60
		want := count
		if hour >= 24 {
			want = int64(23*60 + (i+1)%60)
		} else if hour == 23 {
			want = count
		}
		if got < want-1 || got > want+1 {
			t.Fatalf("after %d minutes %d, want about %d", i+1, got, want)
		}
	}
	if got := d.note(now.Add(100*time.Hour), count); got != 0 {
		t.Errorf("after days without a write %d, want none", got)
	}
}
