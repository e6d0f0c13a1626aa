package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a password file.
const (
	maxFile     = 16 << 20
	maxLine     = 1024
	maxName     = 255
	maxPassword = 65535 // what CONNECT can carry (5.0, 3.1.3.6)
	maxErrors   = 20
)

// A Warning is what is doubtful about a file that was read all the same: a
// password file that others can read or change, or an access control list that
// others can change. The zero value means nothing.
type Warning struct {
	Path string
	Mode fs.FileMode // permission bits
	acl  bool
}

// Doubtful reports whether there is anything to warn of.
func (w Warning) Doubtful() bool { return w.Mode&w.doubtful() != 0 }

// doubtful are the permissions that nobody but the owner should have.
func (w Warning) doubtful() fs.FileMode {
	if w.acl {
		return 0o022
	}
	return 0o077
}

// String says what is doubtful and what to do, "" if nothing is.
func (w Warning) String() string {
	if !w.Doubtful() {
		return ""
	}
	who := "its group"
	if w.Mode&w.doubtful()&0o007 != 0 {
		who = "everyone"
	}
	if w.acl {
		return fmt.Sprintf("%s: mode %04o lets %s change who may do what; narrow it with: chmod go-w %s", w.Path, w.Mode.Perm(), who, w.Path)
	}
	return fmt.Sprintf("%s: mode %04o lets %s at the password hashes; narrow it with: chmod 0600 %s", w.Path, w.Mode.Perm(), who, w.Path)
}

// user is one line of the file.
type user struct {
	name string
	hash hash
	line int
}

// parse reads a whole file. path is for the errors only, which are all returned
// at once, up to maxErrors, each as path:line: what. Users of sound lines are
// returned even then.
func parse(path string, data []byte) ([]user, error) {
	var users []user
	var errs []error
	lineOf := map[string]int{}
	for number, line := 1, []byte(nil); len(data) > 0 && len(errs) < maxErrors; number++ {
		line, data, _ = bytes.Cut(data, []byte{'\n'})
		name, rest, ok, err := splitLine(line)
		if !ok && err == nil {
			continue
		}
		var h hash
		if err == nil {
			if first := lineOf[name]; first != 0 {
				err = fmt.Errorf("user %q is already on line %d", name, first)
			} else if h, err = parseHash(rest); err != nil {
				err = fmt.Errorf("user %q has %w", name, err)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", path, number, err))
			continue
		}
		lineOf[name] = number
		users = append(users, user{name: name, hash: h, line: number})
	}
	return users, errors.Join(errs...)
}

// splitLine takes a line apart. ok is false, and err nil, for a line that holds
// no user. Trailing white space, a carriage return among it, is no part of a line.
func splitLine(line []byte) (name, rest string, ok bool, err error) {
	if len(line) > maxLine {
		return "", "", false, fmt.Errorf("a line of %d bytes, limit %d", len(line), maxLine)
	}
	text := strings.TrimRight(string(line), " \t\r")
	if text == "" || text[0] == '#' {
		return "", "", false, nil
	}
	name, rest, found := strings.Cut(text, ":")
	if !found {
		return "", "", false, errors.New("no colon, want NAME:HASH")
	}
	if err := checkName(name); err != nil {
		return "", "", false, err
	}
	return name, rest, true, nil
}

// checkName reports why a user cannot have this name.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("a user without a name")
	case len(name) > maxName:
		return fmt.Errorf("a user name of %d bytes, limit %d", len(name), maxName)
	case !utf8.ValidString(name):
		return errors.New("a user name that is not UTF-8")
	case strings.ContainsRune(name, ':') || name[0] == '#':
		return fmt.Errorf("user name %q, want no colon and no # at its head", name)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("user name %q holds a control character", name)
	}
	return nil
}

// byteOrderMark is what editors of other systems put at the head of a text: no part of the first name.
var byteOrderMark = []byte("\xEF\xBB\xBF")

// readFile returns the bytes of a password file, or of a list, and its mode as a Warning.
func readFile(path string) ([]byte, Warning, error) {
	info, err := os.Stat(path) // before it is opened: a pipe would hang until somebody writes into it
	if err != nil {
		return nil, Warning{}, err
	}
	if !info.Mode().IsRegular() {
		return nil, Warning{}, fmt.Errorf("%s: not a regular file", path)
	}
	if info.Size() > maxFile {
		return nil, Warning{}, fmt.Errorf("%s: %d bytes, limit %d", path, info.Size(), maxFile)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, Warning{}, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, Warning{}, fmt.Errorf("%s: %w", path, err)
	}
	if len(data) > maxFile {
		return nil, Warning{}, fmt.Errorf("%s: more than %d bytes", path, maxFile)
	}
	return bytes.TrimPrefix(data, byteOrderMark), Warning{Path: path, Mode: info.Mode().Perm()}, nil
}

// List returns the names of the users in the file, in its order. With an error in
// some lines it returns the names of the others as well.
func List(path string) ([]string, error) {
	data, _, err := readFile(path)
	if err != nil {
		return nil, err
	}
	users, err := parse(path, data)
	names := make([]string, len(users))
	for i, u := range users {
		names[i] = u.name
	}
	return names, err
}
