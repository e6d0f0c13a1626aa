package broker

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"testing"

	"weir/broker/leak"
)

// goroutines has every test run on the shell of goroutines, as on systems without pollers.
var goroutines = flag.Bool("goroutines", false, "give every connection a goroutine")

// TestMain fails if any goroutine of ours is left when all tests have ended, or if an out was written to without own.
func TestMain(m *testing.M) {
	code := leak.Code(m.Run(), "weir/broker")
	if code == 0 && !reflect.DeepEqual(noBacklog, backlog{}) {
		fmt.Fprintf(os.Stderr, "somebody has written to the backlog of those who have none: %+v\n", noBacklog)
		code = 1
	}
	os.Exit(code)
}
