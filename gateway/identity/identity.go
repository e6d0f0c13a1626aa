package identity

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	fileName  = "id"
	kindLine  = "weir-id "
	firstLine = kindLine + "1"
	maxFile   = 4096
	maxID     = 64
)

// An Identity is the name of a gateway and how it came to it.
type Identity struct {
	ID     string
	Source string // one of the Source constants
	New    bool   // pinned by this call
	// Cloned: the id was made in a machine with another serial number, or with
	// one where this has none. Own is the id that this machine would get.
	Cloned bool
	Own    string
	// Damaged is why the file was set aside and made anew, nil if it was sound.
	Damaged error
}

// Load returns the gateway's identity: the one pinned in dataDir, which must
// exist, or a new one from the machine whose files are below root ("/"), pinned
// now. An error says why it could not be read or pinned; the Identity is usable
// even then, and the same at the next call unless its source is random.
func Load(root, dataDir string) (Identity, error) {
	serial := fingerprint(serialNumber(root))
	path := filepath.Join(dataDir, fileName)
	pinned, err := read(path)
	if err == nil {
		is := Identity{ID: pinned.id, Source: pinned.source}
		if pinned.serial != "" && pinned.serial != serial {
			is.Cloned = true
			is.Own, _ = fromMachine(root)
		}
		return is, nil
	}
	var is Identity
	is.ID, is.Source = fromMachine(root)
	is.Own = is.ID
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, errDamaged):
		is.Damaged = err
		if err := os.Rename(path, path+".damaged"); err != nil {
			return is, fmt.Errorf("set damaged identity aside: %w", err)
		}
	default:
		return is, fmt.Errorf("read identity: %w", err)
	}
	if err := write(dataDir, record{id: is.ID, source: is.Source, serial: serial}); err != nil {
		return is, fmt.Errorf("pin identity %s: %w", is.ID, err)
	}
	is.New = true
	return is, nil
}

// errDamaged marks a file that is there and can be read but not understood.
var errDamaged = errors.New("damaged")

// ErrNewer is wrapped by the error of Load for a file that a newer version of the
// program wrote.
var ErrNewer = errors.New("written by a newer version")

// record is the content of the file.
type record struct{ id, source, serial string }

func (r record) String() string {
	text := firstLine + "\nid " + r.id + "\nsource " + r.source + "\n"
	if r.serial != "" {
		text += "serial " + r.serial + "\n"
	}
	return text
}

func read(path string) (record, error) {
	file, err := os.Open(path)
	if err != nil {
		return record{}, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return record{}, err
	}
	r, err := parse(string(text))
	switch {
	case errors.Is(err, ErrNewer):
		return record{}, fmt.Errorf("%s: %w", path, err)
	case err != nil:
		return record{}, fmt.Errorf("%s: %w: %w", path, errDamaged, err)
	}
	return r, nil
}

// parse reads the content of the file. Unknown lines are an error: a newer
// version has another first line.
func parse(text string) (record, error) {
	if len(text) > maxFile {
		return record{}, fmt.Errorf("more than %d bytes", maxFile)
	}
	first, rest, _ := strings.Cut(text, "\n")
	if first != firstLine {
		if number, err := strconv.ParseUint(strings.TrimPrefix(first, kindLine), 10, 16); err == nil && number > 1 && strings.HasPrefix(first, kindLine) {
			return record{}, fmt.Errorf("%w: format %d, want 1", ErrNewer, number)
		}
		return record{}, fmt.Errorf("first line %.40q, want %q", first, firstLine)
	}
	var r record
	for number := 2; rest != ""; number++ {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		key, value, _ := strings.Cut(line, " ")
		var field *string
		switch key {
		case "id":
			field = &r.id
		case "source":
			field = &r.source
		case "serial":
			field = &r.serial
		}
		if field == nil || *field != "" || value == "" {
			return record{}, fmt.Errorf("line %d is %.80q, want one each of id, source and serial", number, line)
		}
		*field = value
	}
	return r, r.check()
}

func (r record) check() error {
	if r.id == "" || len(r.id) > maxID || sanitize(r.id) != r.id {
		return fmt.Errorf("id %.80q, want 1 to %d characters of A-Z a-z 0-9 _ -", r.id, maxID)
	}
	switch r.source {
	case SourceSerial, SourceMachineID, SourceMAC, SourceRandom:
	default:
		return fmt.Errorf("source %.80q is not known", r.source)
	}
	if b, err := hex.DecodeString(r.serial); err != nil || len(b) != 0 && len(b) != 8 {
		return fmt.Errorf("serial %.80q, want 16 hex digits", r.serial)
	}
	return nil
}

// write puts the file in place: a crash leaves either none or a whole one.
func write(dir string, r record) (err error) {
	file, err := os.CreateTemp(dir, "."+fileName+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	_, err = file.WriteString(r.String())
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(file.Name(), filepath.Join(dir, fileName))
	}
	if err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
