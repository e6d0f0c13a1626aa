// Package quality judges readings: a pure pipeline per quantity, without clock
// or input and output.
//
//	reading ─▶ driver's verdict ─▶ chip range ─▶ user range ─▶ rate ─▶ gain, offset ─▶ deadband ─▶ publish?
//	             bad: its reason    bad           bad          bad                      heartbeat
//
// A stage that finds a reading bad takes its value away and gives the reason;
// the later stages then only decide whether the change is worth telling. Ranges
// and rate are applied to what the device measured, before gain and offset: they
// are about faults of the device.
//
// A real step faster than the rate is not locked out: after Rearm readings that
// agree with each other it is believed.
//
// Median, smoothing, stuck detection and derived values are not here yet.
package quality
