package ratelimit

// idleList is a ring of the Limiters that nobody holds, linked through their
// places so that being in it takes no memory. The next to be looked at is in the
// back.
type idleList struct {
	root *Limiter // stands for the list itself: before its front and behind its back
}

func newIdleList() idleList {
	root := &Limiter{}
	root.place.next, root.place.prev = root, root
	return idleList{root}
}

// back is nil where the list is empty.
func (i idleList) back() *Limiter {
	if last := i.root.place.prev; last != i.root {
		return last
	}
	return nil
}

func (i idleList) pushFront(l *Limiter) {
	l.place.prev, l.place.next = i.root, i.root.place.next
	l.place.prev.place.next, l.place.next.place.prev = l, l
}

func (i idleList) remove(l *Limiter) {
	l.place.prev.place.next, l.place.next.place.prev = l.place.next, l.place.prev
	l.place.prev, l.place.next = nil, nil
}
