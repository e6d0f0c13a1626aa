// Package transport is the shell of goroutines around sockets. It knows no MQTT: bytes come in, a [Handler] looks at
// them, bytes go out.
//
//	            accept loop (Serve)
//	                 │ open(conn) Handler
//	                 ▼
//	socket ──read──▶ reader goroutine ── Receive(bytes) consumed ──▶ Handler
//	   ▲                                                               │
//	   │   one attempt that does not block                             │
//	   └──────────── Flush (any goroutine) ◀──── Take() bytes ─────────┘
//	   └──────────── writer goroutine, only while the socket is full
//
// # Reading
//
// Each connection has one reader goroutine. It reads as much as its buffer holds, so one system call brings many packets
// when traffic is high. The buffer starts at 4 KiB, doubles up to 64 KiB while reads fill it and returns to 4 KiB when
// they have not for a while; beyond 64 KiB it grows only as far as one packet that is arriving needs, byte for byte
// received, and the handler ends the connection when a packet is larger than it wants.
//
// # Writing
//
// Whoever has put bytes where Take finds them calls Flush. Exactly one goroutine at a time writes a connection; another
// one's Flush only leaves a mark that there is more. A plain TCP socket is first tried without blocking (Linux); what
// the kernel does not take, and everything on other sockets, is written by a writer goroutine that is started then and
// ends when nothing is left. Flush never blocks, so a slow peer never slows whoever has something for it. How much may
// wait for a slow peer is the handler's business.
//
// # Ending
//
// Shutdown is the orderly end: what Take still gives is written, the sending side is closed, and what the peer still
// sends is read and thrown away for a bounded time, because closing a socket with unread bytes makes TCP discard what
// was just sent. Handler.Closed is called exactly once, by the reader, before that wait. Whoever calls Serve gets it back
// after every goroutine that it started has ended.
//
// # Room left
//
// A [Listener] yields net.Conn, so TLS, WebSocket and Unix sockets are further Listeners; handshakes belong into the
// first Read, under the deadline the handler sets. Handlers keep no reader state on a stack, so a poller can drive the
// same interface.
package transport
