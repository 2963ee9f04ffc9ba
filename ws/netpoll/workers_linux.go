package netpoll

import "sync"

// warmWorkers is how many workers wait for the next job at most.
const warmWorkers = 16

// job is a connection's turn.
type job struct {
	conn    *conn
	opening bool   // the first one
	early   []byte // for the first one
}

// workers run jobs. A connection has one at most, and each may take as long as it
// likes: before a worker turns to one, it calls another worker where more wait. So
// there are as many as are busy or held up, and few where jobs are short, however
// many come at once.
type workers struct {
	running sync.WaitGroup

	mu     sync.Mutex
	called *sync.Cond // a worker that waits
	queue  queue      // guarded by mu
	coming bool       // guarded by mu: a worker was called and has not looked yet
	idle   int        // guarded by mu: workers that wait
	closed bool       // guarded by mu
}

func newWorkers() *workers {
	w := new(workers)
	w.called = sync.NewCond(&w.mu)
	return w
}

// do has j run, and does not wait for that.
func (w *workers) do(j job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue.push(j)
	w.call()
}

// call is called with mu held where jobs wait.
func (w *workers) call() {
	if w.coming {
		return
	}
	w.coming = true
	if w.idle > 0 {
		w.called.Signal()
		return
	}
	w.running.Go(w.run)
}

func (w *workers) run() {
	for j, ok := w.first(); ok; j, ok = w.next() {
		j.conn.work(j.opening, j.early)
	}
}

// first is next for a worker that was called to life.
func (w *workers) first() (job, bool) {
	w.mu.Lock()
	w.coming = false
	w.mu.Unlock()
	return w.next()
}

// next waits for a job, unless enough others do already.
func (w *workers) next() (job, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if j, ok := w.queue.pop(); ok {
			if !w.queue.isEmpty() {
				w.call()
			}
			return j, true
		}
		if w.closed || w.idle == warmWorkers {
			return job{}, false
		}
		w.idle++
		w.called.Wait()
		w.idle--
		w.coming = false
	}
}

// close is called once no job can come any more.
func (w *workers) close() {
	w.mu.Lock()
	w.closed = true
	w.called.Broadcast()
	w.mu.Unlock()
	w.running.Wait()
}

// keptJobs is how many jobs an empty queue keeps the room for. More are there when
// very many connections come at once.
const keptJobs = 1024

// queue is first in, first out.
type queue struct {
	in   []job
	out  []job // in's of before; what is before next has gone
	next int
}

func (q *queue) isEmpty() bool { return len(q.in) == 0 && q.next == len(q.out) }

func (q *queue) push(j job) { q.in = append(q.in, j) }

func (q *queue) pop() (j job, ok bool) {
	if q.isEmpty() {
		return job{}, false
	}
	if q.next == len(q.out) {
		q.in, q.out, q.next = q.out[:0], q.in, 0
	}
	j, q.out[q.next] = q.out[q.next], job{}
	q.next++
	if q.isEmpty() && cap(q.in)+cap(q.out) > keptJobs {
		*q = queue{}
	}
	return j, true
}
