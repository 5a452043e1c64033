package parallel

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func withThreads(t testing.TB, n int) {
	old := Threads()
	SetThreads(n)
	t.Cleanup(func() { SetThreads(old) })
}

func TestForCoversEveryItemOnce(t *testing.T) {
	for _, th := range []int{1, 2, 3, 8} {
		withThreads(t, th)
		for _, n := range []int{0, 1, 2, 7, 63, 1000, 12345} {
			for _, grain := range []int{0, 1, 5, 100, 100000} {
				seen := make([]int32, n)
				For(n, grain, func(lo, hi int) {
					for i := lo; i < hi; i++ {
						atomic.AddInt32(&seen[i], 1)
					}
				})
				for i, s := range seen {
					if s != 1 {
						t.Fatalf("threads %d n %d grain %d: item %d handled %d times", th, n, grain, i, s)
					}
				}
			}
		}
	}
}

type recordTask struct {
	mu     sync.Mutex
	bounds map[int][2]int
}

func (r *recordTask) Chunk(i, lo, hi int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bounds[i] = [2]int{lo, hi}
}

func TestChunksAreTheSameEveryTime(t *testing.T) {
	withThreads(t, 2)
	want := &recordTask{bounds: map[int][2]int{}}
	Run(1000, 10, want)
	if len(want.bounds) != Chunks(1000, 10) {
		t.Fatalf("%d chunks, Chunks says %d", len(want.bounds), Chunks(1000, 10))
	}
	for range 20 {
		got := &recordTask{bounds: map[int][2]int{}}
		Run(1000, 10, got)
		for i, b := range want.bounds {
			if got.bounds[i] != b {
				t.Fatalf("chunk %d is %v, was %v", i, got.bounds[i], b)
			}
		}
	}
}

func TestNestedAndConcurrentLoops(t *testing.T) {
	withThreads(t, 4)
	var total atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				For(10, 1, func(lo, hi int) {
					For(10, 1, func(l, h int) { total.Add(int64((hi - lo) * (h - l))) })
				})
			}
		})
	}
	wg.Wait()
	if total.Load() != 8*200*100 {
		t.Fatalf("%d items, want %d", total.Load(), 8*200*100)
	}
}

func TestSleepingWorkersWake(t *testing.T) {
	withThreads(t, 3)
	for range 20 {
		time.Sleep(time.Millisecond)
		var n atomic.Int64
		For(100, 1, func(lo, hi int) { n.Add(int64(hi - lo)) })
		if n.Load() != 100 {
			t.Fatal(n.Load())
		}
	}
}

// A worker that is late to tell of a loop whose end the caller has seen must not
// end the next one.
func TestLateWorkerDoesNotEndTheNextLoop(t *testing.T) {
	withThreads(t, 2)
	p := newPool(2)
	defer p.close()
	for range 1000 {
		p.run(2, 2, func(int, int) {}, nil)
		before := p.loop
		entered := make(chan struct{}, 2)
		release := []chan struct{}{make(chan struct{}), make(chan struct{})}
		returned := make(chan struct{})
		go func() {
			defer close(returned)
			p.run(2, 2, func(lo, _ int) {
				entered <- struct{}{}
				<-release[lo]
			}, nil)
		}()
		<-entered
		<-entered
		close(release[0])
		sleeps := false // the caller does, where it had the chunk that has ended
		for until := time.Now().Add(20 * time.Millisecond); !sleeps && time.Now().Before(until); {
			sleeps = p.waiting.Load() != 0
			time.Sleep(50 * time.Microsecond)
		}
		p.tell(before)
		if sleeps {
			select {
			case <-returned:
				t.Fatal("the loop has ended before its second chunk has")
			case <-time.After(10 * time.Millisecond):
			}
		}
		close(release[1])
		<-returned
		if sleeps {
			return
		}
	}
	t.Fatal("the caller never slept")
}

func TestPanicReachesTheCaller(t *testing.T) {
	withThreads(t, 2)
	for range 50 {
		func() {
			defer func() {
				if v := recover(); v != "bad item" {
					t.Fatalf("recovered %v", v)
				}
			}()
			For(100, 1, func(lo, hi int) {
				if lo <= 50 && 50 < hi {
					panic("bad item")
				}
			})
		}()
	}
	var n atomic.Int64
	For(10, 1, func(lo, hi int) { n.Add(int64(hi - lo)) })
	if n.Load() != 10 {
		t.Fatal("the pool does not work after a panic")
	}
}

type countTask struct{ n atomic.Int64 }

func (c *countTask) Chunk(_, lo, hi int) { c.n.Add(int64(hi - lo)) }

func TestRunDoesNotAllocate(t *testing.T) {
	withThreads(t, 2)
	c := &countTask{}
	var free Free[[64]byte]
	if a := testing.AllocsPerRun(200, func() {
		v := free.Get()
		Run(100, 1, c)
		free.Put(v)
	}); a != 0 {
		t.Errorf("%v allocations a call", a)
	}
}

func BenchmarkRun(b *testing.B) {
	c := &countTask{}
	for b.Loop() {
		Run(100, 1, c)
	}
}
