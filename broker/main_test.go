package broker

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

// goroutines has every test run on the shell of goroutines, as on systems without pollers.
var goroutines = flag.Bool("goroutines", false, "give every connection a goroutine")

// TestMain fails if any goroutine of ours is left when all tests have ended, or if an out was written to without own.
func TestMain(m *testing.M) {
	code := m.Run()
	if left := leaked(); code == 0 && left != "" {
		fmt.Fprintf(os.Stderr, "goroutines left behind:\n%s\n", left)
		code = 1
	}
	if code == 0 && !reflect.DeepEqual(noBacklog, backlog{}) {
		fmt.Fprintf(os.Stderr, "somebody has written to the backlog of those who have none: %+v\n", noBacklog)
		code = 1
	}
	os.Exit(code)
}

// leaked gives the stacks of goroutines in this module, once they have had time to end.
func leaked() string {
	var left []string
	for limit := time.Now().Add(5 * time.Second); time.Now().Before(limit); {
		left = left[:0]
		buf := make([]byte, 4<<20)
		for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(g, "weir/broker") && !strings.Contains(g, "TestMain") {
				left = append(left, g)
			}
		}
		if len(left) == 0 {
			return ""
		}
		tick := time.NewTimer(10 * time.Millisecond)
		<-tick.C
	}
	return strings.Join(left, "\n\n")
}
