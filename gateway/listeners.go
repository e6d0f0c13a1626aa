package gateway

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"weir/broker/transport"
	"weir/gateway/config"
	"weir/gateway/status"
)

// listener is one [listener.NAME] that is open: one socket, or those of its name that were handed over.
type listener struct {
	name    string
	sockets []*transport.Socket
	tls     *transport.TLS // nil: none
	said    []string       // warnings that were logged; belongs to attend

	err atomic.Pointer[error]       // why it is not open; nil: it is
	log atomic.Pointer[slog.Logger] // nil: the gateway is being built
}

// soon is how long before its end a certificate is warned of.
const soon = 30 * 24 * time.Hour

// listen opens the listeners. One whose address cannot be opened is tried again while the gateway runs; if that is true of all
// of them, nobody could connect, and the error is that of the first.
func (g *Gateway) listen() error {
	g.strangeSockets()
	var first error
	open := 0
	for _, name := range slices.Sorted(maps.Keys(g.cfg.Listener)) {
		l := &listener{name: name}
		if err := g.openListener(l, g.cfg.Listener[name]); err != nil {
			return &ListenError{Listener: name, Err: err}
		}
		g.listeners = append(g.listeners, l)
		if err := l.closed(); err == nil {
			open++
		} else if first == nil {
			first = &ListenError{Listener: name, Err: err}
		}
	}
	if open == 0 {
		return first
	}
	for _, l := range g.listeners {
		if err := l.closed(); err != nil {
			g.log.Error("listener cannot be opened, trying again", "listener", l.name, "err", err)
		}
		l.log.Store(g.log)
	}
	g.reloadables = append(g.reloadables, g.reloadableListeners())
	return nil
}

func (g *Gateway) openListener(l *listener, c *config.Listener) error {
	o := transport.Options{Name: c.Name, Address: c.Address.String(), Mode: c.Mode, Patient: l.patient}
	if c.TLS() {
		m, err := transport.Load(filesOf(c))
		if err != nil {
			return err
		}
		l.tls = transport.NewTLS(m)
		o.TLS = l.tls
	}
	if c.Protocol == "websocket" {
		o.WebSocket = &transport.WebSocket{Path: c.Path, Origins: c.Origins}
	}
	handed, err := handedOver(g.o.Sockets, c)
	if err != nil {
		return err
	}
	if len(handed) == 0 {
		handed = append(handed, nil)
	}
	for _, o.Socket = range handed {
		s, err := transport.Listen(o)
		if err != nil {
			return errors.Join(err, l.close())
		}
		l.sockets = append(l.sockets, s)
	}
	return nil
}

// patient is told why the listener is not open, and nil when it is.
func (l *listener) patient(err error) {
	if err == nil {
		l.err.Store(nil)
	} else {
		l.err.Store(&err)
	}
	log := l.log.Load()
	switch {
	case log == nil: // the start is not over: it tells
	case err == nil:
		log.Info("listener opened", "listener", l.name)
	default:
		log.Error("listener cannot be opened, trying again", "listener", l.name, "err", err)
	}
}

// closed says why the listener is not open; nil: it is.
func (l *listener) closed() error {
	if err := l.err.Load(); err != nil {
		return *err
	}
	return nil
}

func (l *listener) close() error {
	var errs []error
	for _, s := range l.sockets {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// sockets are those of all listeners.
func (g *Gateway) sockets() (all []transport.Listener) {
	for _, l := range g.listeners {
		for _, s := range l.sockets {
			all = append(all, s)
		}
	}
	return all
}

// filesOf says where the material of a listener with TLS is.
func filesOf(l *config.Listener) transport.Files {
	secret := func(key string, s *config.Secret) transport.Source {
		setting := settingOf(l.Name, key)
		if s == nil {
			return transport.Source{}
		}
		name := s.Path()
		if name == "" {
			name = setting
		}
		return transport.Source{Name: name, Setting: setting, Read: func() ([]byte, error) {
			text, err := s.Read()
			return []byte(text), err
		}}
	}
	f := transport.Files{
		Certificate: secret("cert", l.Cert), Key: secret("key", l.Key), ClientCA: secret("client_ca", l.ClientCA),
		Clients:    map[string]transport.ClientCertificates{"optional": transport.Optional, "required": transport.Required}[l.ClientCertificates],
		Identity:   map[string]transport.IdentityFrom{"cn": transport.CommonName, "san": transport.AlternateName}[l.Identity],
		MinVersion: map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[l.TLSMin], RefuseExpired: l.CRLExpired == "refuse",
	}
	for _, path := range l.CRL {
		f.Revoked = append(f.Revoked, transport.Source{Name: path, Setting: settingOf(l.Name, "crl"),
			Read: func() ([]byte, error) { return config.ReadFile(path, maxList) }})
	}
	return f
}

// maxList is the largest revocation list that is read, in bytes: a million certificates have room.
const maxList = 32 << 20

// settingOf is how the configuration calls a key of a listener.
func settingOf(listener, key string) string {
	bare := func(r rune) bool {
		return strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", r)
	}
	if strings.TrimFunc(listener, bare) != "" {
		listener = strconv.Quote(listener)
	}
	return "listener." + listener + "." + key
}

// CheckFiles reads what the listeners of a configuration need for TLS, and says what is wrong with it.
func CheckFiles(cfg *config.Config) (problems []config.Problem) {
	for _, name := range slices.Sorted(maps.Keys(cfg.Listener)) {
		if l := cfg.Listener[name]; l.TLS() {
			_, err := transport.Load(filesOf(l))
			problems = append(problems, problemsOf(cfg, name, err)...)
		}
	}
	return problems
}

// problemsOf gives each part of an error of transport.Load its place.
func problemsOf(cfg *config.Config, name string, err error) (all []config.Problem) {
	each(err, func(err error) {
		if source := (*transport.SourceError)(nil); errors.As(err, &source) {
			all = append(all, cfg.At(source.Setting, config.Error, source.Error()))
			return
		}
		all = append(all, cfg.At("listener."+name, config.Error, err.Error()))
	})
	return all
}

// CheckDates says which certificates and revocation lists of the listeners have expired, or soon will. Files that
// CheckFiles complains of are left out. A start goes on in spite of them: sensors and other listeners have no part in it.
func CheckDates(cfg *config.Config, now time.Time) (problems []config.Problem) {
	for _, name := range slices.Sorted(maps.Keys(cfg.Listener)) {
		l := cfg.Listener[name]
		if !l.TLS() {
			continue
		}
		m, err := transport.Load(filesOf(l))
		if err != nil {
			continue
		}
		severity := config.Warning
		if now.After(m.Expires()) {
			severity = config.Error
		}
		for _, w := range dates(m, now) {
			problems = append(problems, cfg.At(settingOf(name, "cert"), severity, w))
			severity = config.Warning // the first is the certificate's own, if it has expired
		}
	}
	return problems
}

// dates says what has expired, or soon will.
func dates(m *transport.Material, now time.Time) []string {
	all := m.Expired(now)
	if left := m.Expires().Sub(now); left > 0 && left <= soon {
		all = append(all, fmt.Sprintf("the certificate of %s expires at %s, in %s", m.Subject(), m.Expires().UTC().Format("2006-01-02 15:04 UTC"), days(left)))
	}
	return all
}

func days(d time.Duration) string {
	switch n := int(d / (24 * time.Hour)); n {
	case 0:
		return "less than a day"
	case 1:
		return "1 day"
	default:
		return fmt.Sprintf("%d days", n)
	}
}

// lookAtCertificates logs what has expired or soon will, once for each time that something else is to be said.
func (g *Gateway) lookAtCertificates(now time.Time) {
	for _, l := range g.listeners {
		if l.tls == nil {
			continue
		}
		m := l.tls.Material()
		var kinds []string
		for _, w := range dates(m, now) {
			kind, _, _ := strings.Cut(w, ", in ") // days that pass are no change
			if kinds = append(kinds, kind); !slices.Contains(l.said, kind) {
				g.log.Warn("a certificate or revocation list needs to be replaced", "listener", l.name, "what", w)
			}
		}
		l.said = kinds
	}
}

// status is the state of a listener.
func (l *listener) status(now time.Time) status.Listener {
	s := status.Listener{Name: l.name, Failed: map[string]uint64{}}
	for _, socket := range l.sockets {
		n := socket.Stats()
		s.Protocol = socket.Protocol()
		s.Addresses = append(s.Addresses, socket.Addr().String())
		s.Connections += n.Open
		s.Accepted += n.Accepted
		for reason, count := range n.Failed {
			s.Failed[string(reason)] += count
		}
	}
	if err := l.closed(); err != nil {
		s.Err = err.Error()
	}
	if l.tls != nil {
		s.Expires = l.tls.Material().Expires()
		s.Warnings = dates(l.tls.Material(), now)
	}
	return s
}

// reloadableTLS are the settings of a listener that a reload applies, if it has TLS before and after.
var reloadableTLS = []string{"cert", "key", "client_ca", "client_certificates", "identity", "crl", "crl_expired", "tls_min"}

// reloadableListeners is the TLS of the listeners as a part that takes a new configuration. Files are read anew also when
// the configuration is the same. New connections get what was read; clients that would not be let in by it any more are
// disconnected. A certificate that has expired is refused, unless it is the one in use.
func (g *Gateway) reloadableListeners() reloadable {
	return reloadable{
		takes: func(setting string) bool {
			return slices.ContainsFunc(g.listeners, func(l *listener) bool {
				key, ok := strings.CutPrefix(setting, settingOf(l.name, ""))
				return ok && l.tls != nil && slices.Contains(reloadableTLS, key)
			})
		},
		prepare: func(cfg *config.Config) (func(), error) {
			next := map[*transport.TLS]*transport.Material{}
			var errs []error
			for _, l := range g.listeners {
				c := cfg.Listener[l.name]
				if l.tls == nil || c == nil || !c.TLS() {
					continue
				}
				m, err := transport.Load(filesOf(c))
				if err == nil {
					err = g.expired(m, l.tls.Material())
				}
				if err != nil {
					errs = append(errs, fmt.Errorf("listener.%s: %w", l.name, err))
				}
				next[l.tls] = m
			}
			return func() { g.replace(next) }, errors.Join(errs...)
		},
	}
}

// expired refuses a certificate that is over; nothing is over by a clock that is not set.
func (g *Gateway) expired(m, before *transport.Material) error {
	if now := time.Now(); g.clock.Trusted() && now.After(m.Expires()) && !m.Expires().Equal(before.Expires()) {
		return errors.New(m.Expired(now)[0])
	}
	return nil
}

func (g *Gateway) replace(next map[*transport.TLS]*transport.Material) {
	for t, m := range next {
		t.Replace(m)
	}
	if n := g.broker.Recheck(); n > 0 {
		g.log.Info("clients disconnected whose certificates are not accepted any more", "clients", n)
	}
}
