package main

import (
	"strings"

	"github.com/gomlx/gomlx/pkg/core/dtypes"
	"github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"
	"github.com/gomlx/gomlx/pkg/ml/context"
	"github.com/gomlx/gomlx/pkg/ml/train/optimizers"
)

// headScope is where the variables of the head are in a context.
const headScope = "head"

// adamW clips the gradient by its global norm and hands it to GoMLX's Adam, of which there is one for each group of
// variables with a learning rate and a weight decay of their own: the head's and the encoder's, matrices and, without
// decay, vectors.
type adamW struct {
	clip   float64
	groups []*adamGroup
}

type adamGroup struct {
	head, matrices bool
	rate           float64
	current        *context.Variable // the learning rate of the next step
	ctx            *context.Context
	adam           updater
}

// updater is what GoMLX's Adam is beside an optimizers.Interface.
type updater interface {
	UpdateGraphWithGradients(ctx *context.Context, gradients []*graph.Node, lossType dtypes.DType)
}

func newAdamW(ctx *context.Context, rate, headRate, decay, clip float64) *adamW {
	o := &adamW{clip: clip}
	for _, g := range []struct {
		scope          string
		head, matrices bool
		rate, decay    float64
	}{
		{"encoder_matrices", false, true, rate, decay}, {"encoder_vectors", false, false, rate, 0},
		{"head_matrices", true, true, headRate, decay}, {"head_vectors", true, false, headRate, 0},
	} {
		scope := ctx.In(g.scope)
		o.groups = append(o.groups, &adamGroup{
			head: g.head, matrices: g.matrices, rate: g.rate, ctx: scope,
			current: optimizers.LearningRateVar(scope, dtypes.Float32, g.rate),
			adam:    optimizers.Adam().Epsilon(1e-8).WeightDecay(g.decay).Done().(updater),
		})
	}
	return o
}

// schedule sets what share of its learning rate each group gets in the next step.
func (o *adamW) schedule(share float64) error {
	for _, g := range o.groups {
		if err := g.current.SetValue(tensors.FromValue(float32(g.rate * share))); err != nil {
			return err
		}
	}
	return nil
}

// UpdateGraph adds a step to the graph of the loss.
func (o *adamW) UpdateGraph(ctx *context.Context, g *graph.Graph, loss *graph.Node) {
	var trained []*context.Variable
	for v := range ctx.IterVariables() {
		if v.Trainable && v.InUseByGraph(g) {
			trained = append(trained, v)
		}
	}
	gradients := ctx.BuildTrainableVariablesGradientsGraph(loss) // in the same order
	squares := graph.ScalarZero(g, loss.DType())
	for _, d := range gradients {
		squares = graph.Add(squares, graph.ReduceAllSum(graph.Square(d)))
	}
	norm := graph.AddScalar(graph.Sqrt(squares), 1e-6)
	share := graph.MinScalar(graph.Div(graph.Scalar(g, loss.DType(), o.clip), norm), 1.0)
	for _, group := range o.groups {
		var own []*graph.Node
		for i, v := range trained {
			v.SetTrainable(group.has(v)) // Adam updates what is trainable
			if v.Trainable {
				own = append(own, graph.Mul(gradients[i], share))
			}
		}
		if len(own) > 0 {
			group.adam.UpdateGraphWithGradients(group.ctx, own, loss.DType())
		}
	}
	for _, v := range trained {
		v.SetTrainable(true)
	}
}

func (g *adamGroup) has(v *context.Variable) bool {
	head := strings.HasPrefix(v.Scope()+"/", "/"+headScope+"/")
	return head == g.head && (v.Shape().Rank() > 1) == g.matrices
}

// Clear is there for optimizers.Interface: the process ends with its variables.
func (o *adamW) Clear(*context.Context) error { return nil }
