package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// maxSecret is the longest secret taken, in bytes: a certificate chain fits.
const maxSecret = 256 << 10

// masked is what a secret prints as.
const masked = "***"

// Secret is a password, key or certificate, by reference or in so many words.
// It prints as *** whatever prints it; Read is the only way to its value.
type Secret struct {
	value string // literal
	from  string // "file", "credential", "env", or "" for literal
	name  string // absolute path, or name of the variable
	label string // the reference as the file writes it
}

// LiteralSecret holds a value itself.
func LiteralSecret(value string) *Secret { return &Secret{value: value} }

// Read fetches the secret and takes one newline off its end. It reads anew each
// time, so a changed file counts with the next connection. The error names the
// reference and never the value.
func (s *Secret) Read() (string, error) {
	switch s.from {
	case "":
		return s.value, nil
	case "env":
		v, ok := os.LookupEnv(s.name)
		if !ok {
			return "", fmt.Errorf("the environment variable %s is not set", s.name)
		}
		return trimNewline(v), nil
	}
	data, err := ReadFile(s.name, maxSecret)
	if err != nil {
		return "", err
	}
	return trimNewline(string(data)), nil
}

// Path is the file the secret is read from, "" if it is in none.
func (s *Secret) Path() string {
	if s.from == "file" || s.from == "credential" {
		return s.name
	}
	return ""
}

// Reference is how the configuration names the secret, such as
// { file = "cloud.password" }; a literal one is ***.
func (s *Secret) Reference() string {
	if s.from == "" {
		return masked
	}
	return s.label
}

func trimNewline(s string) string {
	return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
}

// ReadFile reads a regular file of at most so many bytes. Its errors are for people and name the file.
func ReadFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return nil, fileError(path, err)
	case st.IsDir():
		return nil, fmt.Errorf("%s is a directory, want a file", path)
	case st.Size() > most:
		return nil, fmt.Errorf("%s has %d bytes, want at most %d", path, st.Size(), most)
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fileError(path, err)
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return data, nil
}

func fileError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no file %s", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("not allowed to read %s; give the user that runs weir the right to", path)
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("cannot read %s: %w", path, err)
}

// String returns ***.
func (s Secret) String() string { return masked }

// GoString returns ***.
func (s Secret) GoString() string { return masked }

// Format prints *** for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, masked) }

// MarshalText returns ***, for JSON and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// LogValue returns ***.
func (s Secret) LogValue() slog.Value { return slog.StringValue(masked) }

// absolute resolves a path beside the configuration file.
func absolute(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	full, err := filepath.Abs(filepath.Join(dir, path))
	if err != nil {
		return filepath.Join(dir, path)
	}
	return full
}
