// Package clock gives out message.Stamp and turns stamps into times, on machines
// that start in 1970 or at the time they were last switched off.
//
// # Stamps and offsets
//
// A stamp counts from the boot of the machine, which is right from the first
// instant. The offset of a boot is the Unix time at which it began, so
//
//	time of a stamp = offset of its boot + Since
//
// The offset of the running boot is measured when the wall clock is first
// trusted, and again whenever a trusted clock has moved against the time since
// boot by more than 10 ms; the newest measurement counts. NTP's slewing does not
// move it: the kernel slews both clocks alike. Each measurement is handed out
// through Config.Learned, to be committed, and comes back through Load at the
// next start. The offsets of the last 64 boots are kept.
//
// A stamp that was given out while the clock was trusted also carries that wall
// time. Where it and the offset of its boot differ by at most a minute, the
// difference is the drift of a crystal between two corrections, and the stamp's
// own time is the better one; where they differ by more, the clock was set
// wrong at the time, and the offset counts.
//
// # Trust
//
//	witness        NTP says so: adjtimex has STA_UNSYNC clear, or systemd-timesyncd
//	               has left /run/systemd/timesync/synchronized in this boot;
//	               or the configuration says trust = "always"
//	memory         a witness has been seen in this boot, by this process or one
//	               before it, and the clock has not moved by more than a minute since
//	floor          the time is not before 2026, nor before the newest time that
//	               the store knows
//
// The clock is trusted while the floor holds and there is a witness or memory.
// Memory matters because the kernel sets STA_UNSYNC again some nine hours after
// the last correction (its error bound, growing by 500 ppm, passes 16 s): a
// gateway that has lost its network must not lose its time. What a crystal drifts
// meanwhile, some seconds per day, is in the stamps.
//
// Trust is looked at again when a stamp is taken or resolved, at most once per
// second; nothing runs in the background.
//
// On systems other than Linux the machine is taken to have a battery clock, so
// there is always a witness; the boot is this process.
package clock
