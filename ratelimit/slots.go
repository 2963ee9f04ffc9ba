package ratelimit

import "sync"

// Slots counts what each key holds at the same time (open sockets, say) up to
// a cap. A key that holds nothing takes no memory, and none does where there is no
// cap. It is safe for concurrent use.
type Slots struct {
	limit int // static after construction; 0 is unlimited

	mu    sync.Mutex     // guards the rest
	held  map[string]int // empty where there is no limit
	total int
}

// NewSlots makes Slots that give each key at most limit; 0 is unlimited.
func NewSlots(limit int) *Slots {
	return &Slots{limit: limit, held: make(map[string]int)}
}

// Acquire takes a slot of key and tells whether there was one. Each slot taken
// is given back with one Release.
func (s *Slots) Acquire(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limit > 0 {
		if s.held[key] >= s.limit {
			return false
		}
		s.held[key]++
	}
	s.total++
	return true
}

// Release gives back one slot of key.
func (s *Slots) Release(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.limit == 0 {
		return
	}
	if s.held[key]--; s.held[key] == 0 {
		delete(s.held, key)
	}
}

// Held is how many slots all keys hold together.
func (s *Slots) Held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}
