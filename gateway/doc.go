// Package gateway builds a gateway from a configuration, runs it and stops it: sensors, broker, journal, bridges. It
// decides no policy of theirs; it holds the sampler, which is what reads sensors on time and publishes their values.
//
// # Start and stop
//
// [New] builds, and reports what is wrong with the machine or the data directory. [Gateway.Run] starts everything,
// waits for everything and returns the first error. It stops in the order in which data flows, so that nothing is left
// unsynced: sensors, then local clients, then bridges, then one last commit.
//
// # What a sensor publishes
//
// Each good or uncertain value goes to its topic, plain ("21.53") or as JSON. A bad value is never published as a
// number. The state of a sensor stands, retained, at weir/ID/sensor/NAME:
//
//	{"state":"ok","since":"2026-11-24T10:00:00Z"}
//	{"state":"failing","error":"0x76 on bus 1: not answering: remote I/O error","since":"2026-11-24T10:00:00Z"}
//	{"state":"ok","bad":{"humidity":"the chip is a BMP280 and measures no humidity"},"since":"2026-11-24T10:00:00Z"}
//
// "since" is left out while the clock is not trusted.
//
// # Who may do what
//
// Without any [user.NAME] table everyone, anonymous clients too, may publish and subscribe to all but $-topics. With one,
// a user who has logged in may do what the own table and [user."*"] grant together, and an anonymous client nothing. A
// SUBSCRIBE must be covered by one granted filter as a whole. A user whose name is not one plain level (it holds / + # or $)
// has no right by a filter with {user}. What the gateway itself publishes, and what bridges receive, is not judged.
package gateway
