package parallel

import "sync"

// Free is a list of values to be used again: arguments of a Task, scratch memory of a chunk. Unlike sync.Pool it keeps
// them through garbage collections, so a steady state allocates nothing. It holds as many as were in use at once.
type Free[T any] struct {
	mu   sync.Mutex
	list []*T
}

// Get returns a value put back earlier, as it was put back, or a new zero one.
func (f *Free[T]) Get() *T {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.list); n > 0 {
		v := f.list[n-1]
		f.list = f.list[:n-1]
		return v
	}
	return new(T)
}

// Put hands a value back.
func (f *Free[T]) Put(v *T) {
	f.mu.Lock()
	f.list = append(f.list, v)
	f.mu.Unlock()
}
