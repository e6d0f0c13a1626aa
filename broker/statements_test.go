package broker

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var writeConformance = flag.Bool("conformance", false, "write CONFORMANCE.md anew")

// statement is one line of statements.txt.
type statement struct {
	version string // 5.0, 3.1.1 or both
	id      string
	wants   string
	client  bool   // it binds a client
	decided string // why no place decides it
	open    string // why it is not built
	bridge  bool   // the bridge decides it
}

// means tells whether a citation means this statement. One without a version means every version there is.
func (s *statement) means(c *citation) bool {
	return c.id == s.id && (c.version == "" || s.version == "both" || c.version == s.version)
}

// TestConformance holds CONFORMANCE.md, which says where each normative statement is decided and which test shows it, to
// the code. After a change: go test ./broker -run TestConformance -conformance
func TestConformance(t *testing.T) {
	list := readStatements(t)
	places := map[*statement][]string{}
	tests := map[*statement][]string{}
	for _, room := range []string{".", "../bridge", "../gateway", "../cmd"} { // elsewhere citations must exist, no more
		for _, c := range scan(t, room) {
			for _, s := range checkCitation(t, list, &c) {
				switch here := room == "." && !s.bridge || room == "../bridge" && s.bridge; {
				case here && c.place == "":
				case here && c.test:
					tests[s] = append(tests[s], c.place)
				case here:
					places[s] = append(places[s], c.place)
				}
			}
		}
	}
	for i := range list {
		s := &list[i]
		places[s], tests[s] = distinct(places[s]), distinct(tests[s])
		name := s.version + " [" + s.id + "]"
		switch {
		case s.client:
		case s.open != "":
			if len(tests[s])+len(places[s]) > 0 {
				t.Errorf("%s is cited, but marked as not built", name)
			}
		case len(tests[s]) == 0:
			t.Errorf("%s has no test: %s", name, s.wants)
		case len(places[s]) == 0 && s.decided == "":
			t.Errorf("%s is decided nowhere: %s", name, s.wants)
		case len(places[s]) > 0 && s.decided != "":
			t.Errorf("%s is decided in %s, but marked that nothing decides it", name, places[s][0])
		}
	}
	table := conformanceTable(list, places, tests)
	if *writeConformance {
		if err := os.WriteFile("CONFORMANCE.md", table, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile("CONFORMANCE.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(old, table) {
		t.Error("CONFORMANCE.md is stale; write it anew: go test ./broker -run TestConformance -conformance")
	}
}

// readStatements reads statements.txt.
func readStatements(t *testing.T) (list []statement) {
	t.Helper()
	b, err := os.ReadFile("statements.txt")
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(b), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		text, mark, _ := strings.Cut(line, " | ")
		words := strings.Fields(text)
		var s statement
		if words[0] == "client" {
			s.client, words = true, words[1:]
		}
		if len(words) < 3 || !slices.Contains([]string{"5.0", "3.1.1", "both"}, words[0]) || !strings.HasPrefix(words[1], "MQTT-") {
			t.Fatalf("statements.txt:%d: want version, id and words, got %q", i+1, line)
		}
		s.version, s.id, s.wants = words[0], words[1], strings.Join(words[2:], " ")
		switch kind, why, _ := strings.Cut(mark, ": "); {
		case mark == "":
		case kind == "nothing to decide" && why != "":
			s.decided = why
		case mark == "in bridge":
			s.bridge = true
		case kind == "open" && why != "":
			s.open = why
		default:
			t.Fatalf("statements.txt:%d: mark %q", i+1, mark)
		}
		for k := range list {
			if o := &list[k]; o.id == s.id && (o.version == s.version || o.version == "both" || s.version == "both") {
				t.Fatalf("statements.txt:%d: %s %s stands there twice", i+1, s.version, s.id)
			}
		}
		list = append(list, s)
	}
	return list
}

// checkCitation finds what a citation means, and fails if that is nothing, or not clear.
func checkCitation(t *testing.T, list []statement, c *citation) (means []*statement) {
	t.Helper()
	for i := range list {
		if list[i].means(c) {
			means = append(means, &list[i])
		}
	}
	switch {
	case len(means) == 0:
		t.Errorf("%s: there is no %s [%s]", c.at, c.version, c.id)
	case len(means) > 1:
		t.Errorf("%s: [%s] means different things in 5.0 and 3.1.1: say which", c.at, c.id)
	}
	return means
}

func distinct(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// conformanceTable is CONFORMANCE.md: a table for each version.
func conformanceTable(list []statement, places, tests map[*statement][]string) []byte {
	var b bytes.Buffer
	b.WriteString("# What the standards demand of a server, where it is decided, and what shows it\n\n" +
		"Made from statements.txt and the citations in the code: `go test ./broker -run TestConformance -conformance`.\n" +
		"TestConformance fails when this file is stale, or when a statement has no test or no place. Places are files and\n" +
		"functions below `broker/`; tests are named by package (none: `broker` itself) and name. Statements about clients are left out.\n")
	for _, version := range []string{"5.0", "3.1.1"} {
		var all, open int
		var rows bytes.Buffer
		for i := range list {
			s := &list[i]
			if s.client || s.version != version && s.version != "both" {
				continue
			}
			all++
			decided, shown := strings.Join(places[s], "<br>"), strings.Join(tests[s], "<br>")
			switch {
			case s.open != "":
				open++
				decided, shown = "not built: "+s.open, "none"
			case s.decided != "":
				decided = "nothing to decide: " + s.decided
			}
			fmt.Fprintf(&rows, "| %s | %s | %s | %s |\n", s.id, s.wants, decided, shown)
		}
		fmt.Fprintf(&b, "\n## MQTT %s: %d statements, %d not built\n\n| id | the server must | decided in | shown by |\n|---|---|---|---|\n", version, all, open)
		rows.WriteTo(&b)
	}
	return b.Bytes()
}
