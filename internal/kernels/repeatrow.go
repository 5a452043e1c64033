package kernels

import "github.com/ftk-go/ftk/internal/parallel"

// RepeatRow writes row into every row of dst, whose length is a multiple of len(row): a bias, for a matrix product to be
// added to.
func RepeatRow(dst, row []float32) {
	if len(row) == 0 {
		same("RepeatRow", 0, len(dst))
		return
	}
	rows := len(dst) / len(row)
	matrix("RepeatRow", rows, len(row), len(dst))
	t := repeatTasks.Get()
	*t = repeatTask{dst: dst, row: row}
	parallel.Run(rows, rowGrain(len(row), cheapGrain), t)
	*t = repeatTask{}
	repeatTasks.Put(t)
}

type repeatTask struct{ dst, row []float32 }

var repeatTasks parallel.Free[repeatTask]

func (t *repeatTask) Chunk(_, lo, hi int) {
	for r := lo; r < hi; r++ {
		copy(t.dst[r*len(t.row):], t.row)
	}
}
