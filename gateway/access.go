package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"weir/broker"
	"weir/broker/auth"
	"weir/broker/topic"
	"weir/gateway/config"
)

// access is who may come in and do what, as the configuration says it now. It implements broker.Authenticator, and is
// what the broker asks for rights. A reload puts another set in its place.
type access struct {
	g         *Gateway
	key       []byte          // of digests of passwords, random per process
	passwords *auth.Passwords // without users: its turn and its key are those of all password files
	now       atomic.Pointer[accessSet]
}

// accessSet is what one configuration says. It does not change.
type accessSet struct {
	users    *users
	listener map[string]*config.Listener
	acls     map[string]*auth.ACL // by listener; nil: it has none
	rights   *tableRights

	redirects map[string]*broker.Redirect // by listener; without one it serves its clients
}

// AccessError tells that a file of users or rights cannot be used; it ends the start, since without it everyone could
// do everything, or nobody anything.
type AccessError struct{ Err error }

func (e *AccessError) Error() string { return e.Err.Error() }
func (e *AccessError) Unwrap() error { return e.Err }

// settingError is what is wrong with what a setting names.
type settingError struct {
	setting string
	err     error
}

func (e *settingError) Error() string { return e.setting + ": " + e.err.Error() }
func (e *settingError) Unwrap() error { return e.err }

// CheckAccess reads the files of users and rights that a configuration names, and says all that is wrong with them. Of one that
// may not be read it only warns: the user that weir runs as may.
func CheckAccess(cfg *config.Config) (problems []config.Problem) {
	g := &Gateway{cfg: cfg, log: slog.New(slog.DiscardHandler)}
	_, err := g.newAccess()
	each(err, func(err error) {
		setting, severity, text := "listener", config.Error, err
		if s := (*settingError)(nil); errors.As(err, &s) {
			setting, text = s.setting, s.err
		}
		if errors.Is(err, fs.ErrPermission) {
			severity, text = config.Warning, fmt.Errorf("not checked: %w", text)
		}
		problems = append(problems, cfg.At(setting, severity, text.Error()))
	})
	return problems
}

// each calls f for every error that was joined into one.
func each(err error, f func(error)) {
	switch e := err.(type) {
	case nil:
	case *AccessError:
		each(e.Err, f)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			each(one, f)
		}
	default:
		f(err)
	}
}

// newAccess reads what the configuration names.
func (g *Gateway) newAccess() (*access, error) {
	a := &access{g: g, key: make([]byte, 32), passwords: auth.NewPasswords()}
	rand.Read(a.key) // never fails: crypto/rand ends the process instead
	set, err := a.read(g.cfg)
	if err != nil {
		return nil, &AccessError{err}
	}
	a.now.Store(set)
	return a, nil
}

// reloadable is access as a part that takes a new configuration.
func (a *access) reloadable() reloadable {
	return reloadable{
		takes: func(setting string) bool {
			if strings.HasPrefix(setting, "user.") {
				return true
			}
			name, key, ok := cutListener(setting)
			return ok && a.now.Load().listener[name] != nil && slices.Contains([]string{"anonymous", "passwords", "acl", "acl_check", "redirect", "redirect_permanent"}, key)
		},
		prepare: func(cfg *config.Config) (func(), error) {
			set, err := a.read(cfg)
			if err != nil {
				return nil, err
			}
			return func() {
				a.now.Store(set)
				if n := a.g.broker.Reauthorize(); n > 0 {
					a.g.log.Info("clients disconnected whose login does not hold any more", "clients", n)
				}
			}, nil
		},
	}
}

// cutListener takes a setting such as listener.lan.acl apart.
func cutListener(setting string) (name, key string, ok bool) {
	rest, ok := strings.CutPrefix(setting, "listener.")
	at := strings.LastIndexByte(rest, '.')
	if !ok || at < 0 {
		return "", "", false
	}
	return strings.Trim(rest[:at], `"`), rest[at+1:], true
}

// read makes the set of a configuration. Listeners that run and are not in it any more, which takes a restart, stay as
// they are.
func (a *access) read(cfg *config.Config) (*accessSet, error) {
	merged := *cfg
	var inForce map[string]*auth.Passwords
	if before := a.now.Load(); before != nil {
		inForce = before.users.files
		merged.Listener = maps.Clone(before.listener)
		maps.Copy(merged.Listener, cfg.Listener)
	}
	users, err := a.readUsers(&merged, inForce)
	errs := []error{err}
	set := &accessSet{users: users, listener: merged.Listener, acls: map[string]*auth.ACL{}, rights: newTableRights(cfg.User),
		redirects: map[string]*broker.Redirect{}}
	for _, name := range slices.Sorted(maps.Keys(merged.Listener)) {
		if l := merged.Listener[name]; l.Redirect != "" {
			set.redirects[name] = &broker.Redirect{To: l.Redirect, Permanent: l.RedirectPermanent}
		}
		path := merged.Listener[name].ACL
		if path == "" {
			continue
		}
		acl, warning, err := auth.LoadACL(path)
		switch {
		case err != nil:
			errs = append(errs, fileError(name, "acl", path, err))
		case warning.Doubtful():
			a.g.log.Warn(warning.String(), "listener", name)
		}
		set.acls[name] = acl
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return set, nil
}

// Verify implements broker.Authenticator.
func (a *access) Verify(ctx context.Context, listener, user string, password []byte) (bool, error) {
	return a.now.Load().users.verify(ctx, listener, user, password)
}

// Credential implements broker.Authenticator.
func (a *access) Credential(listener, user string) uint64 {
	return a.now.Load().users.credential(listener, user)
}

// keys are those by which a user logs in with SCRAM-SHA-256 on a listener.
func (a *access) keys(listener, user string) (auth.Keys, bool) {
	return a.now.Load().users.keys(listener, user)
}

// anonymous tells whether clients without a user name may use a listener.
func (a *access) anonymous(listener string) bool {
	l := a.now.Load().listener[listener]
	return l != nil && l.Anonymous
}

// redirect is where clients of a listener are to go instead; nil: nowhere.
func (a *access) redirect(listener string) *broker.Redirect { return a.now.Load().redirects[listener] }

// rights is what a client may do.
func (a *access) rights(who broker.Who) broker.Rights { return a.now.Load().of(who) }

func (s *accessSet) of(who broker.Who) broker.Rights {
	if who.Listener == "" {
		return &somewhere{s, who}
	}
	return s.at(who)
}

// somewhere is what a client may do whose session was stored, so that its listener is not known: what it may at one of them.
type somewhere struct {
	set *accessSet
	who broker.Who
}

func (s *somewhere) any(may func(*rights) bool) bool {
	for name := range s.set.listener {
		who := s.who
		who.Listener = name
		if may(s.set.at(who)) {
			return true
		}
	}
	return false
}

// MayPublish implements broker.Rights.
func (s *somewhere) MayPublish(name []byte) bool {
	return s.any(func(r *rights) bool { return r.MayPublish(name) })
}

// MayReceive implements broker.Rights.
func (s *somewhere) MayReceive(name []byte) bool {
	return s.any(func(r *rights) bool { return r.MayReceive(name) })
}

// MaySubscribe implements broker.Rights.
func (s *somewhere) MaySubscribe(f topic.Filter) bool {
	return s.any(func(r *rights) bool { return r.MaySubscribe(f) })
}

// ReceivesAll implements broker.Rights.
func (s *somewhere) ReceivesAll(f topic.Filter) bool {
	return s.any(func(r *rights) bool { return r.ReceivesAll(f) })
}

// at is what a client may do at a listener.
func (s *accessSet) at(who broker.Who) *rights {
	acl, l := s.acls[who.Listener], s.listener[who.Listener]
	delivery := l != nil && l.ACLCheck == "delivery"
	if acl == nil && !delivery && s.rights.none() {
		return open
	}
	r := s.rights.of(who.User, who.ClientID, acl == nil)
	if acl != nil {
		r.list = acl.For(who.User, who.ClientID)
	}
	r.delivery = delivery
	return r
}
