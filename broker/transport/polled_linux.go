package transport

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// polled is a connection that a poller drives: it has no goroutine, and no buffer but for a packet that arrived in part.
//
//	           ┌── away (Receive may wait: a goroutine of its own) ◀─┐
//	           ▼                                                     │
//	arrived ─▶ reading ◀── ready again when it has had its share ────┤
//	           │  end: EOF, error, Shutdown, Timeout                 │
//	           ▼                                                     │
//	          over (Closed was called; last words, what comes is thrown away) ─▶ closed
//
// The poller owns its fields, but for sent and armed, which are of whoever is writing, and those that never change.
type polled struct {
	Conn
	poller *poller

	due  int64 // see deadlines
	part *part // of a packet; nil: none

	place      int32 // in deadlines
	slot       int32 // in poller.conns; stays what it was when it arrived
	generation int32 // tells it from others that have had the slot; 0: it has not arrived
	fd         int32 // closed by who makes the writing side dead, so that it is there for whoever writes

	sent uint32   // of Conn.done; as long as an output buffer can be
	zone uint32   // of peer; 0: none
	peer [18]byte // IPv6 or mapped address, then port; zero on a Unix socket

	gone   bool // the poller has let go of it
	away   bool // a goroutine has it
	over   bool // Closed was called
	queued bool // in poller.again
	hung   bool // the peer has closed, or worse: read until that is seen
	armed  bool // the poller is told when there is room in the socket; of who writes
}

// part is what only some connections have, and those not for long.
type part struct {
	rest []byte // received and not consumed
	used int    // result of Receive, of the goroutine that had it
	err  error  // the same
}

func newPolled(fd int, peer unix.Sockaddr, s *served, p *poller) *polled {
	c := &polled{poller: p, fd: int32(fd)}
	c.setPeer(peer)
	c.served, c.driver = s, c
	c.state.Store(writeBusy) // until it has arrived: a Flush leaves a mark only
	s.running.Add(1)
	s.counts.accepted.Add(1)
	s.counts.open.Add(1)
	return c
}

// remoteAddr is Conn.RemoteAddr.
func (c *polled) remoteAddr() net.Addr {
	ip := c.remoteIP()
	if !ip.IsValid() {
		return c.served.listener.Addr() // clients of a Unix socket have no address
	}
	if c.zone != 0 {
		if i, err := net.InterfaceByIndex(int(c.zone)); err == nil {
			ip = ip.WithZone(i.Name)
		}
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, binary.BigEndian.Uint16(c.peer[16:])))
}

// remoteIP is Conn.RemoteIP, without a zone.
func (c *polled) remoteIP() netip.Addr {
	if c.peer == [18]byte{} {
		return netip.Addr{}
	}
	return netip.AddrFrom16([16]byte(c.peer[:16])).Unmap()
}

// setPeer keeps an address in 22 bytes.
func (c *polled) setPeer(from unix.Sockaddr) {
	ip, port := netip.Addr{}, 0
	switch a := from.(type) {
	case *unix.SockaddrInet4:
		ip, port = netip.AddrFrom4(a.Addr), a.Port
	case *unix.SockaddrInet6:
		ip, port = netip.AddrFrom16(a.Addr), a.Port
		if ip.IsLinkLocalUnicast() {
			c.zone = a.ZoneId
		}
	default:
		return
	}
	sixteen := ip.As16()
	binary.BigEndian.PutUint16(c.peer[copy(c.peer[:], sixteen[:]):], uint16(port))
}

// shutdown wakes the poller; markEnding is set.
func (c *polled) shutdown() { c.poller.post(c, noteShutdown) }

// failed wakes the poller; markBroken is set.
func (c *polled) failed() { c.poller.post(c, noteFailed) }

// lastWritten is Conn.lastWritten.
func (c *polled) lastWritten() {
	if c.mark(markSaid) {
		return
	}
	unix.Shutdown(int(c.fd), unix.SHUT_WR)
	if c.has(markEOF) { // after noting that it is said: the poller looks at the two the other way round
		c.poller.post(c, noteSaid)
	}
}

// dead is reached when nobody writes any more, nor ever will.
func (c *polled) dead() {
	unix.Close(int(c.fd))
	c.served.counts.open.Add(-1)
	c.served.running.Done()
}

// stopWriting sees to it that nobody will write any more. It waits for nobody: the socket is closed by who writes, if
// somebody does.
func (c *polled) stopWriting() {
	for {
		switch s := c.state.Load(); s {
		case writeIdle, writeStuck:
			if c.state.CompareAndSwap(s, writeDead) {
				c.dead()
				return
			}
		default:
			if c.state.CompareAndSwap(s, writeDying) {
				return
			}
		}
	}
}

// writeShare is how much is written in one go before other connections have their turn.
const writeShare = 1 << 20

// writeOut is Conn.writeOut: it writes what there is, by the one who has the right to.
func (c *polled) writeOut() {
	for share := 0; ; {
		told := c.has(markTold)
		b := c.take()
		if len(b) == 0 {
			if c.endWriting(told) {
				return
			}
			continue
		}
		c.done, c.sent = b, 0
		if !c.push() {
			return
		}
		if share += len(b); share >= writeShare && c.pause() {
			c.poller.post(c, noteWrite)
			return
		}
	}
}

// push writes the rest of what was taken. false: the socket is full, and the poller has the right to write now; or the
// writing side has died.
func (c *polled) push() bool {
	for int(c.sent) < len(c.done) && !c.has(markBroken) {
		n, err := syscall.Write(int(c.fd), c.done[c.sent:])
		switch {
		case err == nil:
			c.sent += uint32(n)
		case err == syscall.EINTR:
		case err != syscall.EAGAIN:
			c.Conn.failed()
		case !c.armed: // then the socket is asked again: the poller hears only of what happens from now on
			c.armed = true
			c.poller.watch(c, unix.EPOLL_CTL_MOD, reading|unix.EPOLLOUT)
		case c.pause():
			return false
		case c.state.Load() == writeDying:
			c.endWriting(false)
			return false
		}
	}
	return true
}

// pause gives the right to write to the poller. false: something happened meanwhile, so look again.
func (c *polled) pause() bool {
	if c.state.CompareAndSwap(writeBusy, writeStuck) {
		return true
	}
	c.state.CompareAndSwap(writeAgain, writeBusy)
	return false
}

// writable goes on writing, if that is up to the poller. Called by it.
func (c *polled) writable() {
	for {
		switch c.state.Load() {
		case writeStuck:
			if !c.state.CompareAndSwap(writeStuck, writeBusy) {
				continue
			}
			if c.push() {
				c.writeOut()
			}
			return
		case writeBusy: // who writes may have found it full just before
			if c.state.CompareAndSwap(writeBusy, writeAgain) {
				return
			}
		default:
			return
		}
	}
}

var errGone = errors.New("transport: the peer takes nothing any more")
