package finetune

import (
	"context"
	"fmt"
	"iter"

	"github.com/ftk-go/ftk/finetune/dataset"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/ort"
	"github.com/ftk-go/ftk/models"
)

// batch is what one plan is fed with. Its memory is reused.
type batch struct {
	batchPlan
	inputs map[string]ort.Array // by input name, padded: [rows seq …]
	labels []int64              // nil for unlabelled data
	ids    []int64              // scratch for inputs of other types
}

// feeder turns examples into batches.
type feeder struct {
	net      *network
	set      *dataset.Set
	padID    int64
	features *features // nil: nothing is frozen
	inputs   []*graph.Value
}

// newFeeder checks that every input of the model is one that text can feed,
// and finds what the frozen part, if there is one, makes of set, or prepares to
// compute it.
func newFeeder(ctx context.Context, n *network, set *dataset.Set, f *frozen, c *Config) (*feeder, error) {
	fd := &feeder{net: n, set: set, padID: c.Tokenizer.PadID()}
	boundary := map[string]bool{}
	for _, c := range n.parts.Boundary {
		boundary[c.Value.Name] = true
	}
	for _, v := range n.parts.Suffix.Graph.Inputs {
		if !boundary[v.Name] {
			if err := n.canFeed(v); err != nil {
				return nil, err
			}
			fd.inputs = append(fd.inputs, v)
		}
	}
	var err error
	if f != nil {
		fd.features, err = newFeatures(ctx, f, fd, c)
	}
	return fd, err
}

func (f *feeder) close() { f.features.close() }

// canFeed tells whether an input of the model can be made of tokens.
func (n *network) canFeed(v *graph.Value) error {
	switch role := n.roles[v.Name]; role {
	case models.InputIDs, models.AttentionMask, models.TokenTypeIDs, models.PositionIDs:
	default:
		return fmt.Errorf("input %q of the model is none that text gives (input_ids, attention_mask, token_type_ids, position_ids)", v.Name)
	}
	if dims, known := v.Dims(); known {
		if len(dims) != 2 {
			return fmt.Errorf("input %q of the model has %d axes; text is fed as [batch sequence]", v.Name, len(dims))
		}
		if dims[0].Known() || dims[1].Known() {
			return fmt.Errorf("input %q of the model has a fixed size, %v; texts have any number of tokens: export the model again with dynamic axes for batch and sequence", v.Name, v.Type)
		}
	}
	if v.Type != nil {
		switch v.Type.Elem {
		case graph.Int64, graph.Int32, graph.Float32, graph.Undefined:
		default:
			return fmt.Errorf("input %q of the model is %v; tokens are given as int64, int32 or float32", v.Name, v.Type.Elem)
		}
	}
	return nil
}

// fill makes the batch of a plan.
func (f *feeder) fill(ctx context.Context, b *batch, p batchPlan) error {
	p.examples = append(b.examples[:0], p.examples...)
	b.batchPlan = p
	if b.inputs == nil {
		b.inputs = map[string]ort.Array{}
	}
	b.labels = b.labels[:0]
	if f.set.Labelled() {
		for _, e := range b.examples {
			b.labels = append(b.labels, int64(e.Class))
		}
	}
	for _, v := range f.inputs {
		if err := f.tokens(b, v); err != nil {
			return err
		}
	}
	if f.features == nil {
		return nil
	}
	return f.features.fill(ctx, f, b)
}

// tokens fills one token input of a batch, [rows seq].
func (f *feeder) tokens(b *batch, v *graph.Value) error {
	rows, seq := len(b.examples), b.seq
	a := b.inputs[v.Name]
	a.Shape = append(a.Shape[:0], int64(rows), int64(seq))
	elem := graph.Int64
	if v.Type != nil {
		elem = v.Type.Elem
	}
	ids := b.ids
	if elem != graph.Int32 && elem != graph.Float32 {
		ids = a.I64
	}
	ids = resize(ids, rows*seq)
	if err := f.values(ids, b, f.net.roles[v.Name]); err != nil {
		return err
	}
	switch elem {
	case graph.Int32:
		b.ids, a.I32 = ids, resize(a.I32, rows*seq)
		for i, x := range ids {
			a.I32[i] = int32(x)
		}
	case graph.Float32:
		b.ids, a.F32 = ids, resize(a.F32, rows*seq)
		for i, x := range ids {
			a.F32[i] = float32(x)
		}
	default:
		a.I64 = ids
	}
	b.inputs[v.Name] = a
	return nil
}

// values writes what an input of this role has for each token of a batch.
func (f *feeder) values(dst []int64, b *batch, role models.Role) error {
	for r, e := range b.examples {
		row := dst[r*b.seq : (r+1)*b.seq]
		n := e.Length
		switch role {
		case models.InputIDs:
			if err := f.set.IDs(e, row); err != nil {
				return err
			}
			for i := n; i < b.seq; i++ {
				row[i] = f.padID
			}
		case models.TokenTypeIDs:
			if err := f.set.Types(e, row); err != nil {
				return err
			}
			clear(row[n:])
		case models.AttentionMask:
			for i := range row {
				row[i] = 0
				if i < n {
					row[i] = 1
				}
			}
		case models.PositionIDs:
			for i := range row {
				row[i] = int64(i)
			}
		}
	}
	return nil
}

// batches yields the batches of plans in order: in parts where the model cannot
// tell padding, or, in training, where much of it would be computed. While one
// is in use the next is made by another goroutine; a batch is valid until the
// next is asked for.
func (f *feeder) batches(ctx context.Context, plans iter.Seq2[batchPlan, error], train bool) iter.Seq2[*batch, error] {
	type made struct {
		b   *batch
		err error
	}
	switch {
	case !f.net.masked():
		plans = inParts(plans, 0)
	case train && f.net.perToken():
		plans = inParts(plans, partCost)
	}
	return func(yield func(*batch, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		const buffers = 2
		free, ready := make(chan *batch, buffers), make(chan made, buffers)
		done := make(chan struct{})
		for range buffers {
			free <- &batch{}
		}
		go func() {
			defer close(done)
			defer close(ready)
			for p, err := range plans {
				var b *batch
				select {
				case b = <-free:
				case <-ctx.Done():
					return
				}
				if err == nil {
					err = f.fill(ctx, b, p)
				}
				ready <- made{b, err}
				if err != nil {
					return
				}
			}
		}()
		defer func() { cancel(); <-done }()
		for m := range ready {
			if !yield(m.b, m.err) || m.err != nil {
				return
			}
			free <- m.b
		}
	}
}

func resize[T any](x []T, n int) []T {
	if cap(x) < n {
		return make([]T, n, n+n/4)
	}
	return x[:n]
}
