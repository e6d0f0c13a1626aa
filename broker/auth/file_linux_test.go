package auth

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNoFileToWaitFor: what is no file is told, not waited for: opening a pipe hangs until somebody writes into it.
func TestNoFileToWaitFor(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 2)
	go func() {
		_, err := NewPasswords().Load(pipe)
		told <- err
		_, _, err = LoadACL(pipe)
		told <- err
	}()
	for range 2 {
		select {
		case err := <-told:
			if err == nil || !strings.Contains(err.Error(), "not a regular file") {
				t.Errorf("error %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("it waits for a writer")
		}
	}
}
