package broker

// fifo of messages; the zero value is empty, and a word.
type fifo[T any] struct{ *row[T] }

type row[T any] struct {
	list []T
	head int
}

func (f *fifo[T]) len() int {
	if f.row == nil {
		return 0
	}
	return len(f.list) - f.head
}

func (f *fifo[T]) push(h T) {
	if f.row == nil {
		f.row = &row[T]{}
	}
	f.list = append(f.list, h)
}

// first is what pop gives next; there is one.
func (f *fifo[T]) first() T { return f.list[f.head] }

// remove takes out what which says.
func (f *fifo[T]) remove(which func(T) bool) {
	if f.row == nil {
		return
	}
	kept := f.list[:0]
	for _, h := range f.list[f.head:] {
		if !which(h) {
			kept = append(kept, h)
		}
	}
	clear(f.list[len(kept):])
	f.list, f.head = kept, 0
}

// pop takes the first one out; there is one.
func (f *fifo[T]) pop() T {
	h := f.list[f.head]
	var none T
	f.list[f.head] = none
	f.head++
	switch {
	case f.head == len(f.list):
		f.list, f.head = f.list[:0], 0
		if cap(f.list) > 64 {
			f.row = nil
		}
	case f.head >= 64 && 2*f.head >= len(f.list):
		n := copy(f.list, f.list[f.head:])
		clear(f.list[n:])
		f.list, f.head = f.list[:n], 0
	}
	return h
}
