package attack_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
)

// tally counts what floods end in.
type tally struct {
	mu    sync.Mutex
	count map[string]int
}

func (t *tally) add(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count == nil {
		t.count = make(map[string]int)
	}
	t.count[what]++
}

func (t *tally) of(what string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count[what]
}

// String lists them, the names in order.
func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(t.count)) {
		parts = append(parts, fmt.Sprintf("%d %s", t.count[what], what))
	}
	return strings.Join(parts, ", ")
}

// only fails the test where something else than the named has been counted. It is
// for when the flood is over.
func (t *tally) only(test *testing.T, names ...string) {
	test.Helper()
	for what, n := range t.count {
		if !slices.Contains(names, what) {
			test.Errorf("the attack met %d times: %s", n, what)
		}
	}
}
