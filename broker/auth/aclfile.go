package auth

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"weir/broker/topic"
)

// maxACLLine is the longest line of an access control list: a topic filter and the words before it.
const maxACLLine = topic.MaxBytes + 64

// LoadACL reads an access control list. The error names file and line of what is wrong, all of it up to a bound. The
// warning tells that others than the owner can change the file, which is used all the same.
func LoadACL(path string) (*ACL, Warning, error) {
	data, warning, err := readFile(path)
	if err != nil {
		return nil, Warning{}, err
	}
	warning.acl = true
	acl, err := parseACL(path, data)
	return acl, warning, err
}

// parseACL reads a whole file; path is for the errors.
func parseACL(path string, data []byte) (*ACL, error) {
	acl := &ACL{users: map[string]rules{}}
	user := ""
	var errs []error
	for number := 1; len(data) > 0 && len(errs) < maxErrors; number++ {
		var line []byte
		line, data, _ = bytes.Cut(data, []byte{'\n'})
		if err := acl.line(line, &user); err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", path, number, err))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return acl, nil
}

// line reads one line. user is whose topics come from now on. Only blanks separate words, as in mosquitto.
func (a *ACL) line(line []byte, user *string) error {
	if len(line) > maxACLLine {
		return fmt.Errorf("a line of %d bytes, limit %d", len(line), maxACLLine)
	}
	text := strings.TrimRight(string(line), " \t\r\f\v")
	if strings.HasPrefix(text, "#") {
		return nil
	}
	text = strings.TrimLeft(text, " ")
	if text == "" {
		return nil
	}
	word, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimLeft(rest, " \t")
	switch word {
	case "user":
		if rest == "" {
			return errors.New("user without a name, want: user NAME")
		}
		*user = rest
		return nil
	case "topic", "pattern":
		if rest == "" {
			return fmt.Errorf("%s without a filter, want: %s [read|write|readwrite|deny] FILTER", word, word)
		}
		return a.rule(word, rest, *user)
	}
	return fmt.Errorf("begins with %q, want user, topic or pattern", clip(word))
}

// rule reads what stands behind topic or pattern.
func (a *ACL) rule(word, rest, user string) error {
	what, filter := read|write, rest
	if first, behind, several := strings.Cut(rest, " "); several {
		rights := map[string]right{"read": read, "write": write, "readwrite": read | write, "deny": deny}
		known := false
		if what, known = rights[first]; !known {
			return fmt.Errorf("access %q, want read, write, readwrite or deny before a filter with blanks", clip(first))
		}
		filter = strings.TrimLeft(behind, " \t")
	}
	f, err := topic.ParseFilter(filter)
	if err != nil {
		return err
	}
	if _, shared := f.Shared(); shared {
		return fmt.Errorf("filter %q, want one without $share: rights are about the topics behind it", clip(filter))
	}
	if word == "pattern" {
		a.patterns = append(a.patterns, pattern{filter, what})
		return nil
	}
	r := a.users[user]
	r.add(f, what)
	a.users[user] = r
	return nil
}

// clip shortens a text of a file for an error.
func clip(s string) string {
	const limit = 60
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "..."
}
