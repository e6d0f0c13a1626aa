// Package bench puts load on an MQTT broker, any broker, and says what it did and what it cost: messages, latency, memory,
// CPU. It is a client of its own, built so that the broker is what is measured and not the client: messages are
// copied from a template and patched, written many at a time, and what comes back is taken apart by hand.
//
// # A message
//
// The payload, at least 24 bytes, big-endian:
//
//	run u32 | publisher u32 | sequence u64 | stamp i64 | filler
//
// Run is drawn at random for each scenario: messages of others are not counted. Sequence counts the messages of one
// publisher from 0, so the subscriber knows what is missing, what comes twice and what comes out of order. Stamp is
// nanoseconds since the scenario began, and 0 where no latency is measured. Run 1, publisher 2, sequence 3, stamp 4:
//
//	00000001 00000002 0000000000000003 0000000000000004 78...
//
// # The scenarios
//
//	empty       no connection at all: resident memory, CPU of an idle broker; from its start to the first CONNACK, if started here
//	idle        connections with one subscription each, which do nothing: memory of each
//	filters     one publisher and one subscriber, first alone and then beside 100,000 other filters with wildcards, of 10
//	            connections: what a filter costs in memory, how fast they are taken, by how much the CPU of a message grows
//	retained    100,000 retained messages, set at QoS 1 and removed again: memory of each, and all of them to one new
//	            subscription at QoS 0
//	fan-in-Q    20 publishers, each on its own topic, to one subscriber of them all, at QoS 0, 1 and 2 on both sides
//	fan-out     one publisher to 100 subscribers of its topic, at QoS 0: what counts is deliveries
//	paced-Q     one publisher, one subscriber, 1,000 messages/s: latency from before the write to after the read
//
// # How far a publisher may be ahead
//
// A publisher that writes as fast as its socket takes fills the queues of the broker, and what is measured then is how they
// overflow. So a publisher is at most its share of Size.Ahead messages ahead of the slowest of its subscribers, and what is
// missing is lost. At QoS 0 that is 3,000 messages of all publishers together, which any socket and its broker's buffer hold; at QoS 1
// and 2 it is 600, because brokers queue 1,000 messages for a subscriber by default, those in flight included. A publisher goes
// on when half of its share has arrived; if nothing has for half a second, what is on its way is taken for lost. At QoS 1
// and 2 there is the window besides: messages that the broker has not acknowledged (QoS 2: not completed). It is filled again
// when half of it is free.
//
// # What is measured
//
// Rates and CPU are taken between two moments, both under full load: after the warm-up and before the publishers are told to
// stop. Then everything that was sent must arrive; loss, repeats and disorder are counted over the whole scenario.
// It fails if at QoS 1 or 2 anything is lost, or at QoS 2 anything repeated, and if messages of one publisher on one
// topic come out of order at any QoS: v5 [MQTT-4.6.0-6], 3.1.1 [MQTT-4.6.0-5].
//
// CPU and memory of the broker are those of the process at the other end of a connection, if that is on this machine
// and may be looked into: the CPU clock of the process, and Rss of smaps_rollup. Memory of the kernel for its
// sockets is nobody's. Memory of one thing is the growth divided by how many there are.
//
// # Its own limit
//
// The load generator has a limit, and beyond it all brokers look alike. Bare is a peer that does the least a broker can: it
// hands every PUBLISH to every subscriber as the bytes it came in. Scenarios that measure speed can be run
// against it in a process of its own, and its figures stand beside those of the broker.
//
// # No waiting for ever
//
// A scenario has one context. Whatever goes wrong cancels it with the reason, which closes all its connections, and so
// ends all its goroutines. Opening a connection has a deadline; after that a watch looks whether anything
// moves, and Size.Patience without a byte from the broker is a reason too.
package bench
