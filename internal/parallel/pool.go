package parallel

import (
	"runtime"
	"sync/atomic"
)

const (
	maxThreads = 256

	// A worker that finds nothing to do looks again this often, with a pause of pauseCycles between, before it sleeps:
	// some 50 µs, the time between two kernels of a training step.
	spinRounds  = 1000
	pauseCycles = 1
)

// threads mirrors the number of threads of the shared pool for readers that do not hold its lock.
var threads atomic.Int64

// pool runs one loop at a time. The loop under way is described by the fields below state; a chunk is claimed by advancing
// state, and a claimed chunk keeps the loop, and so these fields, in place until it is counted in done.
type pool struct {
	// state: number of the loop (32 bits), its chunks (16 bits), chunks claimed (16 bits).
	state atomic.Uint64
	_     [56]byte
	done  atomic.Int64 // chunks finished
	_     [56]byte

	n      int
	chunks int
	body   func(lo, hi int)
	task   Task
	failed atomic.Pointer[failure]

	sleepers []sleeper
	finished chan struct{} // wakes the caller
	waiting  atomic.Uint32 // number of the loop whose caller sleeps, 0: none
	closed   atomic.Bool
	loop     uint32 // number of the loop under way, or of the last
}

// sleeper is where one worker waits.
type sleeper struct {
	asleep atomic.Bool
	wake   chan struct{}
	_      [40]byte
}

type failure struct{ value any }

func newPool(n int) *pool {
	p := &pool{sleepers: make([]sleeper, n-1), finished: make(chan struct{}, 1)}
	for i := range p.sleepers {
		p.sleepers[i].wake = make(chan struct{}, 1)
		go p.work(&p.sleepers[i])
	}
	threads.Store(int64(n))
	return p
}

// Threads counts the workers and the caller.
func (p *pool) Threads() int { return len(p.sleepers) + 1 }

// close ends the workers; no loop may be under way.
func (p *pool) close() {
	p.closed.Store(true)
	p.wakeWorkers(len(p.sleepers))
}

// run executes one loop; the caller holds the lock of the pool.
func (p *pool) run(n, chunks int, body func(lo, hi int), task Task) {
	p.n, p.chunks, p.body, p.task = n, chunks, body, task
	p.done.Store(0)
	if p.loop++; p.loop == 0 {
		p.loop = 1
	}
	p.state.Store(uint64(p.loop)<<32 | uint64(chunks)<<16)
	p.wakeWorkers(min(chunks, p.Threads()) - 1)

	for p.claim() {
	}
	p.await()
	p.body, p.task = nil, nil
	if f := p.failed.Swap(nil); f != nil {
		panic(f.value)
	}
}

// wakeWorkers wakes up to n of the workers that sleep, counting those that are awake as woken.
func (p *pool) wakeWorkers(n int) {
	for i := range min(n, len(p.sleepers)) {
		if s := &p.sleepers[i]; s.asleep.Load() && s.asleep.CompareAndSwap(true, false) {
			s.wake <- struct{}{}
		}
	}
}

// claim takes the next chunk, if there is one, and runs it.
func (p *pool) claim() bool {
	for {
		s := p.state.Load()
		next, chunks := uint16(s), uint16(s>>16)
		if next >= chunks {
			return false
		}
		if p.state.CompareAndSwap(s, s+1) {
			p.chunk(int(next))
			if p.done.Add(1) == int64(chunks) {
				p.tell(uint32(s >> 32))
			}
			return true
		}
	}
}

// tell wakes the caller of a loop that is done, if it sleeps. The caller may have seen so by itself, and be in another loop
// by now.
func (p *pool) tell(loop uint32) {
	if p.waiting.CompareAndSwap(loop, 0) {
		p.finished <- struct{}{}
	}
}

// chunk runs chunk i of the loop under way, keeping the first panic for the caller.
func (p *pool) chunk(i int) {
	defer func() {
		if v := recover(); v != nil {
			p.failed.CompareAndSwap(nil, &failure{v})
		}
	}()
	lo, hi := bounds(p.n, p.chunks, i)
	if p.body != nil {
		p.body(lo, hi)
	} else {
		p.task.Chunk(i, lo, hi)
	}
}

// await returns when all chunks are done.
func (p *pool) await() {
	all := int64(p.chunks)
	for range p.spins() {
		if p.done.Load() == all {
			return
		}
		pause(pauseCycles)
	}
	p.waiting.Store(p.loop)
	if p.done.Load() == all && p.waiting.CompareAndSwap(p.loop, 0) {
		return
	}
	<-p.finished
}

// work is the life of one worker.
func (p *pool) work(me *sleeper) {
	for {
		for p.claim() {
		}
		found := false
		for range p.spins() {
			if p.hasWork() || p.closed.Load() {
				found = true
				break
			}
			pause(pauseCycles)
		}
		if p.closed.Load() {
			return
		}
		if found {
			continue
		}
		me.asleep.Store(true)
		if (p.hasWork() || p.closed.Load()) && me.asleep.CompareAndSwap(true, false) {
			continue
		}
		<-me.wake
	}
}

func (p *pool) hasWork() bool {
	s := p.state.Load()
	return uint16(s) < uint16(s>>16)
}

// spins is how often to look before sleeping: not at all where spinning keeps a processor from the goroutine waited for.
func (p *pool) spins() int {
	if runtime.GOMAXPROCS(0) < p.Threads() {
		return 0
	}
	return spinRounds
}
