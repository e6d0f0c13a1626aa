package packet

// Pingreq asks the server for a sign of life.
type Pingreq struct{}

// Decode checks that nothing follows the fixed header.
func (p *Pingreq) Decode(f Frame, v Version) error {
	r := open(f, TypePingreq, v)
	return r.close()
}

// Append appends the two bytes of the packet.
func (p *Pingreq) Append(dst []byte, v Version) ([]byte, error) {
	s := size(TypePingreq, v)
	return s.begin(dst, 0)
}

// Pingresp answers a PINGREQ.
type Pingresp struct{}

// Decode checks that nothing follows the fixed header.
func (p *Pingresp) Decode(f Frame, v Version) error {
	r := open(f, TypePingresp, v)
	return r.close()
}

// Append appends the two bytes of the packet [MQTT-3.12.4-1].
func (p *Pingresp) Append(dst []byte, v Version) ([]byte, error) {
	s := size(TypePingresp, v)
	return s.begin(dst, 0)
}
