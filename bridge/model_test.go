package bridge

import (
	"slices"
	"testing"
)

// model is a world that explore can walk.
type model[W any] interface {
	steps(visit func(name string, faulty bool, next W))
	key() string
	wrong(rest bool) string // rest: nothing but faults can happen
}

// explore visits every state that can be reached, and returns how many there are and the shortest way to a wrong one.
func explore[W model[W]](start W) (states int, way []string) {
	type node struct {
		w    W
		from int
		name string
	}
	nodes := []node{{w: start, from: -1}}
	seen := map[string]struct{}{start.key(): {}}
	for i := 0; i < len(nodes); i++ {
		w, moves := nodes[i].w, 0
		w.steps(func(name string, faulty bool, next W) {
			if !faulty {
				moves++
			}
			k := next.key()
			if _, had := seen[k]; had {
				return
			}
			seen[k] = struct{}{}
			nodes = append(nodes, node{next, i, name})
		})
		if why := w.wrong(moves == 0); why != "" {
			way = []string{why}
			for j := i; j > 0; j = nodes[j].from {
				way = append(way, nodes[j].name)
			}
			slices.Reverse(way)
			return len(nodes), way
		}
		var done W
		nodes[i].w = done
	}
	return len(nodes), nil
}

// TestModel walks all orders of steps.
func TestModel(t *testing.T) {
	for _, test := range []struct {
		name   string
		faults modelFaults
		late   bool
		shared bool
	}{
		{"crashes", modelFaults{crash: 2, lose: 1}, false, false},
		{"session lost", modelFaults{crash: 1, lose: 1, forget: 1}, false, false},
		{"fail over and return", modelFaults{crash: 1, lose: 1, move: 2}, false, false},
		{"protocol changed and back", modelFaults{crash: 2, move: 2}, false, true},
		{"dropped by policy", modelFaults{crash: 1, lose: 1, drop: 1}, false, false},
		{"server that delivers late", modelFaults{crash: 1, lose: 1, forget: 1}, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			states, way := explore(&world{faults: test.faults, late: test.late, shared: test.shared, next: 1})
			if way != nil {
				for _, step := range way {
					t.Log(step)
				}
				t.Fatal("the steps above break it")
			}
			t.Logf("%d states", states)
		})
	}
}
