package clock

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// machine is the System of the running machine.
type machine struct {
	boot uint64
	root string // "/" but in tests
}

// Machine is the machine this process runs on. A warning comes with it when the
// boot id could not be read and a random one stands in: then stamps that were
// stored without a wall time cannot be resolved after a restart of the process.
func Machine() (sys System, warning error) { return newMachine("/") }

func newMachine(root string) (*machine, error) {
	boot, err := readBoot(root)
	if err != nil {
		err = fmt.Errorf("boot id: %w; a random one is used (with ProcSubset=pid in its unit, a service cannot read it)", err)
	}
	for boot == 0 {
		var b [8]byte
		rand.Read(b[:])
		boot = binary.BigEndian.Uint64(b[:])
	}
	return &machine{boot: boot, root: root}, err
}

// parseBoot reads the first eight bytes of an id in the form of RFC 9562:
// 4 bytes, a dash, 2 bytes, a dash, 2 bytes, in hexadecimal.
func parseBoot(text string) (uint64, error) {
	digits := strings.ReplaceAll(strings.TrimSpace(text), "-", "")
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != 16 {
		return 0, fmt.Errorf("%.40q is not a boot id", text)
	}
	return binary.BigEndian.Uint64(b), nil
}

func (m *machine) Boot() uint64         { return m.boot }
func (m *machine) Since() time.Duration { return sinceBoot() }
func (m *machine) Wall() time.Time      { return time.Now() }

func (m *machine) exists(path string) bool {
	_, err := os.Stat(filepath.Join(m.root, path))
	return err == nil
}
