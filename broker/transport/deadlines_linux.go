package transport

// deadlines are the connections of one poller that must receive something in time, the most urgent first: a heap. It costs
// a connection three words, and nothing when bytes come in: a deadline that only moved away is looked at when the one that
// is set passes. Belongs to its poller.
type deadlines struct{ heap []*polled }

// first is the most urgent one; nil: there is none.
func (d *deadlines) first() *polled {
	if len(d.heap) == 0 {
		return nil
	}
	return d.heap[0]
}

// set puts a connection in, or moves it. at counts nanoseconds since the poller began.
func (d *deadlines) set(c *polled, at int64) {
	c.due = at
	if c.place == 0 {
		d.heap = append(d.heap, c)
		c.place = int32(len(d.heap))
	}
	d.up(c)
	d.down(c)
}

// remove takes a connection out, if it is there.
func (d *deadlines) remove(c *polled) {
	if c.place == 0 {
		return
	}
	end := len(d.heap) - 1
	last := d.heap[end]
	d.put(last, c.place-1)
	d.heap[end] = nil
	d.heap = d.heap[:end]
	if last != c {
		d.up(last)
		d.down(last)
	}
	c.place = 0
	if cap(d.heap) > 64 && len(d.heap) < cap(d.heap)/4 { // thousands have gone
		d.heap = append(make([]*polled, 0, cap(d.heap)/2), d.heap...)
	}
}

func (d *deadlines) put(c *polled, i int32) {
	d.heap[i] = c
	c.place = i + 1
}

func (d *deadlines) up(c *polled) {
	i := c.place - 1
	for i > 0 {
		above := (i - 1) / 2
		if d.heap[above].due <= c.due {
			break
		}
		d.put(d.heap[above], i)
		i = above
	}
	d.put(c, i)
}

func (d *deadlines) down(c *polled) {
	i, n := c.place-1, int32(len(d.heap))
	for 2*i+1 < n {
		below := 2*i + 1
		if below+1 < n && d.heap[below+1].due < d.heap[below].due {
			below++
		}
		if d.heap[below].due >= c.due {
			break
		}
		d.put(d.heap[below], i)
		i = below
	}
	d.put(c, i)
}
