// Package auth holds the users of a broker: their password file, the check of a
// login against it, by password or by SCRAM-SHA-256, the changes that weir passwd
// makes, and access control lists.
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
// Lines that mosquitto_passwd wrote are read as they are, salt and hash in base64
// with padding:
//
//	plain7:$7$101$egy5e/ih7dS2G4UQ$2QDkSPW104jobs1afWhnoxhpQNliA8fmsODn5/gNkqA30sULeSNnhZQYlGLiGNKG3k4tN0FX/PEeMW/TLhoSZA==
//	old6:$6$yXxC5T3QKd/VJdEa$Z4/g4+bD+yQ5cE/2cp06+baITK1ji8dh+j82Xi1ZChI0wPi89Tj/ParQ+bur2q+fTuLSt+B/gJV+iZbFy7tO6Q==
//
// $7$ is PBKDF2 with HMAC-SHA-512 and as many iterations as it says, 1 to 500,000;
// $6$ is one SHA-512 over password and salt. The salt has 8 to 64 bytes, the hash
// 64. weir passwd writes argon2id, into such a file too, which mosquitto does not
// read any more then.
//
// # SCRAM-SHA-256
//
// weir passwd --scram writes keys (RFC 5802, RFC 7677), in the form that PostgreSQL has for them, base64 with padding:
//
//	# scram-secret NZeoVvI6cOROhTMNhIpzjgM+yQ2bI7Cdcs0NjFwYyhY=
//	meter:SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=
//
// is user meter with password "pencil": iterations, 4096 to 500,000, salt, StoredKey and ServerKey. By them a client proves
// that it has the password, and the broker that it is the one that was given it, and nobody who listens or pretends to be
// the broker learns it. A login with user name and password is checked against StoredKey, as against any hash.
//
// New keys take 15,000 iterations, the rule of thumb of RFC 7677, section 4. It is the client that computes them, once for
// each password if it keeps the result, and its time is what bounds the number; --iterations 4096, the least that the RFC allows,
// is for slow ones. Against argon2id that is little: who gets hold of the file guesses a weak password sooner. An exchange costs the
// broker 3 µs, a login with the password itself 5 ms, where argon2id takes 35 (measured on one core of a busy server).
//
// User names and passwords are of printable ASCII. SASLprep (RFC 4013), which both sides would have to apply to them, leaves
// those as they are; for others clients are known to differ, so weir passwd --scram refuses them, and so does an exchange. A user's
// name is found by its bytes. Channel binding is not offered: a client that says that it could (y) is welcome, one that wants
// it (p) is not. Extensions are ignored, mandatory ones (m) refused. A client may say as whom it acts (a) if that is itself.
//
// A client that asks as a user who does not exist, or has no keys, gets salt and iterations all the same, always the same
// ones for a name, and is refused at its proof. They are made of the name and the secret in the comment, which --scram puts at the
// head of a file, so that they stay when weir starts anew or other users change. Without it they are of the process.
//
// # Checking a login
//
// One hash is computed at a time, whoever waits: memory stays bounded, and a
// flood of logins costs one core at most. A success is remembered, as an HMAC
// under a key that never leaves the process, until the next Load, so that a
// device that reconnects costs microseconds. A login as an unknown user computes
// a hash too, at the cost of one of the users, which one the name decides under the
// same key: it takes as long as a wrong password, also in a file of several kinds.
// Comparisons take constant time.
//
// # Access control lists
//
// A list is read in the form of mosquitto 2.0 (acl_file, mosquitto.conf(5)), and means what it means there:
//
//	# a comment
//	topic read $SYS/broker/uptime         topics before the first user: anonymous clients
//	user pump7
//	topic plant/pump7/#                   read and write
//	topic read plant/pump7 cmd/+          with a word before it, the filter may hold blanks
//	topic deny plant/pump7/secret
//	pattern write devices/%u/%c/#         everyone; %u is the user name, %c the client id
//
// The rules of a client are those of its user name and then the patterns, in each what denies before what grants; the
// first rule that is about topic and access decides, and none is a denial. So a topic that is granted to a user is not
// denied by a pattern. Anonymous clients have no part in patterns with %u, and nobody whose user name or client id holds
// + or # in patterns that grant. Beyond that a pattern grants nothing by a name that holds / or $, which would be more
// than one level or begin a special topic; it denies by it. weir judges where mosquitto does, when a message is
// published and when it is delivered, and knows user names it has checked only.
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
