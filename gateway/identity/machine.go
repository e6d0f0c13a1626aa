package identity

import (
	"bufio"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Sources of an id.
const (
	SourceSerial    = "pi-serial"
	SourceMachineID = "machine-id"
	SourceMAC       = "mac"
	SourceRandom    = "random"
)

const (
	prefix   = "weir-"
	tail     = 8        // characters of the source that an id keeps
	maxProbe = 64 << 10 // bytes read of any file of the machine
)

// fromMachine makes the id of the machine whose files are below root.
func fromMachine(root string) (id, source string) {
	if serial := serialNumber(root); serial != "" {
		return prefix + sanitize(last(serial, tail)), SourceSerial
	}
	if machine := machineID(root); machine != "" {
		mac := hmac.New(sha256.New, []byte(machine))
		mac.Write([]byte("weir gateway identity"))
		return prefix + hex.EncodeToString(mac.Sum(nil))[:tail], SourceMachineID
	}
	if address := hardwareAddress(root); address != "" {
		return prefix + last(address, tail), SourceMAC
	}
	var b [tail / 2]byte
	rand.Read(b[:])
	return prefix + hex.EncodeToString(b[:]), SourceRandom
}

// serialNumber is the board's serial number, "" if it has none or one of zeros.
func serialNumber(root string) string {
	serial := probe(root, "/proc/device-tree/serial-number")
	if serial == "" {
		lines := bufio.NewScanner(strings.NewReader(probe(root, "/proc/cpuinfo")))
		for lines.Scan() {
			key, value, found := strings.Cut(lines.Text(), ":")
			if found && strings.TrimSpace(key) == "Serial" {
				serial = strings.TrimSpace(value)
			}
		}
	}
	if len(serial) < tail || strings.Trim(serial, "0") == "" {
		return ""
	}
	return serial
}

// machineID is the content of /etc/machine-id, "" if it is not one (yet).
func machineID(root string) string {
	id := probe(root, "/etc/machine-id")
	if b, err := hex.DecodeString(id); err != nil || len(b) != 16 || strings.Trim(id, "0") == "" {
		return ""
	}
	return id
}

// hardwareAddress is the first address, by interface name, that is burnt in and
// belongs to Ethernet or Wi-Fi, as hex digits.
func hardwareAddress(root string) string {
	const permanent, ethernet = "0", "1"                             // NET_ADDR_PERM, ARPHRD_ETHER of linux/netdevice.h and linux/if_arp.h
	dirs, _ := filepath.Glob(filepath.Join(root, "sys/class/net/*")) // sorted
	for _, dir := range dirs {
		if probe(dir, "addr_assign_type") != permanent || probe(dir, "type") != ethernet {
			continue
		}
		digits := strings.ReplaceAll(probe(dir, "address"), ":", "")
		b, err := hex.DecodeString(digits)
		if err != nil || len(b) != 6 || b[0]&0x03 != 0 || strings.Trim(digits, "0") == "" {
			continue // not an address, of a group, locally administered, or none
		}
		return digits
	}
	return ""
}

// probe reads a small file of the machine, without NUL bytes and white space
// around it, and returns "" if it cannot.
func probe(root, path string) string {
	file, err := os.Open(filepath.Join(root, path))
	if err != nil {
		return ""
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxProbe))
	if err != nil {
		return ""
	}
	return strings.Trim(string(text), "\x00 \t\r\n")
}

// sanitize replaces what is not of A-Z a-z 0-9 _ - by "-".
func sanitize(s string) string {
	return strings.Map(func(r rune) rune {
		if plain(r) {
			return r
		}
		return '-'
	}, s)
}

func plain(r rune) bool {
	return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' || r == '-'
}

func last(s string, n int) string { return s[max(0, len(s)-n):] }

// fingerprint is what the file keeps of a serial number, "" of none.
func fingerprint(serial string) string {
	if serial == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(serial))
	return hex.EncodeToString(sum[:8])
}
