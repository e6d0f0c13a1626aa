// Package upstream is a small strict MQTT server that records what it receives: the cloud of the demo and the other end
// of kill tests. It holds its clients to the letter of the standard and of what its CONNACK told them, and notes each
// offence; it can refuse, hang, stay mute, reset, delay its acknowledgements and lower its limits on demand. It is not
// the broker and shares nothing with it but codec and topic matching, so that one is not tested with its own mistakes.
//
// # What it does
//
// 3.1.1 and 5.0 over TCP and TLS; QoS 0, 1 and 2 in and out; retained messages, wills, subscriptions with wildcards, no
// local and retain as published; take-over of a client id. Sessions outlive their connections when CONNECT asks for it
// (3.1.1: Clean Session 0; 5.0: Session Expiry above 0, without a clock: they are kept until ForgetSessions or Close), with
// subscriptions, packet ids of both directions and what waits for the client. A QoS 2 message arrives, and is recorded,
// with its first PUBLISH.
//
// Publisher and Ledger are what the proofs put before and behind the gateway: numbered messages, each kept until it is
// acknowledged, and an account of what came.
//
// # What it does not do
//
// No shared subscriptions, topic aliases, message or session expiry, will delay, retain handling, AUTH. One lock for
// everything: it is meant for tests and shows. Arrivals are kept in memory without a limit unless Options.Forget is set.
package upstream
