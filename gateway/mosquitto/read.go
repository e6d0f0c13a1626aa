package mosquitto

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what is read.
const (
	maxFile  = 1 << 20
	maxFiles = 1000
)

// line is one setting of a file.
type line struct {
	file       string
	number     int
	key, value string
	written    string // what stands there, if value is what it means
}

// place is where the line stands, for comments.
func (l line) place() string { return fmt.Sprintf("%s:%d", filepath.Base(l.file), l.number) }

// text is the line without what nobody else may see.
func (l line) text() string {
	value := l.value
	if l.written != "" {
		value = l.written
	}
	if secretKeys[l.key] {
		value = "***"
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(l.key+" "+value, "?")))
}

// odd tells whether the line holds something else than text.
func (l line) odd() bool {
	return !utf8.ValidString(l.key+l.value) || strings.ContainsFunc(l.key+l.value, unicode.IsControl)
}

// secretKeys are settings whose value is never shown.
var secretKeys = map[string]bool{"remote_password": true, "password": true, "local_password": true, "bridge_psk": true}

// truths are the settings that are true or false, which may be written as 1 and 0 too.
var truths = map[string]bool{
	"allow_anonymous": true, "allow_duplicate_messages": true, "allow_zero_length_clientid": true, "autosave_on_changes": true,
	"bridge_attempt_unsubscribe": true, "bridge_insecure": true, "bridge_outgoing_retain": true, "bridge_require_ocsp": true,
	"check_retain_source": true, "cleansession": true, "connection_messages": true, "local_cleansession": true, "log_timestamp": true,
	"notifications": true, "notifications_local_only": true, "per_listener_settings": true, "persistence": true,
	"queue_qos0_messages": true, "require_certificate": true, "retain_available": true, "round_robin": true,
	"set_tcp_nodelay": true, "try_private": true, "upgrade_outgoing_qos": true, "use_identity_as_username": true,
	"use_subject_as_username": true, "use_username_as_clientid": true, "auth_plugin_deny_special_chars": true,
}

// truth makes 1 and 0 what they mean.
func (l *line) truth() {
	meaning := map[string]string{"1": "true", "0": "false"}[l.value]
	if truths[l.key] && meaning != "" {
		l.value, l.written = meaning, l.value
	}
}

// readLines reads a file and those that its include_dir names, in mosquitto's order: each where its line stands, the files
// of a directory by name.
func readLines(path string) ([]line, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	var lines []line
	for _, l := range parse(path, data) {
		if l.key != "include_dir" {
			lines = append(lines, l)
			continue
		}
		entries, err := os.ReadDir(l.value)
		if err != nil {
			return nil, fmt.Errorf("%s: include_dir: %w", l.place(), err)
		}
		var names []string
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".conf") {
				names = append(names, e.Name())
			}
		}
		if slices.Sort(names); len(names) > maxFiles {
			return nil, fmt.Errorf("%s: include_dir: %d files, limit %d", l.place(), len(names), maxFiles)
		}
		for _, name := range names {
			data, err := readFile(filepath.Join(l.value, name))
			if err != nil {
				return nil, err
			}
			lines = append(lines, parse(filepath.Join(l.value, name), data)...)
		}
	}
	return lines, nil
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file", path)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s: %d bytes, limit %d", path, info.Size(), maxFile)
	}
	return os.ReadFile(path)
}

// parse gives the settings of one file. A comment is a line whose first character is #.
func parse(path string, data []byte) (lines []line) {
	s := bufio.NewScanner(bytes.NewReader(data))
	s.Buffer(nil, maxFile)
	for n := 1; s.Scan(); n++ {
		text := strings.TrimRight(s.Text(), " \t\r\f\v")
		if strings.HasPrefix(text, "#") || strings.TrimSpace(text) == "" {
			continue
		}
		key, value, _ := strings.Cut(strings.TrimLeft(text, " \t"), " ")
		lines = append(lines, line{file: path, number: n, key: key, value: strings.TrimSpace(value)})
	}
	return lines
}
