package quality

import "time"

// Config says how the readings of one quantity are judged and corrected. All
// numbers are in the unit of the reading (°C, Pa, %RH). The zero value changes
// nothing.
type Config struct {
	Min, Max float64 // accepted range; both zero: any
	MaxRate  float64 // largest believable change per second; 0: any
	Rearm    int     // readings that must agree before a faster change is believed; 0: 3

	// Frozen is how long the device's own word may stay the same; 0: for ever.
	Frozen time.Duration

	Median int // readings whose median is taken, 3 or 5; 0 and 1: none

	Points []Point // calibration, by rising Measured; with at least two, Gain and Offset are not used
	Gain   float64 // 0: 1
	Offset float64 // added after the gain

	Smooth time.Duration // time constant of the smoothing; 0: none
}

// Point is one pair of a calibration: what the device says, and what is true.
type Point struct{ Measured, True float64 }

// GateConfig says which readings of one quantity are published. The zero value
// publishes every good one.
type GateConfig struct {
	Deadband         float64 // smaller changes than this are not published; 0: none
	DeadbandFraction float64 // the same as a part of the value published last: 0.01 is 1 %

	Heartbeat time.Duration // publish at least this often while readings come; 0: no such promise
	Interval  time.Duration // publish at most this often; 0: each reading
	Every     time.Duration // one value is published for this time; 0: each reading is looked at
	Mean      bool          // that value is the mean of the readings in the time, not the last of them

	// Sampling is how often readings come. What is due within half of it is due:
	// no reading comes at exactly the time it is meant for.
	Sampling time.Duration
}
