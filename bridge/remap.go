package bridge

import (
	"bytes"
	"fmt"
	"strings"

	"weir/broker/packet"
	"weir/broker/topic"
)

// Remap appends to dst the topic that name has upstream. The error is a *packet.Error with TopicNameInvalid if that is
// no valid topic.
func (r *Rule) Remap(dst, name []byte) ([]byte, error) { return remap(dst, name, r.Strip, r.Prefix) }

// Remap appends to dst the topic that name, a topic upstream, has here.
func (r *ReceiveRule) Remap(dst, name []byte) ([]byte, error) {
	return remap(dst, name, r.Strip, r.Prefix)
}

// Takes reports whether filter and exclude of the rule take a topic.
func (r *Rule) Takes(name []byte) bool {
	if !r.Filter.Match(name) {
		return false
	}
	for _, x := range r.Exclude {
		if x.Match(name) {
			return false
		}
	}
	return true
}

// remap strips and prefixes whole levels. A slash at the end of strip or prefix says nothing; "/" alone is one empty
// level. A name that does not begin with strip keeps all its levels.
//
//	name        strip   prefix      result
//	/Home/x             sites/7     sites/7/Home/x     an empty first level is dropped under a prefix
//	Home/x              sites/7     sites/7/Home/x
//	a/b/c       a       z           z/b/c
//	a/b/c       a/b                 c
//	a           a       z           z
//	ab/c        a       z           z/ab/c             whole levels only
//	/a          /                   a
func remap(dst, name []byte, strip, prefix string) ([]byte, error) {
	rest, empty := name, false // empty: nothing of the name is left, not even an empty level
	if strip != "" {
		strip = strings.TrimSuffix(strip, "/")
		switch {
		case string(name) == strip:
			rest, empty = nil, true
		case len(name) > len(strip) && name[len(strip)] == '/' && string(name[:len(strip)]) == strip:
			rest = name[len(strip)+1:]
		}
	}
	at := len(dst)
	if prefix != "" {
		dst = append(dst, strings.TrimSuffix(prefix, "/")...)
		if !empty {
			dst = append(dst, '/')
			rest = bytes.TrimPrefix(rest, slash)
		}
	}
	dst = append(dst, rest...)
	if err := topic.ValidName(dst[at:]); err != nil {
		return dst[:at], &packet.Error{Reason: packet.TopicNameInvalid, Text: fmt.Sprintf("after strip and prefix: %v", err)}
	}
	return dst, nil
}

var slash = []byte{'/'}
