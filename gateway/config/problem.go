package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrInvalid is what Load and Parse return when a file has errors; the problems
// beside it say which.
var ErrInvalid = errors.New("the configuration has errors")

// Severity says whether a problem stops the configuration from being used.
type Severity uint8

// The severities.
const (
	Error Severity = iota
	Warning
)

// String returns "error" or "warning".
func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// Problem is one thing to say about a file.
type Problem struct {
	File string
	Position
	Severity Severity
	Text     string // begins with the key it is about
}

// String is one line, position first: weir.toml:14:9: sensor.boiler.every: ...
func (p Problem) String() string {
	where := p.File
	if where == "" {
		where = "defaults"
	} else if p.IsValid() {
		where = fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
	}
	if p.Severity == Warning {
		return where + ": warning: " + p.Text
	}
	return where + ": " + p.Text
}

// maxShown is how many problems Report writes.
const maxShown = 20

// Report writes problems one on a line, at most 20 of them, errors before
// warnings when not all have room, and a count of the rest.
func Report(problems []Problem) string {
	shown := problems
	if len(problems) > maxShown {
		kept := maxShown
		var lines []Problem
		for _, severity := range []Severity{Error, Warning} {
			for _, p := range problems {
				if p.Severity == severity && kept > 0 {
					lines = append(lines, p)
					kept--
				}
			}
		}
		sortProblems(lines)
		shown = lines
	}
	var b strings.Builder
	for _, p := range shown {
		b.WriteString(p.String())
		b.WriteByte('\n')
	}
	if more := len(problems) - len(shown); more > 0 {
		fmt.Fprintf(&b, "and %d more\n", more)
	}
	return b.String()
}

// Failed reports whether any of the problems is an error.
func Failed(problems []Problem) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool { return p.Severity == Error })
}

// sortProblems orders by place; at one place the order they were found in stays.
func sortProblems(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		switch {
		case a.Position.before(b.Position):
			return -1
		case b.Position.before(a.Position):
			return 1
		}
		return 0
	})
}
