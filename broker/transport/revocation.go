package transport

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// revocations are the lists of a listener, one for each authority: the newest that was found.
type revocations struct {
	lists map[[sha256.Size]byte]*revocationList
}

type revocationList struct {
	file      string
	authority string
	from      time.Time
	until     time.Time // zero: it does not say
	serials   map[string]struct{}
}

// authorityKey is what an authority is found by: its name and key, which a renewed certificate keeps.
func authorityKey(c *x509.Certificate) [sha256.Size]byte {
	return sha256.Sum256(slices.Concat(c.RawSubject, c.RawSubjectPublicKeyInfo))
}

// readRevoked reads lists as PEM or DER; a PEM file may hold several. Each must be signed by one of the authorities.
func readRevoked(sources []Source, authorities []*x509.Certificate) (*revocations, error) {
	r := &revocations{lists: map[[sha256.Size]byte]*revocationList{}}
	var errs []error
	for _, s := range sources {
		errs = append(errs, r.read(s, authorities))
	}
	return r, errors.Join(errs...)
}

func (r *revocations) read(s Source, authorities []*x509.Certificate) error {
	data, err := read(s)
	if err != nil {
		return err
	}
	blocks, err := decodePEM(s, data)
	if err != nil {
		return err
	}
	var all [][]byte
	for _, b := range blocks {
		if b.Type == "X509 CRL" {
			all = append(all, b.Bytes)
		}
	}
	switch {
	case len(blocks) == 0:
		all = [][]byte{data}
	case len(all) == 0:
		return s.fault("found %s, want -----BEGIN X509 CRL-----, or DER", found(blocks))
	}
	for _, der := range all {
		if err := r.add(s, der, authorities); err != nil {
			return err
		}
	}
	return nil
}

func (r *revocations) add(s Source, der []byte, authorities []*x509.Certificate) error {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return s.fault("not a revocation list: %w", err)
	}
	if more := len(der) - len(list.Raw); more > 0 {
		return s.fault("%d bytes behind the list, want each list in a file of its own, or PEM", more)
	}
	for _, e := range list.Extensions {
		if e.Critical { // RFC 5280 section 5.2: a list for something else than all certificates of the authority
			return s.fault("the list has the critical extension %v, want a complete list of one authority", e.Id)
		}
	}
	var named []string
	for _, a := range authorities {
		if string(a.RawSubject) != string(list.RawIssuer) {
			continue
		}
		if err := list.CheckSignatureFrom(a); err != nil {
			named = append(named, err.Error())
			continue
		}
		l := &revocationList{file: s.Name, authority: subject(a), from: list.ThisUpdate, until: list.NextUpdate, serials: map[string]struct{}{}}
		for _, e := range list.RevokedCertificateEntries {
			l.serials[string(e.SerialNumber.Bytes())] = struct{}{}
		}
		if old := r.lists[authorityKey(a)]; old == nil || old.from.Before(l.from) {
			r.lists[authorityKey(a)] = l
		}
		return nil
	}
	if len(named) > 0 {
		return s.fault("the list of %s is not signed by the authority of that name in client_ca: %s", list.Issuer, named[0])
	}
	return s.fault("the list is of %s, which is not among the authorities in client_ca", list.Issuer)
}

// expired says which lists are out of date.
func (r *revocations) expired(at time.Time) (all []string) {
	if r == nil {
		return nil
	}
	for _, l := range r.lists {
		if l.over(at) {
			all = append(all, fmt.Sprintf("%s: the revocation list of %s was to be replaced by %s", l.file, l.authority, stamp(l.until)))
		}
	}
	slices.Sort(all)
	return all
}

func (l *revocationList) over(at time.Time) bool { return !l.until.IsZero() && at.After(l.until) }

// judge lets a client in by the first chain on which nothing is revoked. The authority that signed the client's own
// certificate must have a list, as OpenSSL wants it too; for those above it a list is looked at if there is one.
func (r *revocations) judge(chains [][]*x509.Certificate, now time.Time, refuseExpired bool) error {
	var first error
	for _, chain := range chains {
		err := r.chain(chain, now, refuseExpired)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func (r *revocations) chain(chain []*x509.Certificate, now time.Time, refuseExpired bool) error {
	for i, c := range chain {
		// A certificate that is trusted by itself has nobody above it: alone in its chain, it is its own authority.
		authority := c
		if i+1 < len(chain) {
			authority = chain[i+1]
		} else if i > 0 {
			return nil
		}
		l := r.lists[authorityKey(authority)]
		switch {
		case l == nil && i == 0:
			return &HandshakeError{Reason: NoRevocationList, Err: fmt.Errorf("no list of %s for %s", subject(authority), subject(c))}
		case l == nil:
			continue
		case l.over(now) && refuseExpired:
			return &HandshakeError{Reason: NoRevocationList, Err: fmt.Errorf("the list of %s was to be replaced by %s", l.authority, stamp(l.until))}
		}
		if _, revoked := l.serials[string(c.SerialNumber.Bytes())]; revoked {
			return &HandshakeError{Reason: CertificateRevoked, Err: fmt.Errorf("%s, serial number %x, revoked by %s", subject(c), c.SerialNumber, l.authority)}
		}
	}
	return nil
}
