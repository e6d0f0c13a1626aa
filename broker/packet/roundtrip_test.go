package packet

import (
	"bytes"
	"reflect"
	"testing"
)

// codec is what every packet type has.
type codec interface {
	Decode(Frame, Version) error
	Append([]byte, Version) ([]byte, error)
}

// blank makes an empty packet of a type.
func blank(t Type) codec {
	switch t {
	case TypeConnect:
		return new(Connect)
	case TypeConnack:
		return new(Connack)
	case TypePublish:
		return new(Publish)
	case TypePuback, TypePubrec, TypePubrel, TypePubcomp:
		return new(Ack)
	case TypeSubscribe:
		return new(Subscribe)
	case TypeSuback:
		return new(Suback)
	case TypeUnsubscribe:
		return new(Unsubscribe)
	case TypeUnsuback:
		return new(Unsuback)
	case TypePingreq:
		return new(Pingreq)
	case TypePingresp:
		return new(Pingresp)
	case TypeDisconnect:
		return new(Disconnect)
	case TypeAuth:
		return new(Auth)
	}
	panic("no such type")
}

// versionOf is the version to write what was decoded: CONNECT says its own.
func versionOf(p codec, v Version) Version {
	if c, ok := p.(*Connect); ok {
		return c.Version
	}
	return v
}

// roundTrip takes one packet apart, writes it, takes that apart again and wants the same values; then the written form
// must be a fixed point. It reports whether buf starts with a packet that decodes.
func roundTrip(t *testing.T, buf []byte, v Version) bool {
	t.Helper()
	f, n, err := Next(buf, 0)
	if err != nil || n == 0 {
		return false
	}
	if n > len(buf) {
		t.Fatalf("Next took %d of %d bytes", n, len(buf))
	}
	p := blank(f.Type)
	if err := p.Decode(f, v); err != nil {
		if _, ok := err.(*Error); !ok {
			t.Fatalf("Decode gave a %T", err)
		}
		return false
	}
	v = versionOf(p, v)
	out, err := p.Append(nil, v)
	if err != nil {
		t.Fatalf("% x decoded as %+v, but Append: %v", buf[:n], p, err)
	}
	if len(out) > n {
		t.Fatalf("written in %d bytes, was read from %d: % x from % x", len(out), n, out, buf[:n])
	}
	f, m, err := Next(out, len(out))
	if err != nil || m != len(out) {
		t.Fatalf("Next of what was written: %d of %d bytes, %v", m, len(out), err)
	}
	q := blank(f.Type)
	if err := q.Decode(f, v); err != nil {
		t.Fatalf("Append wrote % x, but Decode: %v", out, err)
	}
	if !same(p, q) {
		t.Fatalf("got  %+v\nwant %+v", q, p)
	}
	again, err := q.Append(nil, v)
	if err != nil || !bytes.Equal(again, out) {
		t.Fatalf("written again: % x, %v, want % x", again, err, out)
	}
	return true
}

// same compares two packets by value, an empty slice being the same as none.
func same(a, b any) bool { return sameValue(reflect.ValueOf(a), reflect.ValueOf(b)) }

func sameValue(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Pointer:
		return sameValue(a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			if !sameValue(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !sameValue(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	}
	return a.Equal(b)
}
