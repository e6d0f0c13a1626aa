package topic

// A set is what stands at one filter: values by key, and those of shared groups
// apart. It is small when it holds one value, and quick when it holds many.
type set[K comparable, V any] struct {
	entries []entry[K, V]
	more    *more[K, V] // nil until needed
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

// more is what few sets need.
type more[K comparable, V any] struct {
	index  map[K]int             // where a key is in entries; nil while they are few
	groups map[string]*set[K, V] // of shared filters, by group; none of them empty, but while one is changed
}

const fewEntries = 16

func (s set[K, V]) empty() bool {
	return len(s.entries) == 0 && (s.more == nil || len(s.more.groups) == 0)
}

// extra returns s.more, made if needed.
func (s *set[K, V]) extra() *more[K, V] {
	if s.more == nil {
		s.more = &more[K, V]{}
	}
	return s.more
}

// group returns the set of a shared group, made if needed.
func (s *set[K, V]) group(name string) *set[K, V] {
	m := s.extra()
	if g := m.groups[name]; g != nil {
		return g
	}
	if m.groups == nil {
		m.groups = map[string]*set[K, V]{}
	}
	g := &set[K, V]{}
	m.groups[string([]byte(name))] = g // a copy: name is a part of a filter's text
	return g
}

// at returns where a key is in entries, -1 if it is not.
func (s *set[K, V]) at(k K) int {
	if s.more != nil && s.more.index != nil {
		if i, ok := s.more.index[k]; ok {
			return i
		}
		return -1
	}
	for i := range s.entries {
		if s.entries[i].key == k {
			return i
		}
	}
	return -1
}

// put stores a value and reports whether it replaced one.
func (s *set[K, V]) put(k K, v V) (replaced bool) {
	if i := s.at(k); i >= 0 {
		s.entries[i].value = v
		return true
	}
	s.entries = append(s.entries, entry[K, V]{k, v})
	if len(s.entries) <= fewEntries && (s.more == nil || s.more.index == nil) {
		return false
	}
	m := s.extra() // an index outlives a few removals, and has to know whatever comes meanwhile
	if m.index == nil {
		m.index = make(map[K]int, 2*fewEntries)
		for i := range s.entries {
			m.index[s.entries[i].key] = i
		}
	}
	m.index[k] = len(s.entries) - 1
	return false
}

// remove drops a key and reports whether it was there.
func (s *set[K, V]) remove(k K) bool {
	i := s.at(k)
	if i < 0 {
		return false
	}
	last := len(s.entries) - 1
	if s.more != nil && s.more.index != nil {
		s.more.index[s.entries[last].key] = i
		delete(s.more.index, k)
	}
	s.entries[i] = s.entries[last]
	s.entries[last] = entry[K, V]{}
	s.entries = s.entries[:last]
	s.shrink()
	return true
}

// shrink gives room back when most of it is unused.
func (s *set[K, V]) shrink() {
	if len(s.entries) <= fewEntries/2 && s.more != nil {
		s.more.index = nil
		if len(s.more.groups) == 0 {
			s.more = nil
		}
	}
	if len(s.entries) == 0 {
		s.entries = nil
	} else if cap(s.entries) > 4*len(s.entries) {
		s.entries = append(make([]entry[K, V], 0, 2*len(s.entries)), s.entries...)
	}
}

// removeFrom drops the key of a filter that ends here, with or without a group.
func (s *set[K, V]) removeFrom(f Filter, k K) bool {
	name, shared := f.Shared()
	if !shared {
		return s.remove(k)
	}
	if s.more == nil {
		return false
	}
	g := s.more.groups[name]
	if g == nil || !g.remove(k) {
		return false
	}
	if g.empty() {
		delete(s.more.groups, name)
		s.shrink()
	}
	return true
}

// appendTo appends all values, those of groups too.
func (s *set[K, V]) appendTo(dst []V) []V {
	for i := range s.entries {
		dst = append(dst, s.entries[i].value)
	}
	if s.more != nil {
		for _, g := range s.more.groups {
			dst = g.appendTo(dst)
		}
	}
	return dst
}
