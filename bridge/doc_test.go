package bridge

import (
	"os"
	"strings"
	"testing"
	"time"
)

// What doc.go shows is what comes out, byte for byte.
func TestDocShowsTheFormats(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	unsure := moment{at: sampleTime.at}
	draining := report{word: Draining, since: sampleTime, backlog: Backlog{Records: 1200, Bytes: 96000, Dead: 2}, oldest: 61500 * time.Millisecond, program: "1.0.0"}
	for _, line := range []string{
		string(appendJSON(nil, []byte("21.53"), sampleTime, []byte("°C"), []byte("good"))),
		string(appendJSON(nil, []byte("on"), unsure, nil, nil)),
		string(appendJSON(nil, []byte{0xFF, 0}, moment{}, nil, nil)),
		string(draining.append(nil)),
		string(lastWords("1.0.0")),
	} {
		if !strings.Contains(string(text), "//\t"+line+"\n") {
			t.Errorf("doc.go does not show %s", line)
		}
	}
	shown := 0
	for l := range strings.Lines(string(text)) {
		if strings.HasPrefix(l, "//\t{") {
			shown++
		}
	}
	if shown != 5 {
		t.Errorf("doc.go shows %d documents, this test knows 5", shown)
	}
}
