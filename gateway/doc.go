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
// Each good or uncertain value that is worth it (see sensors/quality) goes to its topic, plain ("21.53"), as JSON or as
// SenML; all values of a reading together go to the topic of an object, if there is one. A bad value is never published as
// a number. The state of a sensor stands, retained, at weir/ID/sensor/NAME:
//
//	{"state":"ok","since":"2026-11-24T10:00:00.000Z","chip":"BME280"}
//	{"state":"failing","error":"0x76 on bus 1: not answering: remote I/O error","since":"2026-11-24T10:00:00.000Z",
//	 "chip":"BME280","last_good":"2026-11-24T09:59:50.000Z","faults":{"not_answering":3,"failed_tries":3}}
//	{"state":"ok","bad":{"humidity":"the chip is a BMP280 and measures no humidity"},"since":"2026-11-24T10:00:00.000Z"}
//
// Times are left out while the clock is not trusted. The state is told when it changes, and for the sake of its counters
// alone at most each minute.
//
// A sensor is read at start + phase + k*every; phases spread sensors over ten seconds. With align it is read at whole
// multiples of every once the clock is trusted. One that fails is left alone longer each time, up to eight seconds: not
// for a minute, as it is to be good again within ten seconds of being plugged in. It is set up anew with each read after
// one that failed.
//
// A reading costs no memory once everything has been seen: buffers, messages and the context of the read are used again
// (BenchmarkReading, BenchmarkPublish).
//
// The state, and the values where retain is set, of a sensor that was removed, renamed or moved to another topic are cleared, and
// the state of a bridge that is no more: the topics are kept in the store under left/TOPIC (remains.go). Of sensors that are found, those are cleared that the
// first search does not find; one that is pulled out while the gateway runs is failing, and stays.
//
// # Home Assistant
//
// With [home_assistant] discovery, the documents of gateway/discovery are published, retained, for the gateway and each
// sensor there is, and again when Home Assistant says that it has started. weir/ID/status says "online" and "offline" then.
// What was announced is kept in the store under home/TOPIC before it is published, and taken back when it is no more
// (home.go). What was told through a bridge that is no more stays there.
//
// # Who may do what
//
// Without any [user.NAME] table, and at a listener without an access control list, everyone, anonymous clients too, may
// publish and subscribe to all but $-topics. Otherwise a user who has logged in may do what the own table, [user."*"] and
// the list of the listener grant together, and an anonymous client what the list grants. What the list denies, by a rule
// that says deny, no table grants. Who is not one plain level by name (it holds / + # or $) has no right by a filter with
// {user}, nor by one with {client} for such a client id. What the gateway itself publishes, and what bridges receive, is
// not judged.
//
// A listener's acl_check says when it is judged what a client may read: when it subscribes, and then one granted filter
// must cover the one asked for as a whole; or at delivery, which is the default where there is a list, since mosquitto
// does so and devices subscribe to # because of it.
//
// A password file is that of its listener. A listener without one takes the users of all. Who has keys for SCRAM-SHA-256 in it (see
// package auth) can authenticate by that as well; a password in the configuration is for user name and password only.
//
// A listener with a redirect serves nobody: who connects is told where to go, and a reload that brings it sends away who is connected.
//
// # Reload
//
// [Gateway.Reload] reads the configuration and all files it names anew. Parts that can take it are in one list
// (reloadable): all prepare, then all apply, so that a configuration is taken whole or not at all. Users, rights, TLS and the limits
// of the broker are such parts. What is refused, what was applied and what takes a restart stands in the log and in [Gateway.Status],
// and is what "weir reload" prints: it asks for it over the control socket (package web), as SIGHUP does without an answer.
package gateway
