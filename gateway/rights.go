package gateway

import (
	"slices"
	"strings"

	"weir/broker"
	"weir/broker/topic"
	"weir/gateway/config"
)

// rights is what one user may do: what one of the filters takes. It does not change.
type rights struct{ publish, subscribe []topic.Filter }

// MayPublish tells whether a filter takes the topic.
func (r *rights) MayPublish(name []byte) bool {
	for i := range r.publish {
		if r.publish[i].Match(name) {
			return true
		}
	}
	return false
}

// MaySubscribe tells whether one filter covers the one that is asked for.
func (r *rights) MaySubscribe(wanted topic.Filter) bool {
	return slices.ContainsFunc(r.subscribe, func(f topic.Filter) bool { return f.Covers(wanted) })
}

// userRights gives the rights of users by the tables of the configuration. Without any table everyone may do everything
// but what begins with $. Otherwise a user who has logged in may do what the table of the name and the one named "*"
// grant together, and a client that has not, whose user is "", nothing.
func userRights(tables map[string]*config.User) func(user string) broker.Rights {
	everything, err := topic.ParseFilter("#")
	if err != nil {
		panic(err) // it is a filter
	}
	all, none := []topic.Filter{everything}, &rights{}
	return func(user string) broker.Rights {
		switch {
		case len(tables) == 0:
			return &rights{publish: all, subscribe: all}
		case user == "":
			return none
		}
		r := &rights{}
		r.grant(tables["*"], user)
		r.grant(tables[user], user)
		return r
	}
}

// grant adds what a table grants; nil: nothing.
func (r *rights) grant(table *config.User, user string) {
	if table == nil {
		return
	}
	r.publish = append(r.publish, personal(table.Publish, user)...)
	r.subscribe = append(r.subscribe, personal(table.Subscribe, user)...)
}

// personal replaces {user} in filters. The name must not make a filter take more than its own topics, so one that is
// empty, holds a separator or a wildcard of topics, or a $, which could make a $-topic or a shared subscription, has no
// right by a filter with {user}; nor has anyone by "${user}/…".
func personal(filters []topic.Filter, user string) (out []topic.Filter) {
	plain := user != "" && !strings.ContainsAny(user, "/+#$\x00")
	for _, f := range filters {
		text := f.String()
		if !strings.Contains(text, "{user}") {
			out = append(out, f)
			continue
		}
		if !plain || strings.HasPrefix(text, "${user}") {
			continue
		}
		g, err := topic.ParseFilter(strings.ReplaceAll(text, "{user}", user))
		if _, shared := g.Shared(); err == nil && !shared {
			out = append(out, g)
		}
	}
	return out
}
