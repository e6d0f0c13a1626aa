package journal

import "weir/broker"

var _ broker.Store = (*Journal)(nil)

// Put implements broker.Store.
func (j *Journal) Put(key string, value []byte) error {
	defer j.changed()
	return j.log.Put(key, value)
}

// Delete implements broker.Store.
func (j *Journal) Delete(key string) {
	j.log.Delete(key)
	j.changed()
}

// Range implements broker.Store.
func (j *Journal) Range(prefix string, f func(key string, value []byte) bool) { j.log.Range(prefix, f) }

// Failing implements broker.Store.
func (j *Journal) Failing() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.commitErr != nil
}

// changed sees to it that what was put is written soon.
func (j *Journal) changed() {
	now := j.cfg.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.pace.stateChanged(now)
	j.hurry()
}
