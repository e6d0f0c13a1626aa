package gateway

import (
	"slices"
	"strings"

	"weir/broker/auth"
	"weir/broker/topic"
	"weir/gateway/config"
)

// rights is what one client may do: what a filter takes that the tables grant it, and what the access control list of
// its listener grants. What the list denies in so many words no table grants. It does not change.
type rights struct {
	publish, subscribe []topic.Filter // of tables
	list               *auth.Access   // nil: the listener has none
	delivery           bool           // what it may read is judged at delivery; SUBSCRIBE is granted
}

// MayPublish implements broker.Rights.
func (r *rights) MayPublish(name []byte) bool {
	if r.list != nil {
		if v := r.list.Publish(name); v != auth.Silent {
			return v == auth.Granted
		}
	}
	return takenBy(r.publish, name)
}

// MayReceive implements broker.Rights.
func (r *rights) MayReceive(name []byte) bool {
	if r.list != nil {
		if v := r.list.Receive(name); v != auth.Silent {
			return v == auth.Granted
		}
	}
	return takenBy(r.subscribe, name)
}

func takenBy(filters []topic.Filter, name []byte) bool {
	for i := range filters {
		if filters[i].Match(name) {
			return true
		}
	}
	return false
}

// MaySubscribe implements broker.Rights.
func (r *rights) MaySubscribe(wanted topic.Filter) bool { return r.delivery || r.ReceivesAll(wanted) }

// ReceivesAll tells whether one filter covers the one that is asked for.
func (r *rights) ReceivesAll(wanted topic.Filter) bool {
	if r.list != nil {
		if r.list.ReceivesAll(wanted) {
			return true
		}
		if r.list.MayDeny(wanted) {
			return false
		}
	}
	return slices.ContainsFunc(r.subscribe, func(f topic.Filter) bool { return f.Covers(wanted) })
}

var everything = func() []topic.Filter {
	f, err := topic.ParseFilter("#")
	if err != nil {
		panic(err) // it is a filter
	}
	return []topic.Filter{f}
}()

// tableRights gives the rights of users by the tables of the configuration.
type tableRights struct{ tables map[string]*config.User }

// open is what every client may do where nothing says who may do what: one for all, as there may be many.
var open = &rights{publish: everything, subscribe: everything}

// none tells whether there is no table.
func (t *tableRights) none() bool { return len(t.tables) == 0 }

func newTableRights(tables map[string]*config.User) *tableRights { return &tableRights{tables} }

// of is what the tables grant a client. Without any table it is everything but what begins with $, if the client's
// listener is open: has no access control list. Otherwise a user who has logged in may do what the table of the name and
// the one named "*" grant together, and a client that has not, whose user is "", nothing.
func (t *tableRights) of(user, client string, open bool) *rights {
	r := &rights{}
	switch {
	case t.none() && open:
		r.publish, r.subscribe = everything, everything
	case user != "":
		r.grant(t.tables["*"], user, client)
		if user != "*" {
			r.grant(t.tables[user], user, client)
		}
	}
	return r
}

// grant adds what a table grants; nil: nothing.
func (r *rights) grant(table *config.User, user, client string) {
	if table == nil {
		return
	}
	r.publish = append(r.publish, personal(table.Publish, user, client)...)
	r.subscribe = append(r.subscribe, personal(table.Subscribe, user, client)...)
}

// personal replaces {user} and {client} in filters. A name must not make a filter take more than its own topics, so one
// that is empty, holds a separator or a wildcard of topics, or a $, which could make a $-topic or a shared subscription,
// has no right by a filter with its placeholder; nor has anyone by "${user}/…".
func personal(filters []topic.Filter, user, client string) (out []topic.Filter) {
	for _, f := range filters {
		text := f.String()
		hasUser, hasClient := strings.Contains(text, "{user}"), strings.Contains(text, "{client}")
		switch {
		case !hasUser && !hasClient:
			out = append(out, f)
			continue
		case hasUser && !plain(user), hasClient && !plain(client), strings.HasPrefix(text, "${"):
			continue
		}
		g, err := topic.ParseFilter(strings.NewReplacer("{user}", user, "{client}", client).Replace(text))
		if _, shared := g.Shared(); err == nil && !shared {
			out = append(out, g)
		}
	}
	return out
}

// plain tells whether a name can stand in a filter and be one level, or part of one, and nothing else.
func plain(name string) bool { return name != "" && !strings.ContainsAny(name, "/+#$\x00") }
