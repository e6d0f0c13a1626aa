package transport

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// pair reads a certificate and its key.
func pair(certificate, key Source) (pair tls.Certificate, err error) {
	chain, certErr := certificates(certificate)
	private, keyErr := privateKey(key)
	if err := errors.Join(certErr, keyErr); err != nil {
		return pair, err
	}
	for at, c := range chain {
		if !same(c.PublicKey, private.Public()) {
			continue
		}
		if at > 0 {
			return pair, certificate.fault("the certificate of the key, %s, stands at place %d, want it first", subject(c), at+1)
		}
		pair = tls.Certificate{PrivateKey: private, Leaf: c}
		for _, c := range chain {
			pair.Certificate = append(pair.Certificate, c.Raw)
		}
		return pair, nil
	}
	return pair, key.fault("does not belong to %s: it holds %s, and the certificate of %s is for %s", certificate.Name,
		kindOf(private.Public()), subject(chain[0]), kindOf(chain[0].PublicKey))
}

// same tells whether two public keys are equal.
func same(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// kindOf describes a public key; two keys of one kind are told apart by being others.
func kindOf(k crypto.PublicKey) string {
	switch k := k.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("an RSA key of %d bits (%.8x…)", k.N.BitLen(), k.N)
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			return "an ECDSA key " + k.Curve.Params().Name
		}
		return fmt.Sprintf("an ECDSA key %s (%x…)", k.Curve.Params().Name, point[1:5])
	case ed25519.PublicKey:
		return fmt.Sprintf("an Ed25519 key (%x…)", []byte(k[:4]))
	}
	return fmt.Sprintf("a key of type %T", k)
}

// certificates reads all certificates of a file; there is at least one.
func certificates(s Source) ([]*x509.Certificate, error) {
	blocks, err := blocksOf(s)
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for at, b := range blocks {
		if b.Type != "CERTIFICATE" {
			continue // a key beside the certificate is common
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, s.fault("block %d is no certificate: %w", at+1, err)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, s.fault("found %s, want -----BEGIN CERTIFICATE-----", found(blocks))
	}
	return all, nil
}

// privateKey reads the first private key of a file.
func privateKey(s Source) (crypto.Signer, error) {
	blocks, err := blocksOf(s)
	if err != nil {
		return nil, err
	}
	for _, b := range blocks {
		if b.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED") {
			return nil, s.fault("the key is encrypted, want one without a passphrase: openssl pkey -in %s -out NEW", s.Name)
		}
		var key any
		switch b.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(b.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(b.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(b.Bytes)
		default:
			continue
		}
		if err != nil {
			return nil, s.fault("not a private key that can be used: %w", err)
		}
		signer, ok := key.(crypto.Signer)
		if !ok {
			return nil, s.fault("got %T, want a key that can sign: RSA, ECDSA or Ed25519", key)
		}
		return signer, nil
	}
	return nil, s.fault("found %s, want -----BEGIN PRIVATE KEY-----", found(blocks))
}

// blocksOf reads the PEM blocks of a file.
func blocksOf(s Source) (all []*pem.Block, err error) {
	data, err := read(s)
	if err != nil {
		return nil, err
	}
	return decodePEM(s, data)
}

// read reads a source; the errors of Read name the file themselves.
func read(s Source) ([]byte, error) {
	if s.Read == nil {
		return nil, s.fault("nothing to read")
	}
	data, err := s.Read()
	if err != nil {
		return nil, &SourceError{s.Setting, err}
	}
	return data, nil
}

// found names the blocks of a file.
func found(blocks []*pem.Block) string {
	if len(blocks) == 0 {
		return "no PEM block"
	}
	types := make([]string, len(blocks))
	for i, b := range blocks {
		types[i] = b.Type
	}
	return strings.Join(types, ", ")
}

// onlyAuthorities refuses what could never have signed a client's certificate, which is mostly another file by mistake.
func onlyAuthorities(s Source, all []*x509.Certificate) error {
	var errs []error
	for _, c := range all {
		switch {
		case c.BasicConstraintsValid && !c.IsCA:
			errs = append(errs, s.fault("%s is no certificate authority, want those that sign the certificates of clients", subject(c)))
		case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
			errs = append(errs, s.fault("%s may not sign certificates (its key usage says so)", subject(c)))
		}
	}
	return errors.Join(errs...)
}
