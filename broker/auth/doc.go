// Package auth holds the users of a broker: their password file, the check of a
// login against it, and the changes that weir passwd makes.
//
// # The file
//
// One user per line; empty lines and lines that begin with # are kept and
// ignored. A name has 1 to 255 bytes of UTF-8 without a colon, control
// characters or a leading #. The rest of the line is an argon2id hash in the PHC
// string form, salt and hash in base64 without padding:
//
//	pump7:$argon2id$v=19$m=7168,t=5,p=1$MDEyMzQ1Njc4OWFiY2RlZg$5BmQI5Nsw/eWxiPNz070eOibJS9wvNhVGFR+G5Zy5Xs
//
// is user pump7 with password "pörtal 7": kind, version (0x13), KiB of memory,
// passes, lanes, 16 bytes of salt, 32 bytes of hash.
//
// New hashes use 7 MiB, five passes and one lane: one of the equivalent minimum
// settings of the OWASP Password Storage Cheat Sheet, and the one with the least
// memory, since a gateway has 32 MB for everything. Other parameters in a file
// are accepted within bounds: 8 KiB to 64 MiB, 1 to 16 passes, 1 to 4 lanes, a
// salt of 8 to 64 bytes, a hash of 16 to 64. They are checked before anything is
// allocated. A file may have 16 MiB, a line 1024 bytes.
//
// Lines in the forms of mosquitto_passwd ($6$, $7$) are refused with an error
// that says what they are and what to do.
//
// # Checking a login
//
// One hash is computed at a time, whoever waits: memory stays bounded, and a
// flood of logins costs one core at most. A success is remembered, as an HMAC
// under a key that never leaves the process, until the next Load, so that a
// device that reconnects costs microseconds. A login as an unknown user computes
// a hash too and takes as long as a wrong password, provided all lines have the
// same parameters. Comparisons take constant time.
//
// # Changing the file
//
// Set and Delete write a new file beside the old one, sync it, rename it over and
// sync the directory; all other lines stay as they are. A new file gets mode
// 0600. An existing one keeps its owner and group, and group read permission if
// it had it, so that a service that reads the file through its group is not
// locked out; everything wider is dropped. Two changes at the same moment are
// not told apart: the last one stays.
package auth
