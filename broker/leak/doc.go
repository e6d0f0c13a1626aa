// Package leak finds goroutines that tests have left behind. No program imports it.
package leak

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// Code is what a TestMain ends with: the code of the tests, or 1 if they passed and left goroutines of packages whose path
// begins with ours behind, whose stacks it prints. They have five seconds to end.
func Code(code int, ours string) int {
	if code != 0 {
		return code
	}
	left := running(ours)
	for limit := time.Now().Add(5 * time.Second); left != "" && time.Now().Before(limit); left = running(ours) {
		<-time.After(10 * time.Millisecond)
	}
	if left == "" {
		return 0
	}
	fmt.Fprintf(os.Stderr, "goroutines left behind:\n%s", left)
	return 1
}

// running gives the stacks of goroutines, but for the one of the caller's TestMain.
func running(ours string) (stacks string) {
	buf := make([]byte, 4<<20)
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, ours) && !strings.Contains(g, "TestMain") {
			stacks += g + "\n\n"
		}
	}
	return stacks
}
