// Package client is one MQTT client connection, 3.1.1 or 5.0, over TCP or TLS. The bridge, weir pub and sub, the demo
// and tests use it.
//
// # Two ways to publish
//
// Tools call [Conn.Publish], which waits for the acknowledgement. The bridge calls [Conn.Send] for each message and
// [Conn.Flush] after a batch: packets are appended to one buffer, written 64 KiB at a time, and their
// acknowledgements come back in batches through [Options.OnAcks]. No goroutine, channel or allocation per message.
//
//	Send ──▶ core (window, packet ids) ──▶ write buffer ──Flush──▶ writer goroutine ──▶ socket
//	OnAcks ◀── batch ◀── core ◀── read buffer, many packets ◀── reader goroutine ◀── socket
//
// # Life of a connection
//
// Connect resolves, dials, shakes hands and starts the two goroutines. The connection ends once, for one reason: Done
// is closed, Err says why, and Close waits for both goroutines. There is no reconnect in here: a Conn is one network
// connection and one MQTT session on it; what was not acknowledged when it ended is the caller's to send again.
//
//	Connect ──▶ up ──▶ ended (Disconnect, Close, peer closed, peer silent, protocol error, server DISCONNECT)
//
// The core (core.go) is pure: bytes and times in, bytes and events out; the tests drive it without sockets.
//
// # Liveness
//
// A PINGREQ goes out when nothing was sent, or nothing received, for three quarters of the keep alive. If nothing at
// all arrives for PingTimeout after it was written, the peer is dead. A write that makes no progress for WriteTimeout
// ends the connection as well.
//
// # Limits
//
// Incoming packets larger than MaxPacket end the connection before they are buffered. Beside the bytes that are being
// written, 1 MiB may wait; then Send says ErrBusy. Outgoing topic aliases are not used and none are
// accepted.
//
// # Sessions
//
// Options.Resume asks for a session, Options.Unfinished and Held say what is left of it. With Options.Handshakes the caller
// decides when each packet of QoS 2 leaves, so that it can write down what it must before: Claim gives a PUBLISH its id, Post
// sends it, Release sends PUBREL, Complete sends PUBCOMP.
package client
