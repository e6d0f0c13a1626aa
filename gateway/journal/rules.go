package journal

import (
	"fmt"
	"strconv"
	"strings"
)

// Intern gives each rule text of an upstream its number: the one it already has, or the next unused one. Texts are
// compared byte by byte. The numbers are durable when Intern returns no error; with numbers and an error they are valid
// and not durable yet.
func (j *Journal) Intern(upstream string, texts []string) ([]uint32, error) {
	prefix := "rule/" + upstream + "/"
	known, next := map[string]uint32{}, uint32(1)
	for id, text := range j.Rules(upstream) {
		known[text] = id
		next = max(next, id+1)
	}
	ids := make([]uint32, len(texts))
	for i, text := range texts {
		id, ok := known[text]
		if !ok {
			id = next
			next++
			known[text] = id
			if err := j.log.Put(prefix+strconv.FormatUint(uint64(id), 10), []byte(text)); err != nil {
				return nil, fmt.Errorf("keep the forward rules of %s: %w", upstream, err)
			}
		}
		ids[i] = id
	}
	if err := j.log.Commit(); err != nil {
		return ids, fmt.Errorf("write the forward rules of %s: %w", upstream, err)
	}
	return ids, nil
}

// Rules gives every rule text of an upstream that was ever interned, by number.
func (j *Journal) Rules(upstream string) map[uint32]string {
	prefix := "rule/" + upstream + "/"
	rules := map[uint32]string{}
	j.log.Range(prefix, func(key string, value []byte) bool {
		if id, err := strconv.ParseUint(strings.TrimPrefix(key, prefix), 10, 32); err == nil {
			rules[uint32(id)] = string(value)
		}
		return true
	})
	return rules
}
