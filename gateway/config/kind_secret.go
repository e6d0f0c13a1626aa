package config

import (
	"errors"
	"fmt"
	"strings"
)

// secretKind is a secret by reference, or in so many words.
func secretKind(what string, literal func(string) bool) kind {
	want := fmt.Sprintf(`{ file = %q }, { credential = "NAME" } or { env = "NAME" }`, what)
	return kind{"secret", want, func(in *input, v any) (any, error) {
		switch v := v.(type) {
		case string:
			if v == "" || !literal(v) {
				return nil, errors.New("want " + want)
			}
			return LiteralSecret(v), nil
		case map[string]any:
			return result(reference(in, v, want))
		}
		return nil, errors.New("want " + want)
	}}
}

func anyText(string) bool { return true }
func isPEM(s string) bool { return strings.Contains(s, "-----BEGIN ") }

func reference(in *input, v map[string]any, want string) (*Secret, error) {
	if len(v) != 1 {
		return nil, errors.New("want exactly one of file, credential and env: " + want)
	}
	for from, name := range v {
		s, ok := name.(string)
		if from != "file" && from != "credential" && from != "env" {
			return nil, parts{{key: from, name: true, err: errors.New("unknown key, want " + want)}}
		}
		if !ok || s == "" || plain(s) != nil {
			return nil, parts{{key: from, err: fmt.Errorf("want a name in quotes: { %s = \"NAME\" }", from)}}
		}
		secret := &Secret{from: from, name: s, label: fmt.Sprintf("{ %s = %q }", from, s)}
		if err := secret.locate(in); err != nil {
			return nil, parts{{key: from, err: err}}
		}
		return secret, nil
	}
	return nil, errWant
}

// locate finds what a reference means and, if files may be read, that it is there.
func (s *Secret) locate(in *input) error {
	switch s.from {
	case "file":
		s.name = absolute(in.dir, s.name)
	case "credential":
		if strings.Contains(s.name, "/") {
			return fmt.Errorf("got %q, want the name of a credential, without a path", s.name)
		}
		dir := in.getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			if in.skipFiles {
				return nil
			}
			return fmt.Errorf("$CREDENTIALS_DIRECTORY is not set; systemd sets it for a unit with LoadCredential=%s:/path", s.name)
		}
		s.name = absolute(dir, s.name)
	}
	if in.skipFiles {
		return nil
	}
	if s.from == "env" {
		if in.getenv(s.name) == "" {
			return fmt.Errorf("the environment variable %s is not set", s.name)
		}
		return nil
	}
	data, err := ReadFile(s.name, maxSecret)
	if err != nil {
		return err
	}
	if trimNewline(string(data)) == "" {
		return fmt.Errorf("%s is empty", s.name)
	}
	return nil
}
