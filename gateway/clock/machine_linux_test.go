package clock

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMachineFiles(t *testing.T) {
	root := t.TempDir()
	put := func(path, text string) {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m, err := newMachine(root)
	if err == nil || m.Boot() == 0 {
		t.Errorf("boot %x, %v, want a random one and a warning", m.Boot(), err)
	}
	put(bootIDPath, "0123abcd-4567-89ef-0123-456789abcdef\n")
	if m, err = newMachine(root); err != nil || m.Boot() != 0x0123abcd456789ef {
		t.Errorf("boot %x, %v", m.Boot(), err)
	}
	if m.exists(synchronizedPath) {
		t.Error("the mark of timesyncd is there already")
	}
	put(synchronizedPath, "")
	if !m.exists(synchronizedPath) || !m.Synchronized() {
		t.Error("the mark of timesyncd is not seen")
	}
}
