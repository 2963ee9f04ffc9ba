package netpoll

import (
	"sync"
	"sync/atomic"
)

// warmWorkers is how many workers wait for the next job at most.
const warmWorkers = 16

// job is a connection's turn.
type job struct {
	conn    *conn
	opening bool   // the first one
	early   []byte // for the first one
}

// workers run jobs, each at once: by one that waits where there is one, and
// otherwise by a new one. A connection has one at most, so there are never more
// than connections, and as many as are busy or held up.
type workers struct {
	jobs    chan job // unbuffered: what is sent has been taken
	waiting atomic.Int32
	running sync.WaitGroup
}

func newWorkers() *workers { return &workers{jobs: make(chan job)} }

func (w *workers) do(j job) {
	select {
	case w.jobs <- j:
	default:
		w.running.Go(func() { w.run(j) })
	}
}

func (w *workers) run(j job) {
	for open := true; open; {
		j.conn.work(j.opening, j.early)
		j = job{} // nothing is kept while waiting
		if w.waiting.Add(1) > warmWorkers {
			w.waiting.Add(-1)
			return
		}
		j, open = <-w.jobs
		w.waiting.Add(-1)
	}
}

// close is called once no job can come any more.
func (w *workers) close() {
	close(w.jobs)
	w.running.Wait()
}
