// Command powercut cuts the power under a running weir: not of the process, which leaves the page cache alone, but of the
// disk. It needs Linux, root, /dev/fuse, a loop device and e2fsprogs, and prints NOT RUN where one of them is missing.
//
//	publishers ──▶ weir run ──▶ ext4 ──▶ loop device ──▶ file served by FUSE ──▶ disk (disk.go)
//	                 │                                                            sectors flushed: safe
//	                 └──▶ strict upstream ──▶ ledger                              sectors written since: at risk
//
// The file is a disk with a volatile write cache. A flush makes everything durable that was written before it. At the
// cut, by the seed, the sectors written since are all lost, all kept, kept by the page, or kept by the sector of 512
// bytes, so that pages are torn; a sector written twice may keep the older of the two. Nothing that happens after the cut
// reaches the disk, and what was acknowledged is written down before it.
//
// One run, of one seed, on one file system:
//
//	1  the upstream is down: everything goes to disk. Cut, at a random moment (one in four while weir starts)
//	2  power is back, the kernel replays its journal, weir starts, the upstream is there, publishing goes on. Cut again
//	3  power is back: everything that was acknowledged arrives, each topic in order; weir stops in order; the file system
//	   is sound (e2fsck)
//
// The publisher sends at QoS 1 and 2 from a persistent session, which may not be lost either. Beside weir, a second process changes keyed state in a log of its own on the same file system (keys.go): after each
// cut that state is, as a whole, the one of a commit no older than the last that was seen to end.
//
//	go run ./.ci/powercut -weir PATH -seeds 20
package main
