package buffer

// NewerSnapshot makes the bytes of a snapshot say that they are of a newer format.
func NewerSnapshot(p []byte) []byte {
	le.PutUint32(p[8:], snapshotVersion+1)
	le.PutUint32(p[12:], snapshotHeadCRC(p))
	return p
}
