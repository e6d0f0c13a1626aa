// Package config reads the one TOML file of a gateway, checks it against one
// table of fields, and says everything that is wrong with it at once, each with
// its place. It writes nothing and starts nothing.
//
//	text ──▶ scan ──▶ BurntSushi/toml ──▶ check ──▶ settle ──▶ cross ──▶ Config
//	         where     what it means      against   defaults   rules      and problems,
//	         it is                        the table that hang  between    ordered by place
//	                                      of fields together   settings
//
// An example, and all that is said about it:
//
//	[sensor.boiler]
//	driver = "bme280"
//	adress = 0x76
//	every  = 10
//
//	[[bridge.cloud.forward]]
//	filter = "plant/#"
//	url    = "mqtts://broker.example.com"
//
//	weir.toml:3:1: sensor.boiler.adress: unknown key, did you mean "address"?
//	weir.toml:4:10: sensor.boiler.every: got 10 without a unit, want a duration of at least 10ms, such as "10s"
//	weir.toml:8:1: "url" stands in bridge.cloud.forward[1]; it belongs to [bridge.cloud], above line 6
//
// Lines and columns count from 1; a column is a character, a tab is one. The
// entries of a list count from 1 too. A line whose value is no TOML is told and
// left out, and the rest is judged without it and without warnings; behind any
// other syntax error, such as one in a header, the file is not read on, because
// what it means is not known then. A program that cannot go on
// because of errors exits with status 78 (EX_CONFIG); this package only returns
// ErrInvalid.
//
// # The table
//
// The sections_*.go hold every key with its type, default, meaning and example;
// decoding, checking, Fields, suggestions and Effective all read that table. The
// keys of a driver come from its sensors.Driver and those of a serial line from
// sensors.SerialKeys. Keys of versions to come are errors of their own wording,
// never taken in silence. A top-level key that begins with x- is free for notes.
//
// # Settings by quantity
//
// A setting of a sensor that is about a quantity takes one value, or a table of them:
//
//	offset = -0.4                                   the only quantity it measures
//	offset = { temperature = -0.4, pressure = 1 }   each its own
//	median = 3                                      all quantities, derived ones too
//
// The first form of one that has a unit is an error where several are measured; one that has none (a time, a count, a
// percentage) is for all. Units are those that are published. The stages they set are in the order of sections_sensor.go.
//
// # Positions
//
// BurntSushi/toml keeps the places of values to itself, and for some errors
// points past the end. So a small scanner reads the structure first. It knows
// the usual mistakes and words them; whatever it lets through is judged by
// BurntSushi/toml. That it takes all that BurntSushi/toml takes, and finds the
// same keys as its MetaData.Keys, is tested on a corpus and by fuzzing.
//
// # Placeholders
//
// {id} is replaced while loading, and {sensor} in a sensor's topic and {user} in
// the table of a user; {quantity} and {Quantity} are left for Template.Expand, and
// {client} for when a client is there. A
// field that has no placeholders refuses them.
//
// # Secrets
//
// { file = "..." } relative to the directory of the file, { credential = "..." }
// under $CREDENTIALS_DIRECTORY, { env = "..." }, or the text itself, with a
// warning when others can read the file. A Secret prints as ***; no message
// shows a value whose key may hold a secret.
//
// # Limits
//
// A file has at most 1 MiB, a key 32 parts, arrays and tables 32 inside each
// other, a secret 256 KiB; they are checked before anything is built. UTF-16
// files and files with a UTF-16 mark are refused, which BurntSushi/toml takes in
// part.
package config
