package kernels

import (
	"fmt"
	"math"

	"github.com/ftk-go/ftk/internal/parallel"
)

// CrossEntropy gives the loss of each row of logits[rows, classes]: -log softmax(logits)[label], or with smoothing ε
// (1-ε) times that plus ε times the mean over all classes (Szegedy et al., arXiv:1512.00567, section 7; as in
// torch.nn.CrossEntropyLoss). A row with a negative label counts for nothing: loss 0. A label ≥ classes is an error.
func CrossEntropy(loss, logits []float32, labels []int64, rows, classes int, smoothing float32) error {
	return runLoss("CrossEntropy", (*lossTask).crossEntropy, loss, rows, nil, logits, labels, rows, classes, smoothing)
}

// CrossEntropyGrad is scale times the gradient of each row's CrossEntropy: softmax - target. dlogits may be logits.
// For the gradient of a mean, scale is 1/(rows that count) times the gradient of the mean.
func CrossEntropyGrad(dlogits, logits []float32, labels []int64, rows, classes int, smoothing, scale float32) error {
	return runLoss("CrossEntropyGrad", (*lossTask).crossEntropyGrad, dlogits, rows*classes, &scale, logits, labels, rows, classes, smoothing)
}

// Hinge gives the multi-class margin loss of Crammer & Singer of each row of logits[rows, classes]:
// max(0, margin + max over j≠label of logits[j] - logits[label]). Negative labels as in CrossEntropy.
func Hinge(loss, logits []float32, labels []int64, rows, classes int, margin float32) error {
	return runLoss("Hinge", (*lossTask).hinge, loss, rows, nil, logits, labels, rows, classes, margin)
}

// HingeGrad is scale times the gradient of each row's Hinge. dlogits must not be logits.
func HingeGrad(dlogits, logits []float32, labels []int64, rows, classes int, margin, scale float32) error {
	return runLoss("HingeGrad", (*lossTask).hingeGrad, dlogits, rows*classes, &scale, logits, labels, rows, classes, margin)
}

// lossTask computes loss or gradient row by row. param is the smoothing or the margin.
type lossTask struct {
	row          func(t *lossTask, r int)
	dst, logits  []float32
	labels       []int64
	classes      int
	param, scale float32
}

var lossTasks parallel.Free[lossTask]

func runLoss(kernel string, row func(*lossTask, int), dst []float32, dstLen int, scale *float32, logits []float32, labels []int64, rows, classes int, param float32) error {
	matrix(kernel, rows, classes, len(logits))
	same(kernel, rows, len(labels))
	same(kernel, dstLen, len(dst))
	for i, l := range labels {
		if l >= int64(classes) {
			return fmt.Errorf("kernels: %s: label %d of row %d is not one of %d classes", kernel, l, i, classes)
		}
	}
	t := lossTasks.Get()
	*t = lossTask{row: row, dst: dst, logits: logits, labels: labels, classes: classes, param: param}
	if scale != nil {
		t.scale = *scale
	}
	parallel.Run(rows, rowGrain(classes, costlyGrain), t)
	*t = lossTask{}
	lossTasks.Put(t)
	return nil
}

func (t *lossTask) Chunk(_, lo, hi int) {
	for r := lo; r < hi; r++ {
		t.row(t, r)
	}
}

func (t *lossTask) logitsOf(r int) []float32 { return t.logits[r*t.classes : (r+1)*t.classes] }

func (t *lossTask) crossEntropy(r int) {
	label := t.labels[r]
	if label < 0 {
		t.dst[r] = 0
		return
	}
	x := t.logitsOf(r)
	s := scratches.Get()
	s.a = resized(s.a, len(x))
	top := vec.max(x)
	logSum := math.Log(float64(vec.expSum(s.a, x, top)))
	scratches.Put(s)
	loss := logSum - (float64(x[label]) - float64(top))
	if t.param != 0 {
		mean, eps := vec.sum64(x)/float64(len(x)), float64(t.param)
		loss = (1-eps)*loss + eps*(logSum-(mean-float64(top)))
	}
	t.dst[r] = float32(loss)
}

func (t *lossTask) crossEntropyGrad(r int) {
	x, d := t.logitsOf(r), t.dst[r*t.classes:(r+1)*t.classes]
	label := t.labels[r]
	if label < 0 {
		clear(d)
		return
	}
	softmaxForward(d, x, nil)
	if t.param != 0 {
		vec.offset(d, d, -t.param/float32(len(d)))
	}
	d[label] -= 1 - t.param
	vec.scale(d, d, t.scale)
}

// rival is the class other than the label with the largest logit, and by how much the margin is missed; -1 for none.
func (t *lossTask) rival(x []float32, label int64) (int, float32) {
	best := -1
	for j, v := range x {
		if int64(j) != label && (best < 0 || v > x[best] || v != v) {
			best = j
		}
	}
	if best < 0 {
		return -1, 0
	}
	return best, t.param + x[best] - x[label]
}

func (t *lossTask) hinge(r int) {
	t.dst[r] = 0
	if label := t.labels[r]; label >= 0 {
		if _, miss := t.rival(t.logitsOf(r), label); miss > 0 || miss != miss {
			t.dst[r] = miss
		}
	}
}

func (t *lossTask) hingeGrad(r int) {
	d := t.dst[r*t.classes : (r+1)*t.classes]
	clear(d)
	if label := t.labels[r]; label >= 0 {
		if j, miss := t.rival(t.logitsOf(r), label); miss > 0 || miss != miss {
			d[j] = t.scale
			d[label] = -t.scale
		}
	}
}
