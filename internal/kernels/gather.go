package kernels

import (
	"fmt"

	"github.com/ftk-go/ftk/internal/parallel"
)

// GatherRows copies rows of table[n, width]: dst[i] = table[ids[i]]. Negative ids count from the end, as in ONNX Gather.
// An id outside the table is an error, and dst is then not written.
func GatherRows(dst, table []float32, ids []int64, width int) error {
	return runRows("GatherRows", false, table, dst, ids, width)
}

// ScatterAddRows adds rows to those of table[n, width] that ids name: table[ids[i]] += src[i], the gradient of GatherRows.
// An id outside the table is an error, and table is then not written.
func ScatterAddRows(table, src []float32, ids []int64, width int) error {
	return runRows("ScatterAddRows", true, table, src, ids, width)
}

func runRows(kernel string, scatter bool, table, rows []float32, ids []int64, width int) error {
	matrix(kernel, len(ids), width, len(rows))
	if width == 0 || len(ids) == 0 {
		return nil
	}
	n := len(table) / width
	matrix(kernel, n, width, len(table))
	for i, id := range ids {
		if id < -int64(n) || id >= int64(n) {
			return fmt.Errorf("kernels: %s: index %d at position %d is outside a table of %d rows", kernel, id, i, n)
		}
	}
	t := gatherTasks.Get()
	*t = gatherTask{table: table, rows: rows, ids: ids, n: n, width: width, scatter: scatter}
	if scatter {
		// Two of the ids may be equal: threads share out columns, not ids.
		t.block = columnBlock
		parallel.Run((width+columnBlock-1)/columnBlock, max(1, cheapGrain/(len(ids)*columnBlock)), t)
	} else {
		parallel.Run(len(ids), rowGrain(width, cheapGrain), t)
	}
	*t = gatherTask{}
	gatherTasks.Put(t)
	return nil
}

type gatherTask struct {
	table, rows     []float32
	ids             []int64
	n, width, block int
	scatter         bool
}

var gatherTasks parallel.Free[gatherTask]

func (t *gatherTask) row(i int) int {
	id := int(t.ids[i])
	if id < 0 {
		id += t.n
	}
	return id * t.width
}

func (t *gatherTask) Chunk(_, lo, hi int) {
	if !t.scatter {
		for i := lo; i < hi; i++ {
			r := t.row(i)
			copy(t.rows[i*t.width:(i+1)*t.width], t.table[r:r+t.width])
		}
		return
	}
	lo, hi = lo*t.block, min(hi*t.block, t.width)
	for i := range t.ids {
		r := t.row(i)
		dst := t.table[r+lo : r+hi]
		vec.add(dst, dst, t.rows[i*t.width+lo:i*t.width+hi])
	}
}
