package demo

import (
	"slices"
	"testing"
)

func TestFit(t *testing.T) {
	three := []string{"a", "b", "c"}
	for _, c := range []struct {
		height int
		want   []string
	}{{0, three}, {4, three}, {3, three[:2]}, {2, three[:1]}, {1, three}} {
		if got := fit(three, c.height); !slices.Equal(got, c.want) {
			t.Errorf("height %d: got %q, want %q", c.height, got, c.want)
		}
	}
}
