// Package transport is the shell around sockets. It knows no MQTT: bytes come in, a [Handler] looks at them, bytes go out.
//
// There are two shells with one Handler. Plain TCP and Unix sockets are driven by a few pollers (Linux, [Pollers]): a
// connection then has no goroutine and no buffer. TLS, WebSocket, and everything on other systems have a goroutine each
// ([Serve]). The next sections, up to Pollers, describe the latter; what a handler sees is the same.
//
//	            accept loop (Serve)
//	                 │ open(conn) Handler
//	                 ▼
//	       handshakes of TLS, then WebSocket
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
// ends when nothing is left; plain Unix sockets are as TCP. Flush never blocks, so a slow peer never slows whoever has something
// for it. How much may wait for a slow peer is the handler's business.
//
// # Pollers
//
//	           socket events (epoll)      letters: arrived, shutdown, failed, back
//	                  ▼                        │ inbox, rung by an eventfd
//	poller: wait ─▶ read into its own 64 KiB ─▶ Receive ─▶ what is left of a packet: a buffer of the connection's own
//	          ▲       │ may wait: a goroutine has the connection until Receive returns, then a letter
//	          └── first deadline (heap)
//
// There is one for each processor, at most four; a connection stays with the one it was given to in turn. A poller is a
// goroutine, and owns what is read of its connections, so there are no locks; other goroutines send it letters, which are rare
// (a connection comes, goes, is shut down, has logged in). Writing is not the poller's: whoever flushes writes, without blocking,
// and only when the socket is full it is handed to the poller, which goes on when epoll says that there is room.
//
// What was chosen, and why:
//
//   - The poller sleeps in epoll_wait itself, not in the runtime's poller below a goroutine: the kernel then wakes the thread
//     that does the work, where the runtime first wakes a thread to find a goroutine to be run by, often, a third. That was half the
//     cost of a message at a low rate. Before it sleeps it yields once, so that goroutines started by it need not wait until the
//     runtime notices that its thread sleeps, which on one processor takes milliseconds.
//   - Events are edge-triggered: no system call but read and epoll_wait for what arrives. A read that does not fill the buffer
//     has taken all there is, unless the peer has closed; then it is read to the end. A connection that fills the buffer has had its
//     share of the round and is looked at again after the others; so has one that was written a MiB.
//   - Room in the socket is asked for (EPOLLOUT) only after it was full for the first time: each message that a Unix peer reads is
//     such an event. What comes between a full socket and the wait for it is seen by the state of the writing side, which the poller
//     sets to again.
//   - Sockets are accepted from a second descriptor of the listening socket (door), so that package net does not register each with
//     the runtime's poller first, and no net.Conn is made. Their numbers never leave this package. A socket is closed by whoever makes its
//     writing side dead, so nobody can write to a number that is another connection's by then; an event of a closed connection
//     is known by its generation.
//   - A deadline is an entry of a heap. It moves only when it passes or becomes earlier, so receiving costs nothing.
//   - Only Receive may block, and only when Handler.MayWait says so: a CONNECT, which may check a password, take a session over
//     or wait for the disk.
//
// # What it costs
//
// Measured on two busy cores beside Debian's mosquitto 2.0.11, medians of three interleaved short runs, CPU of the broker in µs:
//
//	                         goroutines   pollers   mosquitto
//	paced 1,000/s, QoS 0         59.4        37.0        29.5
//	fan-in QoS 0 / 1 / 2   .32/1.8/3.1 .28/1.7/2.7 5.4/15/29
//	fan-out, a delivery         0.096       0.072         4.5
//
// At 1,000 messages a second nearly all of that is the kernel's: a wake-up, a read and a write. Of an idle connection with one subscription
// this package holds 208 bytes and two words in tables; with what the broker knows of it 2.0 kB are resident, where a goroutine
// and a buffer made it 13 (mosquitto: 1.0). About 1.3 of them live; the rest is room between objects and the collector's own tables.
//
// # Ending
//
// Shutdown is the orderly end: what Take still gives is written, the sending side is closed, and what the peer still
// sends is read and thrown away for a bounded time, because closing a socket with unread bytes makes TCP discard what
// was just sent. Handler.Closed is called exactly once, by the reader, before that wait. Whoever calls Serve gets it back
// after every goroutine that it started has ended.
//
// The writer goroutine says the last words of TLS and WebSocket, because they may have to wait for the socket: what Take
// gives, then the Close frame, then close_notify, then the end of TCP. A peer that does not read delays that by Linger.
//
// # Handshakes
//
// They are the reader's first work, within the handler's first deadline, which is that of CONNECT: a peer has one time for
// TLS, WebSocket and CONNECT together. Of those that compute at one time there are at most half as many as processors, so
// that a storm of clients that come back leaves room for those who are connected; one that waits for its peer gives its
// place away (turnstile), so slow peers keep nobody out. What fails is counted by Reason for each listener, told to
// Handler.Closed, and the peer has Linger to read why.
//
// # TLS
//
//   - TLS 1.2 and 1.3, Go's choice of ciphers. No ALPN: whatever a client offers is ignored, as nothing depends on it.
//   - Each certificate of client_ca is trusted by itself, so an authority below a root can be trusted without the root.
//   - A certificate that is shown must be valid, where none is needed too. It is judged again when a session is resumed, and by
//     Conn.Recheck after TLS.Replace. The keys of session tickets outlive Replace, so clients resume across it.
//   - The user name in a certificate is taken as it is or not at all: see identityOf.
//   - With any revocation list, the authority that signed a client's certificate must have one, or the client is refused, as
//     OpenSSL does it. Authorities above are looked up if they have one. Of several lists of an authority the newest counts. Lists
//     with a critical extension (deltas, parts, lists for others) are refused when they are read (RFC 5280 section 5.2).
//   - A list that has expired is used as it is, with a warning in log and status: who is on it stays out, and a gateway that
//     nobody could reach for a month does not lock its devices out. Files.RefuseExpired turns that round.
//   - Dates are judged by the machine's clock. A Pi that does not know the time yet refuses client certificates until it does.
//   - A listener's own certificate that has expired is served on: clients say so better than a port that is closed.
//
// # WebSocket
//
// RFC 6455, server side, binary frames, no extensions. Frames are unmasked in place in the read buffer and their payload moved
// together, so a packet may lie across frames and nothing is held or allocated for a frame, whatever length it announces;
// packets are bounded by who reads them. Outgoing bytes are copied once, into frames of up to 16 KiB. Of pings that come while
// the socket is full only the last is answered (section 5.5.3).
//
// This is own code. Measured with 2,000 idle connections, which hold 8.0 kB each on plain TCP: 9.4 kB each here, and 20.6 kB with
// coder/websocket 1.8.15 and net/http, as many goroutines in both. There a net.Conn whose read deadline passes is closed, while a
// reader here is woken by its deadline to extend it and to be ended with last words. It serves the tests as the other side.
//
// A page may connect if it comes from the host that it connects to, or is named in Origins. On a listener that only this
// machine can reach the host must besides be localhost or an IP address: a page under a name of its own could point that name here.
//
// # Addresses that cannot be opened
//
// With Options.Patient the first Accept opens them, trying again after 0.1 to 10 s: an address that DHCP has not given out yet, or a
// port that another program has, keeps nothing else from starting.
//
// # Unix sockets
//
// A socket file that nobody listens on is removed; it is found out by connecting. The file has its permissions from the moment
// it is there.
//
// # Room left
//
// TLS and WebSocket connections keep their goroutine.
package transport
