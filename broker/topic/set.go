package topic

import "slices"

// A set is what stands at one filter: elements, and those of shared groups
// apart. It is small when it holds one, and quick when it holds many.
type set[E comparable] struct {
	one    E        // the only element, if single
	some   *more[E] // all elements, if set; then none is single
	single bool
}

// more is what few sets need.
type more[E comparable] struct {
	list   []E
	index  map[E]int          // where an element is in list; nil while they are few
	groups map[string]*set[E] // of shared filters, by group; none of them empty, but while one is changed
}

const fewElements = 16

func (s set[E]) empty() bool { return !s.single && s.some == nil }

// more returns s.some, made if needed.
func (s *set[E]) more() *more[E] {
	if s.some == nil {
		s.some = &more[E]{}
		if s.single {
			var none E
			s.some.list = []E{s.one}
			s.one, s.single = none, false
		}
	}
	return s.some
}

// group returns the set of a shared group, made if needed.
func (s *set[E]) group(name string) *set[E] {
	m := s.more()
	if g := m.groups[name]; g != nil {
		return g
	}
	if m.groups == nil {
		m.groups = map[string]*set[E]{}
	}
	g := &set[E]{}
	m.groups[string([]byte(name))] = g // a copy: name is a part of a filter's text
	return g
}

// at returns where an element is in the list, -1 if it is not.
func (m *more[E]) at(e E) int {
	if m.index != nil {
		if i, ok := m.index[e]; ok {
			return i
		}
		return -1
	}
	return slices.Index(m.list, e)
}

// add puts an element in and reports whether it was there.
func (s *set[E]) add(e E) (had bool) {
	switch {
	case s.single && s.one == e:
		return true
	case s.empty():
		s.one, s.single = e, true
		return false
	}
	m := s.more()
	if m.at(e) >= 0 {
		return true
	}
	m.list = append(m.list, e)
	if len(m.list) <= fewElements && m.index == nil {
		return false
	}
	if m.index == nil { // it outlives a few removals, and has to know whatever comes meanwhile
		m.index = make(map[E]int, 2*fewElements)
		for i, x := range m.list {
			m.index[x] = i
		}
	}
	m.index[e] = len(m.list) - 1
	return false
}

// remove drops an element and reports whether it was there.
func (s *set[E]) remove(e E) bool {
	var none E
	m := s.some
	if m == nil {
		if !s.single || s.one != e {
			return false
		}
		s.one, s.single = none, false
		return true
	}
	i := m.at(e)
	if i < 0 {
		return false
	}
	last := len(m.list) - 1
	if m.index != nil {
		m.index[m.list[last]] = i
		delete(m.index, e)
	}
	m.list[i] = m.list[last]
	m.list[last] = none
	m.list = m.list[:last]
	s.shrink()
	return true
}

// shrink gives room back when most of it is unused.
func (s *set[E]) shrink() {
	m := s.some
	if len(m.list) <= fewElements/2 {
		m.index = nil
	}
	switch {
	case len(m.groups) == 0 && len(m.list) <= 1:
		s.some = nil
		if len(m.list) == 1 {
			s.one, s.single = m.list[0], true
		}
	case len(m.list) == 0:
		m.list = nil
	case cap(m.list) > 4*len(m.list):
		m.list = append(make([]E, 0, 2*len(m.list)), m.list...)
	}
}

// removeFrom drops the element of a filter that ends here, with or without a group.
func (s *set[E]) removeFrom(f Filter, e E) bool {
	name, shared := f.Shared()
	if !shared {
		return s.remove(e)
	}
	if s.some == nil {
		return false
	}
	g := s.some.groups[name]
	if g == nil || !g.remove(e) {
		return false
	}
	if g.empty() {
		delete(s.some.groups, name)
		s.shrink()
	}
	return true
}

// appendTo appends all elements, those of groups too.
func (s *set[E]) appendTo(dst []E) []E {
	if s.single {
		return append(dst, s.one)
	}
	if s.some == nil {
		return dst
	}
	dst = append(dst, s.some.list...)
	for _, g := range s.some.groups {
		dst = g.appendTo(dst)
	}
	return dst
}
