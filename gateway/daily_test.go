package gateway

import (
	"testing"
	"time"

	"weir/broker/message"
)

func TestDaily(t *testing.T) {
	var d daily
	now, count := time.Unix(0, 0), int64(100) // what opening wrote
	if got, _ := d.note(now, count); got != 100 {
		t.Errorf("at first %d, want all 100", got)
	}
	for i := range 30 * 60 { // a byte a minute
		now, count = now.Add(time.Minute), count+1
		got, _ := d.note(now, count)
		hour, want := (i+1)/60, count
		if hour >= 24 {
			want = int64(23*60 + (i+1)%60)
		}
		if got < want-1 || got > want+1 {
			t.Fatalf("after %d minutes %d, want about %d", i+1, got, want)
		}
	}
	if got, _ := d.note(now.Add(100*time.Hour), count); got != 0 {
		t.Errorf("after days without a write %d, want none", got)
	}
}

// What was written in the last 24 hours counts across restarts, and goes with time, however often weir is started.
func TestDailySurvivesRestarts(t *testing.T) {
	now, boot := time.Unix(0, 0), uint64(1)
	since := func() int64 { return int64(now.Sub(time.Unix(0, 0))) }
	age := func(b uint64, at int64) (time.Duration, bool) { return time.Duration(since() - at), b == boot }
	var kept []byte
	count := int64(0)
	d := new(daily)
	restart := func() {
		kept = d.append(nil, now, message.Stamp{Boot: boot, Since: time.Duration(since())}, count)
		d, count = new(daily), 0
		if !d.load(kept, now, age) {
			t.Fatal("what was kept is not taken")
		}
	}
	for minute := range 72 * 60 { // a byte a minute for three days
		if minute%487 == 0 {
			restart()
		}
		now, count = now.Add(time.Minute), count+1
		got, _ := d.note(now, count)
		most := min(int64(minute)+1, 24*60)
		if least := min(most, 23*60); got < least || got > most {
			t.Fatalf("after %d minutes %d, want %d to %d", minute+1, got, least, most)
		}
	}
	restart()
	if got, _ := d.note(now, 0); got < 23*60 {
		t.Errorf("right after a restart %d", got)
	}
	before := kept
	now = now.Add(10 * time.Hour)
	d = new(daily)
	if d.load(before, now, age); true {
		if got, _ := d.note(now, 0); got < 12*60 || got > 14*60 {
			t.Errorf("ten hours after the last write %d, want about %d", got, 13*60)
		}
	}
	unknown := func(uint64, int64) (time.Duration, bool) { return 0, false }
	d = new(daily)
	d.load(before, now, unknown)
	if got, _ := d.note(now, 0); got < 23*60 {
		t.Errorf("after a time that nobody knows %d: too low", got)
	}
	for _, bad := range [][]byte{nil, {}, before[:20], append([]byte{9}, before[1:]...)} {
		if d := new(daily); d.load(bad, now, age) {
			t.Errorf("%x is taken", bad)
		} else if got, _ := d.note(now, 7); got != 7 {
			t.Errorf("then %d, want 7", got)
		}
	}
}

// An hour is said to be over once for each append.
func TestDailySaysWhenToKeep(t *testing.T) {
	var d daily
	now := time.Unix(0, 0)
	d.note(now, 1)
	if _, whole := d.note(now.Add(59*time.Minute), 2); whole {
		t.Error("an hour is over after 59 minutes")
	}
	for range 2 {
		if _, whole := d.note(now.Add(61*time.Minute), 3); !whole {
			t.Error("no hour is over after 61 minutes")
		}
	}
	d.append(nil, now.Add(62*time.Minute), message.Stamp{}, 3)
	if _, whole := d.note(now.Add(63*time.Minute), 3); whole {
		t.Error("it was kept, and is asked for again")
	}
}
