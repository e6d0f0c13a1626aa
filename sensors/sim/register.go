package sim

import "time"

// registerFile is what the chips with a map of 8-bit registers have in common: a read
// pointer that moves on by itself, writes to one or more registers in a message,
// and silence until the chip is up. It makes a Device of a registerChip.
type registerFile[Raw any] struct {
	converter[Raw]
	chip    registerChip
	runsOn  bool // values that follow in a write go to the registers that follow; else pairs of register and value
	deaf    bool // it does not acknowledge the value that resets it
	wraps   byte // the register at which a read begins anew at 0; 0: none
	pointer byte
}

// begin fits the file out for a chip and gives it power.
func (r *registerFile[Raw]) begin(chip registerChip, w World, id byte, options []ChipOption) {
	r.chip, r.tuning = chip, tune(w, id, options)
	r.PowerUp(time.Time{})
}

// registerChip is what one kind of chip does. Its methods are called with mu held,
// after advance.
type registerChip interface {
	// reset puts it into the state after its supply rises at this moment, and sets
	// ready.
	reset(now time.Time)
	// advance works out what has happened up to now.
	advance(now time.Time)
	// store executes a write to one register.
	store(now time.Time, register, value byte)
	// load returns what a register reads as, and does what reading it does.
	load(now time.Time, register byte) byte
}

// PowerUp is part of Device.
func (r *registerFile[Raw]) PowerUp(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pointer = 0
	r.chip.reset(now)
}

// Write is part of Device: an address alone sets the register to read from.
func (r *registerFile[Raw]) Write(now time.Time, data []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.ready) {
		return ErrNack
	}
	r.chip.advance(now)
	r.pointer = data[0]
	if r.runsOn {
		for _, value := range data[1:] {
			r.chip.store(now, r.pointer, value)
			if now.Before(r.ready) { // a reset ends the message
				if r.deaf {
					return ErrNack
				}
				return nil
			}
			r.pointer++
		}
		return nil
	}
	for len(data) >= 2 && !now.Before(r.ready) {
		r.chip.store(now, data[0], data[1])
		r.pointer = data[0]
		data = data[2:]
	}
	if len(data) == 1 {
		r.pointer = data[0]
	}
	return nil
}

// Read is part of Device. All bytes are of the same moment, which is what the
// shadowing of data registers is for.
func (r *registerFile[Raw]) Read(now time.Time, data []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.ready) {
		return ErrNack
	}
	r.chip.advance(now)
	for i := range data {
		data[i] = r.chip.load(now, r.pointer)
		if r.pointer++; r.pointer == r.wraps {
			r.pointer = 0
		}
	}
	return nil
}
