package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/gomlx/gomlx/backends"
	"github.com/gomlx/gomlx/backends/simplego"
	"github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"
	"github.com/gomlx/gomlx/pkg/ml/context"
	"github.com/gomlx/gomlx/pkg/ml/context/initializers"
	"github.com/gomlx/gomlx/pkg/ml/layers"
	"github.com/gomlx/gomlx/pkg/ml/train"
	"github.com/gomlx/gomlx/pkg/ml/train/losses"
	"github.com/gomlx/onnx-gomlx/onnx"
)

// classifier is an ONNX encoder with a head of its own: pooling, dropout, one linear layer.
type classifier struct {
	encoder *onnx.Model
	backend backends.Backend
	ctx     *context.Context
	pooling string // mean or cls
	dropout float64
	labels  int
}

// openClassifier reads the ONNX file, and the JSON list of those initializers that are to be trained. The gradient is
// computed for them alone: GoMLX's differentiation goes back only on paths that lead to a trainable variable.
func openClassifier(path, trainable string) (*classifier, error) {
	c := &classifier{ctx: context.New(), pooling: "mean", dropout: 0.1, labels: 2}
	var err error
	if c.encoder, err = onnx.ReadFile(path); err != nil {
		return nil, err
	}
	if c.backend, err = simplego.New(""); err != nil {
		return nil, err
	}
	if err := c.encoder.VariablesToContext(c.ctx); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(trainable)
	if err != nil {
		return nil, err
	}
	var names []string
	if err := json.Unmarshal(data, &names); err != nil {
		return nil, fmt.Errorf("%s: %w", trainable, err)
	}
	for v := range c.ctx.IterVariables() {
		v.SetTrainable(false)
	}
	for _, name := range names {
		v := c.ctx.In(onnx.ModelScope).GetVariable(onnx.SafeVarName(name))
		if v == nil {
			return nil, fmt.Errorf("%s: %s has no initializer %q", trainable, path, name)
		}
		v.SetTrainable(true)
	}
	return c, nil
}

// trainer is GoMLX's, with cross-entropy for the loss. Every shape of a batch is a graph of its own, without a limit.
func (c *classifier) trainer(optimizer *adamW) *train.Trainer {
	classify := func(ctx *context.Context, _ any, inputs []*graph.Node) []*graph.Node {
		return []*graph.Node{c.logits(ctx, inputs)}
	}
	t := train.NewTrainer(c.backend, c.ctx, classify, losses.SparseCategoricalCrossEntropyLogits, optimizer, nil, nil)
	t.OnExecCreation(func(exec *context.Exec, _ train.GraphType) { exec.SetMaxCache(-1) })
	return t
}

// logits are [batch labels], of token ids, attention mask and token types [batch tokens].
func (c *classifier) logits(ctx *context.Context, inputs []*graph.Node) *graph.Node {
	hidden := c.encoder.CallGraph(ctx, inputs[0].Graph(), map[string]*graph.Node{
		"input_ids": inputs[0], "attention_mask": inputs[1], "token_type_ids": inputs[2],
	}, "last_hidden_state")[0] // [batch tokens hidden]
	pooled := c.pool(hidden, inputs[1])
	pooled = layers.DropoutNormalize(ctx, pooled, graph.Scalar(pooled.Graph(), pooled.DType(), c.dropout), true)
	ctx = ctx.In(headScope)
	return layers.Dense(ctx.WithInitializer(initializers.RandomNormalFn(ctx, 0.02)), pooled, true, c.labels)
}

// pool makes one vector of the tokens, [batch hidden]: the mean of those that the mask [batch tokens] has. For the first
// token, that one is all the mask has: the Go backend lacks the gradient of a slice (Pad).
func (c *classifier) pool(hidden, mask *graph.Node) *graph.Node {
	if c.pooling == "cls" {
		position := graph.Iota(mask.Graph(), mask.Shape(), 1)
		mask = graph.Equal(position, graph.ZerosLike(position))
	}
	mask = graph.InsertAxes(graph.ConvertDType(mask, hidden.DType()), -1) // [batch tokens 1]
	return graph.Div(graph.ReduceSum(graph.Mul(hidden, mask), 1), graph.ReduceSum(mask, 1))
}

// batch is the inputs of a classifier and the right answers.
type batch struct {
	ids, mask, types [][]int64 // [rows tokens]
	labels           [][]int64 // [rows 1]
}

func newBatch(rows, tokens int) batch {
	return batch{matrix(rows, tokens), matrix(rows, tokens), matrix(rows, tokens), matrix(rows, 1)}
}

func matrix(rows, columns int) [][]int64 {
	m := make([][]int64, rows)
	for r := range m {
		m[r] = make([]int64, columns)
	}
	return m
}

func (b batch) inputs() []*tensors.Tensor {
	return []*tensors.Tensor{tensors.FromValue(b.ids), tensors.FromValue(b.mask), tensors.FromValue(b.types)}
}

func (b batch) answers() []*tensors.Tensor { return []*tensors.Tensor{tensors.FromValue(b.labels)} }

// do is a step of a trainer, t.TrainStep or t.EvalStep.
func (b batch) do(step func(spec any, inputs, labels []*tensors.Tensor) ([]*tensors.Tensor, error)) error {
	results, err := step(nil, b.inputs(), b.answers())
	for _, t := range results {
		t.MustFinalizeAll()
	}
	return err
}
