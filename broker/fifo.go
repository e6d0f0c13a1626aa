package broker

// fifo of messages; the zero value is empty.
type fifo[T any] struct {
	list []T
	head int
}

func (f *fifo[T]) len() int { return len(f.list) - f.head }

func (f *fifo[T]) push(h T) { f.list = append(f.list, h) }

// first is what pop gives next; there is one.
func (f *fifo[T]) first() T { return f.list[f.head] }

// remove takes out what which says.
func (f *fifo[T]) remove(which func(T) bool) {
	kept := f.list[:0]
	for _, h := range f.list[f.head:] {
		if !which(h) {
			kept = append(kept, h)
		}
	}
	clear(f.list[len(kept):])
	f.list, f.head = kept, 0
}

func (f *fifo[T]) pop() T {
	h := f.list[f.head]
	var none T
	f.list[f.head] = none
	f.head++
	switch {
	case f.head == len(f.list):
		f.list, f.head = f.list[:0], 0
		if cap(f.list) > 64 {
			f.list = nil
		}
	case f.head >= 64 && 2*f.head >= len(f.list):
		n := copy(f.list, f.list[f.head:])
		clear(f.list[n:])
		f.list, f.head = f.list[:n], 0
	}
	return h
}
