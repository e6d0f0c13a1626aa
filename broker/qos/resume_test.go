package qos

import (
	"testing"

	"weir/broker/packet"
)

// A resumed session whose order the caller keeps: restored messages leave one by one, new ones may go between them.
func TestAgainOneByOne(t *testing.T) {
	o := NewOutbound(2)
	o.Restore(7, 1, 2, false)
	o.Restore(8, 2, 2, true)
	o.Restore(9, 3, 2, false)
	o.Resume(2)
	if o.Resending() || o.Free() != 2 {
		t.Fatalf("resending %t, free %d after Resume, want false, 2", o.Resending(), o.Free())
	}
	for _, c := range []struct {
		id           uint16
		released, ok bool
	}{{7, false, true}, {7, false, true}, {8, true, true}, {44, false, false}} {
		if released, ok := o.Again(c.id); released != c.released || ok != c.ok {
			t.Errorf("Again(%d) = %t, %t, want %t, %t", c.id, released, ok, c.released, c.ok)
		}
	}
	if id := send(t, o, 1, 4); id != 10 {
		t.Errorf("a new message gets id %d, want 10", id)
	}
	if _, ok := o.Again(9); ok {
		t.Error("Again went beyond the window")
	}
	o.Receive(packet.TypePuback, 10, packet.Success)
	if _, ok := o.Again(9); !ok {
		t.Error("Again did not use the room there is")
	}
}

// A message whose content is gone ends with PUBREL and PUBCOMP.
func TestGiveUp(t *testing.T) {
	o := NewOutbound(2)
	id, one := send(t, o, 2, 1), send(t, o, 1, 2)
	if o.GiveUp(one) || o.GiveUp(99) {
		t.Error("GiveUp took a message of QoS 1, or an unknown one")
	}
	if !o.GiveUp(id) || !o.GiveUp(id) {
		t.Error("GiveUp did not take it")
	}
	if step, ref := o.Receive(packet.TypePubcomp, id, packet.PacketIdentifierNotFound); step != Done || ref != 1 {
		t.Errorf("PUBCOMP: %s of %d", step, ref)
	}
}
