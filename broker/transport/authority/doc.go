// Package authority is a certificate authority for tests: it makes certificates, keys and revocation lists as files of PEM.
// No program imports it.
package authority
