package finetune

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/cpu"

	"github.com/ftk-go/ftk/heads"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/lower"
	"github.com/ftk-go/ftk/internal/passes"
	"github.com/ftk-go/ftk/internal/vm"
	"github.com/ftk-go/ftk/models"
)

// network is the model with its head, cut at the freeze boundary, with the
// weights that are trained.
type network struct {
	model  *graph.Model // backbone and head, a copy of the caller's
	info   *models.Info // of the backbone
	head   *heads.Head
	parts  *models.Parts
	roles  map[string]models.Role // of the model's inputs
	suffix *graph.Graph           // the trainable part in canonical form
	opset  int64                  // of suffix

	objective
	plans *plans
	arena vm.Arena // of all plans, those of a frozen part included
}

// newNetwork attaches a head for these labels to a copy of the backbone and
// cuts the result.
func newNetwork(backbone *graph.Model, s *Settings, labels []string) (*network, error) {
	n := &network{model: backbone.Clone(), roles: map[string]models.Role{}}
	n.dropout, n.loss, n.smoothing = s.Dropout, s.Loss, s.LabelSmoothing
	var err error
	if n.info, err = models.Describe(n.model); err != nil {
		return nil, err
	}
	for _, in := range n.info.Inputs {
		n.roles[in.Name] = in.Role
	}
	trainable, err := models.Freeze(n.info, s.Freeze)
	if err != nil {
		return nil, err
	}
	n.head, err = heads.Attach(n.model, n.info, heads.Config{Kind: s.Head, Labels: labels, Pooling: s.Pooling, SourcePooling: s.SourcePooling, Seed: s.Seed})
	if err != nil {
		return nil, err
	}
	n.logits = n.head.Logits.Name
	if n.head.DropoutAt != nil {
		n.dropoutAt = n.head.DropoutAt.Name
	}
	trainable = append(trainable, n.head.Initializers...)
	if n.parts, err = models.Split(n.model, trainable, []*graph.Value{n.head.Logits}); err != nil {
		return nil, err
	}
	if n.suffix, err = passes.Canonical(n.parts.Suffix, n.dropoutAt); err != nil {
		return nil, err
	}
	n.opset = n.parts.Suffix.Opset("")
	if err := lower.Unsupported(n.suffix, n.opset); err != nil {
		var unsupported *graph.UnsupportedError
		if errors.As(err, &unsupported) && s.Freeze != "backbone" {
			unsupported.Hint = "--freeze backbone leaves the model to onnxruntime and trains the head on it"
		}
		return nil, err
	}
	if err := n.layOut(); err != nil {
		return nil, err
	}
	n.share()
	n.plans = newPlans(n.suffix, n.opset, &n.objective, &n.arena)
	return n, nil
}

// masked tells whether the model has an attention mask, by which it tells
// padding from text.
func (n *network) masked() bool { return n.info.InputOf(models.AttentionMask) != nil }

// perToken tells whether the trainable part computes for each token, so that
// padding costs it time.
func (n *network) perToken() bool {
	if n.parts.Prefix == nil {
		return true
	}
	return slices.ContainsFunc(n.parts.Boundary, func(c models.Crossing) bool { return c.SeqAxis > 0 || c.SeqAxis == models.UnknownAxis })
}

// layOut puts the trainable initializers into flat buffers.
func (n *network) layOut() error {
	ofHead := map[string]bool{}
	for _, v := range n.head.Initializers {
		ofHead[v.Name] = true
	}
	initial := map[string]*graph.Tensor{}
	var params []*parameter
	tables := tableInputs(n.suffix)
	for _, v := range n.parts.Trainable {
		initial[v.Name] = v.Init
		params = append(params, &parameter{name: v.Name, shape: v.Init.Dims, head: ofHead[v.Name], table: tables[v.Name]})
	}
	var err error
	n.weights, err = newWeights(params, func(p *parameter, dst []float32) error {
		values, err := initial[p.name].Float32s()
		if err != nil {
			return err
		}
		if copy(dst, values) != len(dst) || len(values) != len(dst) {
			return fmt.Errorf("%d values for shape %v", len(values), p.shape)
		}
		return nil
	})
	return err
}

// tableInputs finds the large tables from which nothing is ever taken but the
// rows that one graph input names: table → input.
func tableInputs(g *graph.Graph) map[string]string {
	isInput := map[*graph.Value]bool{}
	for _, v := range g.Inputs {
		isInput[v] = v.Init == nil
	}
	uses := g.Uses()
	tables := map[string]string{}
	for _, v := range g.Initializers {
		if v.Init == nil || len(v.Init.Dims) != 2 || v.Init.Dims[0] < tableRows || len(uses[v]) != 1 {
			continue
		}
		u := uses[v][0]
		if u.Node == nil || u.Node.OpType != "Gather" || u.Index != 0 || u.Node.Int("axis", 0) != 0 {
			continue
		}
		if ids := u.Node.Inputs[1]; isInput[ids] {
			tables[v.Name] = ids.Name
		}
	}
	return tables
}

// frozen returns the number of backbone values that are not trained.
func (n *network) frozen() int64 {
	var head int64
	for _, p := range n.weights.params {
		if p.head {
			head += int64(p.size())
		}
	}
	return n.info.Parameters - (n.weights.count() - head)
}

// share makes the initializers of the network's graphs views of the buffers, so
// that trained weights exist once. (Tensors are immutable elsewhere; these
// graphs are the network's own until export gives the model away.)
func (n *network) share() {
	for _, g := range []*graph.Graph{n.model.Graph, n.parts.Suffix.Graph, n.suffix} {
		byName := initializers(g)
		for _, p := range n.weights.params {
			v := byName[p.name]
			switch {
			case v == nil || v.Init.Location != graph.InModel:
			case len(v.Init.Storage.Floats) > 0:
				v.Init.Storage = graph.Storage{Floats: p.value}
			case !cpu.IsBigEndian:
				v.Init.Storage = graph.Storage{Raw: viewBytes(p.value)}
			}
		}
	}
}

func initializers(g *graph.Graph) map[string]*graph.Value {
	byName := make(map[string]*graph.Value, len(g.Initializers))
	for _, v := range g.Initializers {
		if v.Init != nil {
			byName[v.Name] = v
		}
	}
	return byName
}

// export gives the model with the weights as they are now. They must not be
// trained any further.
func (n *network) export() (*graph.Model, error) {
	byName := initializers(n.model.Graph)
	for _, p := range n.weights.params {
		t := byName[p.name].Init
		if len(t.Storage.Floats) > 0 || (!cpu.IsBigEndian && t.Location == graph.InModel) {
			continue // a view already
		}
		if err := t.SetFloat32s(p.value); err != nil {
			return nil, err
		}
	}
	return n.model, nil
}

func (n *network) close() { n.plans.close() }
