package packet

import (
	"runtime"
	"testing"
)

// addSeeds gives a fuzz target every packet of the tables.
func addSeeds(f *testing.F) {
	for _, c := range validPackets {
		f.Add(wire(f, c.hex), c.v == V5)
	}
	for _, c := range invalidPackets {
		f.Add(wire(f, c.hex), c.v == V5)
	}
	for _, p := range []Publish{plainPublish(), richPublish()} {
		b, err := p.Append(nil, V5)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, true)
	}
}

// FuzzRoundTrip decodes, appends and decodes again.
func FuzzRoundTrip(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte, v5 bool) {
		v := V311
		if v5 {
			v = V5
		}
		roundTrip(t, b, v)
	})
}

// FuzzNext feeds a stream byte by byte and as a whole, and wants the same packets at the same places, none above the limit.
func FuzzNext(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte, small bool) {
		limit := 0
		if small {
			limit = 20
		}
		frame, n, err := Next(b, limit)
		if n < 0 || n > len(b) || n > 0 && err != nil {
			t.Fatalf("%d of %d bytes, %v", n, len(b), err)
		}
		if n > 0 && (small && n > limit || len(frame.Body) > n-2) {
			t.Fatalf("%d bytes with a body of %d, limit %d", n, len(frame.Body), limit)
		}
		for i := range b {
			part, m, early := Next(b[:i], limit)
			switch {
			case m > 0 && (m != n || part.Type != frame.Type || len(part.Body) != len(frame.Body)):
				t.Fatalf("%d bytes of %d: %d taken, want %d", i, len(b), m, n)
			case m == 0 && n > 0 && i >= n:
				t.Fatalf("%d bytes are not enough for %d", i, n)
			case early != nil && (err == nil || early.Error() != err.Error()):
				t.Fatalf("%d bytes of %d: %v, then %v", i, len(b), early, err)
			}
		}
	})
}

// FuzzAllocation wants memory in proportion to the packet: 12 bytes for a byte of a list, and six times that with what
// growing it leaves behind (see the package comment).
func FuzzAllocation(f *testing.F) {
	addSeeds(f)
	for _, p := range hungryPackets(f) {
		f.Add(p, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, v5 bool) {
		v := V311
		if v5 {
			v = V5
		}
		checkAllocation(t, b, v)
	})
}

func checkAllocation(t *testing.T, b []byte, v Version) {
	t.Helper()
	frame, n, err := Next(b, 0)
	if err != nil || n == 0 {
		return
	}
	p := blank(frame.Type)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_ = p.Decode(frame, v)
	runtime.ReadMemStats(&after)
	// 64 KiB for whatever else the process does meanwhile
	if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(6*12*n+64<<10); got > limit {
		t.Fatalf("%d bytes decoded with %d bytes of memory, want at most %d", n, got, limit)
	}
}

// hungryPackets take the most memory for their size: long lists of the least entries.
func hungryPackets(t testing.TB) (packets [][]byte) {
	const entries = 20000
	sub, unsub := Subscribe{ID: 1}, Unsubscribe{ID: 1}
	suback := Suback{ID: 1}
	user, ids := Publish{Topic: []byte("a")}, Publish{Topic: []byte("a")}
	for range entries {
		sub.Filters = append(sub.Filters, Subscription{})
		unsub.Filters = append(unsub.Filters, nil)
		suback.Reasons = append(suback.Reasons, Success)
		user.Props.AddUser(nil, nil)
		ids.Props.SubscriptionIDs = append(ids.Props.SubscriptionIDs, 1)
	}
	for _, p := range []codec{&sub, &unsub, &suback, &user, &ids} {
		b, err := p.Append(nil, V5)
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, b)
	}
	return packets
}

func TestAllocationInProportion(t *testing.T) {
	for _, b := range hungryPackets(t) {
		checkAllocation(t, b, V5)
	}
	for _, c := range validPackets {
		checkAllocation(t, wire(t, c.hex), c.v)
	}
}
