package main

import (
	"log/slog"
	"os"
	"testing"
)

// TestNoDataDirectory: without a data directory the id is pinned nowhere, least of all in the working directory.
func TestNoDataDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	id, err := pinnedID(slog.New(slog.DiscardHandler))("")
	if id == "" || err != nil {
		t.Errorf("got id %q, %v, want one", id, err)
	}
	if files, _ := os.ReadDir("."); len(files) > 0 {
		t.Errorf("got the file %s in the working directory, want none", files[0].Name())
	}
}
