package broker

import "iter"

// subscribed are those of one session by filter. Most clients have one, which stands in its place; then comes a list, and
// a map when looking through that would take long. The zero value is empty, and two words.
type subscribed struct {
	first *subscription // nil: there is none, or there are others only
	*others
}

// others are those besides the first one.
type others struct {
	list []*subscription
	many map[string]*subscription // instead of list; nil before
}

// subscriptionsListed is how many the list holds at most.
const subscriptionsListed = 8

func (s *subscribed) len() int {
	n := 0
	if s.first != nil {
		n++
	}
	if s.others != nil {
		n += len(s.list) + len(s.many)
	}
	return n
}

// get is the subscription with a filter; nil: there is none.
func (s *subscribed) get(filter string) *subscription {
	if s.first != nil && s.first.filter.String() == filter {
		return s.first
	}
	if s.others == nil {
		return nil
	}
	for _, sub := range s.list {
		if sub.filter.String() == filter {
			return sub
		}
	}
	return s.many[filter]
}

// add puts one in whose filter is not there.
func (s *subscribed) add(sub *subscription) {
	if s.first == nil {
		s.first = sub
		return
	}
	if s.others == nil {
		s.others = &others{}
	}
	switch {
	case s.many != nil:
		s.many[sub.filter.String()] = sub
	case len(s.list) < subscriptionsListed:
		s.list = append(s.list, sub)
	default:
		s.many = make(map[string]*subscription, 2*subscriptionsListed)
		for _, old := range s.list {
			s.many[old.filter.String()] = old
		}
		s.list = nil
		s.many[sub.filter.String()] = sub
	}
}

// remove takes one out, if it is there.
func (s *subscribed) remove(filter string) {
	if s.first != nil && s.first.filter.String() == filter {
		s.first = nil
		return
	}
	if s.others == nil {
		return
	}
	delete(s.many, filter)
	for i, sub := range s.list {
		if sub.filter.String() == filter {
			last := len(s.list) - 1
			s.list[i] = s.list[last]
			s.list[last] = nil
			s.list = s.list[:last]
			return
		}
	}
}

// all goes through them, in no promised order. None may be added or removed meanwhile.
func (s *subscribed) all() iter.Seq[*subscription] {
	return func(yield func(*subscription) bool) {
		if s.first != nil && !yield(s.first) || s.others == nil {
			return
		}
		for _, sub := range s.list {
			if !yield(sub) {
				return
			}
		}
		for _, sub := range s.many {
			if !yield(sub) {
				return
			}
		}
	}
}
