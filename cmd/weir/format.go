package main

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"weir/broker/packet"
)

// checkFormat says which letter of a sub -F format is not known.
func checkFormat(format string) error {
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		i++
		if i == len(format) {
			return fmt.Errorf("-F %q: ends in %%; a percent sign is written %%%%", format)
		}
		switch format[i] {
		case 't', 'p', 'x', 'q', 'r', 'l', 'U', 'I', '%':
		default:
			return fmt.Errorf("-F %q: %%%c is not known; want %%t %%p %%x %%q %%r %%l %%U %%I %%%%", format, format[i])
		}
	}
	return nil
}

// appendFormat appends a message in a checked format. \n, \t and \\ are understood. For a terminal topic and payload are made
// harmless.
func appendFormat(b []byte, format string, p *packet.Publish, now time.Time, terminal bool) []byte {
	for i := 0; i < len(format); i++ {
		switch {
		case format[i] == '%':
			i++
			b = appendLetter(b, format[i], p, now, terminal)
		case format[i] == '\\' && i+1 < len(format):
			i++
			b = appendEscape(b, format[i])
		default:
			b = append(b, format[i])
		}
	}
	return b
}

func appendLetter(b []byte, letter byte, p *packet.Publish, now time.Time, terminal bool) []byte {
	switch letter {
	case 't':
		if terminal {
			return appendVisible(b, p.Topic)
		}
		return append(b, p.Topic...)
	case 'p':
		if terminal {
			return appendVisible(b, p.Payload)
		}
		return append(b, p.Payload...)
	case 'x':
		return hex.AppendEncode(b, p.Payload)
	case 'q':
		return strconv.AppendInt(b, int64(p.QoS), 10)
	case 'r':
		if p.Retain {
			return append(b, '1')
		}
		return append(b, '0')
	case 'l':
		return strconv.AppendInt(b, int64(len(p.Payload)), 10)
	case 'U':
		return fmt.Appendf(b, "%d.%09d", now.Unix(), now.Nanosecond())
	case 'I':
		return now.AppendFormat(b, "2006-01-02T15:04:05-0700")
	}
	return append(b, '%')
}

func appendEscape(b []byte, letter byte) []byte {
	switch letter {
	case 'n':
		return append(b, '\n')
	case 't':
		return append(b, '\t')
	}
	return append(b, letter)
}
