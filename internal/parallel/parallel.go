// Package parallel runs loops on a fixed set of worker goroutines.
//
// A loop over n items is cut into chunks whose bounds depend only on n, the grain and the number of threads, never
// on timing; which thread runs a chunk is decided at run time, so a thread that the machine takes away does not hold up
// the others. A body whose chunks write disjoint memory, or which keeps one partial result per chunk and adds them in the
// order of the chunks, therefore gives the same result bit for bit for the same number of threads.
//
// One loop runs at a time: a loop started inside another, or by a second goroutine meanwhile, runs its chunks on the
// goroutine that started it. Nothing is allocated by Run; For costs what the caller's closure costs.
package parallel

import (
	"runtime"
	"sync"
)

// chunksPerThread is how finely a loop is cut: more balances better, fewer cost less.
const chunksPerThread = 4

// Task is the body of a loop. Chunk is called once for every chunk, by several goroutines at once.
type Task interface {
	// Chunk handles items lo to hi (hi not included) of the loop; i numbers the chunks from 0.
	Chunk(i, lo, hi int)
}

var shared = struct {
	sync.Mutex
	*pool
}{pool: newPool(runtime.GOMAXPROCS(0))}

// SetThreads sets how many goroutines run a loop, the calling one included; below 1 means all processors that Go uses.
// It waits for a loop under way.
func SetThreads(n int) {
	if n < 1 {
		n = runtime.GOMAXPROCS(0)
	}
	shared.Lock()
	defer shared.Unlock()
	if n == shared.Threads() {
		return
	}
	shared.close()
	shared.pool = newPool(min(n, maxThreads))
}

// Threads is how many goroutines run a loop, the calling one included.
func Threads() int { return int(threads.Load()) }

// Chunks is the number of chunks in which a loop over n items is cut. A chunk has at least grain items (the last
// ones of a loop shorter than that excepted).
func Chunks(n, grain int) int {
	t := Threads()
	if n <= 0 {
		return 0
	}
	grain = max(grain, 1)
	c := (n + grain - 1) / grain
	if t == 1 {
		return min(c, 1)
	}
	if c > t*chunksPerThread {
		return t * chunksPerThread
	}
	if c > t {
		c -= c % t // every thread the same number of chunks
	}
	return c
}

// bounds gives the items of chunk i.
func bounds(n, chunks, i int) (lo, hi int) {
	return int(uint64(n) * uint64(i) / uint64(chunks)), int(uint64(n) * uint64(i+1) / uint64(chunks))
}

// For calls body for chunks that cover the items 0 to n, on all threads, and returns when all are done. Loops of fewer
// than 2·grain items run on the calling goroutine. A panic in body is raised again in the caller.
func For(n, grain int, body func(lo, hi int)) {
	chunks := Chunks(n, grain)
	if chunks <= 1 || !shared.TryLock() {
		for i := range chunks {
			body(bounds(n, chunks, i))
		}
		return
	}
	defer shared.Unlock()
	shared.run(n, chunks, body, nil)
}

// Run is For with a Task, for callers that keep the arguments of their body in a struct (see Free).
func Run(n, grain int, t Task) { RunChunks(n, Chunks(n, grain), t) }

// RunChunks is Run for a loop that the caller has cut, by Chunks, and has made room for: SetThreads may have been called
// since.
func RunChunks(n, chunks int, t Task) {
	if chunks <= 1 || !shared.TryLock() {
		for i := range chunks {
			lo, hi := bounds(n, chunks, i)
			t.Chunk(i, lo, hi)
		}
		return
	}
	defer shared.Unlock()
	shared.run(n, chunks, nil, t)
}
