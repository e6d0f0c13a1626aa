package auth

import (
	"slices"
	"strings"

	"weir/broker/topic"
)

// ACL is an access control list in mosquitto's form: see the picture in doc.go. It does not change once it is read.
type ACL struct {
	users    map[string]rules // by user name; "" is the section of anonymous clients
	patterns []pattern
}

// right is what a rule is about; 0: deny.
type right uint8

const (
	read right = 1 << iota
	write
	deny right = 0
)

// rules of one list, in the order in which they are looked at: what denies first.
type rules struct {
	deny  []topic.Filter
	grant []grant
}

type grant struct {
	filter topic.Filter
	right  right
}

// pattern is a rule whose filter holds %u and %c still.
type pattern struct {
	text  string
	right right
}

// A Verdict is what an access control list says of a client and a topic.
type Verdict uint8

// Silent is the verdict of a list that says nothing; alone, that is a denial.
const (
	Silent Verdict = iota
	Granted
	Denied
)

func (r *rules) add(f topic.Filter, what right) {
	if what == deny {
		r.deny = append(r.deny, f)
		return
	}
	r.grant = append(r.grant, grant{f, what})
}

// judge goes through the list.
func (r *rules) judge(name []byte, want right) Verdict {
	for i := range r.deny {
		if r.deny[i].Match(name) {
			return Denied
		}
	}
	for i := range r.grant {
		if r.grant[i].right&want != 0 && r.grant[i].filter.Match(name) {
			return Granted
		}
	}
	return Silent
}

// Access is what a list says of one client. It does not change; its methods allocate nothing and are safe for concurrent
// use.
type Access struct {
	own      rules // of the user
	patterns rules // of everyone, with the names of this client in them
}

// For gives what the list says of a client; user is "" for one that has not logged in.
func (a *ACL) For(user, client string) *Access {
	access := &Access{own: a.users[user]}
	dangerous := strings.ContainsAny(user+client, "+#")
	for _, p := range a.patterns {
		if p.right != deny && dangerous { // as mosquitto does: CVE-2017-7650
			continue
		}
		if f, ok := p.expand(user, client); ok {
			access.patterns.add(f, p.right)
		}
	}
	return access
}

// expand puts the names in. ok is false if the pattern says nothing of this client: one with %u for a client without a user
// name; one that grants and would take more, by a name that is more than one level or begins a special topic, than it does
// for other names; one that denies and makes no filter, since no topic can hold such a name. A denial by a name of several
// levels holds.
func (p pattern) expand(user, client string) (topic.Filter, bool) {
	for placeholder, name := range map[string]string{"%u": user, "%c": client} {
		if !strings.Contains(p.text, placeholder) {
			continue
		}
		if name == "" || p.right != deny && strings.ContainsAny(name, "/+#$\x00") {
			return topic.Filter{}, false
		}
	}
	f, err := topic.ParseFilter(strings.NewReplacer("%u", user, "%c", client).Replace(p.text))
	_, shared := f.Shared()
	return f, err == nil && !shared
}

// Publish tells what the list says of publishing to a topic.
func (a *Access) Publish(name []byte) Verdict { return a.judge(name, write) }

// Receive tells what the list says of getting messages of a topic.
func (a *Access) Receive(name []byte) Verdict { return a.judge(name, read) }

// judge looks at the rules of the user first: what they grant no pattern denies.
func (a *Access) judge(name []byte, want right) Verdict {
	if v := a.own.judge(name, want); v != Silent {
		return v
	}
	return a.patterns.judge(name, want)
}

// ReceivesAll tells whether the list grants getting messages of every topic that a filter takes. It may say no where a
// list grants them by several rules together.
func (a *Access) ReceivesAll(f topic.Filter) bool {
	switch {
	case overlapsAny(a.own.deny, f):
		return false
	case a.own.reads(f):
		return true
	}
	return !overlapsAny(a.patterns.deny, f) && a.patterns.reads(f)
}

// MayDeny tells whether there may be a topic that a filter takes and the list denies.
func (a *Access) MayDeny(f topic.Filter) bool {
	return overlapsAny(a.own.deny, f) || overlapsAny(a.patterns.deny, f)
}

func overlapsAny(list []topic.Filter, f topic.Filter) bool {
	return slices.ContainsFunc(list, f.Overlaps)
}

// reads tells whether one rule grants all that a filter takes.
func (r *rules) reads(f topic.Filter) bool {
	return slices.ContainsFunc(r.grant, func(g grant) bool { return g.right&read != 0 && g.filter.Covers(f) })
}
