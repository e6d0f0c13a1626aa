package broker

import "iter"

// subscribed are those of one session by filter. Most clients have a few, which a list holds in a word each; a map comes
// when looking through it would take long. The zero value is empty.
type subscribed struct {
	list []*subscription
	many map[string]*subscription // instead of list; nil before
}

// subscriptionsListed is how many the list holds at most.
const subscriptionsListed = 8

func (s *subscribed) len() int { return len(s.list) + len(s.many) }

// get is the subscription with a filter; nil: there is none.
func (s *subscribed) get(filter string) *subscription {
	for _, sub := range s.list {
		if sub.filter.String() == filter {
			return sub
		}
	}
	return s.many[filter]
}

// add puts one in whose filter is not there.
func (s *subscribed) add(sub *subscription) {
	switch {
	case s.many != nil:
		s.many[sub.filter.String()] = sub
	case len(s.list) < subscriptionsListed:
		if s.list == nil {
			s.list = make([]*subscription, 0, 1) // as most have
		}
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
