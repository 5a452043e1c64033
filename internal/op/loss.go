package op

import (
	"fmt"

	"github.com/ftk-go/ftk/internal/kernels"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// IgnoreLabel marks an example (or token) that takes no part in a loss, as PyTorch's ignore_index.
const IgnoreLabel = -100

// CrossEntropy is the mean over all labels of -log softmax(logits)[label]: logits [..., classes], labels int64 [...],
// result a scalar. Labels of IgnoreLabel do not count; if none counts the loss is 0.
//
// labelSmoothing s in [0, 1) takes the target (1-s)·onehot + s/classes, as PyTorch's CrossEntropyLoss.
func CrossEntropy(logits, labels *G.Node, labelSmoothing float32) (*G.Node, error) {
	if labelSmoothing < 0 || labelSmoothing >= 1 {
		return nil, fmt.Errorf("CrossEntropy: label smoothing %v is outside [0, 1)", labelSmoothing)
	}
	return newLoss(lossKind{name: "CrossEntropy", smoothing: labelSmoothing}, logits, labels)
}

// Hinge is the multi-class margin loss of Crammer & Singer 2001, mean over all labels of
// max(0, 1 + max over j ≠ label of logits[j] - logits[label]). Shapes and IgnoreLabel as in CrossEntropy.
func Hinge(logits, labels *G.Node) (*G.Node, error) {
	return newLoss(lossKind{name: "Hinge"}, logits, labels)
}

type lossKind struct {
	name      string
	smoothing float32
}

func newLoss(kind lossKind, logits, labels *G.Node) (*G.Node, error) {
	if err := sameGraph(kind.name, logits, labels); err != nil {
		return nil, err
	}
	if err := wantType(kind.name, tensor.Float32, logits); err != nil {
		return nil, err
	}
	if err := wantType(kind.name, tensor.Int64, labels); err != nil {
		return nil, err
	}
	k := &loss{Base: NewBase(kind.name, fmt.Sprint(kind.smoothing), G.Nodes{logits, labels}, 0), lossKind: kind}
	return Apply(k, logits, labels)
}

type loss struct {
	Base
	lossKind
	perRow []float32 // scratch
}

func (k *loss) InferShape(ds ...G.DimSizer) (tensor.Shape, error) {
	s, err := Shapes(k, ds)
	if err != nil {
		return nil, err
	}
	if len(s[0]) < 2 || !sameShape(s[0][:len(s[0])-1], s[1]) {
		return nil, fmt.Errorf("%s: logits %v and labels %v: want [..., classes] and [...]", k.lossKind.name, s[0], s[1])
	}
	if k.lossKind.name == "Hinge" && lastDim(s[0]) < 2 {
		return nil, fmt.Errorf("Hinge: logits %v: want at least 2 classes", s[0])
	}
	return tensor.ScalarShape(), nil
}

func (k *loss) Run(out *tensor.Dense, in []*tensor.Dense) error {
	logits, labels, classes := in[0].Float32s(), in[1].Int64s(), lastDim(in[0].Shape())
	n, err := countLabels(k.lossKind.name, labels, classes)
	if err != nil {
		return err
	}
	if len(k.perRow) < len(labels) {
		k.perRow = make([]float32, len(labels))
	}
	rows := k.perRow[:len(labels)]
	if k.lossKind.name == "Hinge" {
		err = kernels.Hinge(rows, logits, labels, len(rows), classes, 1)
	} else {
		err = kernels.CrossEntropy(rows, logits, labels, len(rows), classes, k.smoothing)
	}
	if err != nil {
		return err
	}
	out.Float32s()[0] = float32(kernels.Sum(rows) / float64(max(n, 1)))
	return nil
}

func (k *loss) DiffWRT(int) []bool { return []bool{true, false} }

func (k *loss) SymDiff(in G.Nodes, out, dy *G.Node) (G.Nodes, error) {
	nodes := G.Nodes{in[0], in[1], dy}
	g := &lossGrad{Base: NewBase(k.lossKind.name+"Grad", fmt.Sprint(k.smoothing), nodes, in[0].Dims()), lossKind: k.lossKind}
	dx, err := Apply(g, nodes...)
	return G.Nodes{dx, nil}, err
}

func (k *loss) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *loss) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}

// lossGrad is the gradient of a loss with respect to the logits, from logits, labels and the scalar dy.
type lossGrad struct {
	Base
	noGrad
	lossKind
}

func (k *lossGrad) InferShape(ds ...G.DimSizer) (tensor.Shape, error) {
	s, err := Shapes(k, ds)
	if err != nil {
		return nil, err
	}
	if count(s[2]) != 1 {
		return nil, fmt.Errorf("%s: gradient of the loss is %v, want a scalar", k, s[2])
	}
	return s[0].Clone(), nil
}

func (k *lossGrad) InPlace() int {
	if k.lossKind.name == "Hinge" {
		return -1
	}
	return 0
}

func (k *lossGrad) Run(out *tensor.Dense, in []*tensor.Dense) error {
	labels, classes := in[1].Int64s(), lastDim(in[0].Shape())
	dx, logits := out.Float32s(), in[0].Float32s()
	n, err := countLabels(k.lossKind.name, labels, classes)
	if err != nil {
		return err
	}
	var scale float32
	if n > 0 {
		scale = in[2].Float32s()[0] / float32(n)
	}
	if k.lossKind.name == "Hinge" {
		return kernels.HingeGrad(dx, logits, labels, len(labels), classes, 1, scale)
	}
	return kernels.CrossEntropyGrad(dx, logits, labels, len(labels), classes, k.smoothing, scale)
}

func (k *lossGrad) Do(in ...G.Value) (G.Value, error) { return Do(k, in...) }
func (k *lossGrad) UsePreallocDo(p G.Value, in ...G.Value) (G.Value, error) {
	return PreallocDo(k, p, in...)
}

// countLabels counts what takes part in the mean and refuses labels that are no class.
func countLabels(name string, labels []int64, classes int) (int, error) {
	n := 0
	for i, l := range labels {
		if l == IgnoreLabel {
			continue
		}
		if l < 0 || l >= int64(classes) {
			return 0, fmt.Errorf("%s: label %d at position %d is outside the %d classes", name, l, i, classes)
		}
		n++
	}
	return n, nil
}
