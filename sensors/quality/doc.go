// Package quality judges readings: a pure pipeline per quantity, without clock
// or input and output.
//
//	          ┌──────────────────────────────── Channel ────────────────────────────────┐
//	reading ─▶ driver's verdict ─▶ chip range ─▶ user range ─▶ rate ─▶ frozen ─▶ median ─▶
//	             bad: its reason    bad           bad          bad     bad
//	           calibration ─▶ smoothing ─▶ derived ─▶ time of publishing ─▶ deadband ─▶ publish?
//	          └──────── Channel ────────┘  Deriver   └──────────────── Gate ──────────┘
//
// A stage that finds a reading bad takes its value away and gives the reason;
// the gate then only decides whether the change is worth telling. Ranges and
// rate are applied to what the device measured, before calibration: they are
// about faults of the device. No reading that is not bad leaves with a value
// that is not finite.
//
// A real step faster than the rate is not locked out: after Rearm readings that
// agree with each other it is believed, and median and smoothing begin anew with
// it. The same holds when another device answers than before (Reset).
//
// A frozen device says the same word, to the last bit, for longer than its noise
// allows, and at least ten times.
//
// Derived quantities are computed from corrected ones. The tendency of the
// pressure needs three hours of history, of which a value every five minutes is
// kept; after a start there is none for that long.
package quality
