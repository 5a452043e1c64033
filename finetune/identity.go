package finetune

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"strconv"

	"github.com/ftk-go/ftk/finetune/dataset"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/parallel"
)

// identity tells whether a run meets again what it was begun with.
type identity struct {
	Model     string `json:"model"` // hash of the backbone's initializers
	Tokenizer string `json:"tokenizer"`
	Train     string `json:"train"` // of texts and labels
	Eval      string `json:"eval"`
	Threads   int    `json:"threads"`
	Order     int    `json:"order"` // orderVersion
}

func identify(c *Config, train, eval *dataset.Set) (identity, error) {
	id := identity{Tokenizer: c.Tokenizer.Hash(), Threads: parallel.Threads(), Order: orderVersion}
	var err error
	if id.Model, err = hashModel(c.Model); err != nil {
		return id, err
	}
	if id.Train, err = hashSet(train); err != nil {
		return id, err
	}
	id.Eval = id.Train
	if eval != train {
		id.Eval, err = hashSet(eval)
	}
	return id, err
}

// hashModel names a model by what it computes: its operator sets, its nodes
// with attributes and bodies, its functions, and the checksums of its tensors.
func hashModel(m *graph.Model) (string, error) {
	h := modelHash{sha256.New()}
	h.opsets(m.Opsets)
	err := h.graph(m.Graph)
	for _, f := range m.Functions {
		fmt.Fprintf(h, "function %q %q %q %q\n", f.Domain, f.Name, f.Overload, f.Attributes)
		h.opsets(f.Opsets)
		for _, a := range f.Defaults {
			err = errors.Join(err, h.attribute(a))
		}
		err = errors.Join(err, h.graph(f.Body))
	}
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// modelHash is written to by what a model consists of.
type modelHash struct{ hash.Hash }

func (h modelHash) opsets(all []graph.Opset) {
	for _, o := range all {
		fmt.Fprintf(h, "opset %q %d\n", o.Domain, o.Version)
	}
}

func (h modelHash) graph(g *graph.Graph) error {
	h.names("inputs", g.Inputs)
	for _, n := range g.Nodes {
		fmt.Fprintf(h, "node %q %q %q %q\n", n.Domain, n.OpType, n.Overload, n.Name)
		h.names("from", n.Inputs)
		h.names("to", n.Outputs)
		for _, a := range n.Attrs {
			if err := h.attribute(a); err != nil {
				return fmt.Errorf("node %q, attribute %q: %w", n.Name, a.Name, err)
			}
		}
	}
	for _, v := range g.Initializers {
		if err := h.tensor(v.Name, v.Init); err != nil {
			return fmt.Errorf("initializer %q: %w", v.Name, err)
		}
	}
	for _, v := range g.Sparse {
		if err := h.sparse(v.Name, v.Sparse); err != nil {
			return fmt.Errorf("initializer %q: %w", v.Name, err)
		}
	}
	h.names("outputs", g.Outputs)
	return nil
}

func (h modelHash) names(what string, values []*graph.Value) {
	fmt.Fprint(h, what)
	for _, v := range values {
		if v == nil {
			fmt.Fprint(h, " -")
			continue
		}
		fmt.Fprintf(h, " %q", v.Name)
	}
	fmt.Fprintln(h)
}

func (h modelHash) attribute(a *graph.Attribute) error {
	fmt.Fprintf(h, "attribute %q %v %q %v %v %q %v %v %q\n", a.Name, a.Type, a.RefAttr, a.F, a.I, a.S, a.Floats, a.Ints, a.Strings)
	for _, t := range append(a.Tensors[:len(a.Tensors):len(a.Tensors)], a.T) {
		if err := h.tensor("", t); err != nil {
			return err
		}
	}
	for _, s := range append(a.Sparses[:len(a.Sparses):len(a.Sparses)], a.Sparse) {
		if err := h.sparse("", s); err != nil {
			return err
		}
	}
	for _, g := range append(a.Graphs[:len(a.Graphs):len(a.Graphs)], a.G) {
		if g == nil {
			continue
		}
		if err := h.graph(g); err != nil {
			return err
		}
	}
	return nil
}

// tensor takes a tensor that may be nil.
func (h modelHash) tensor(name string, t *graph.Tensor) error {
	if t == nil {
		return nil
	}
	raw, err := t.Raw()
	if err != nil {
		return err
	}
	fmt.Fprintf(h, "tensor %q %v %v %08x\n", name, t.DType, t.Dims, crc32.Checksum(raw, castagnoli))
	return nil
}

// sparse takes a sparse tensor that may be nil.
func (h modelHash) sparse(name string, s *graph.SparseTensor) error {
	if s == nil {
		return nil
	}
	fmt.Fprintf(h, "sparse %q %v\n", name, s.Dims)
	return errors.Join(h.tensor("values", s.Values), h.tensor("indices", s.Indices))
}

// hashSet names what is trained on: texts, the classes of the examples as a list
// of numbers, and the labels.
func hashSet(s *dataset.Set) (string, error) {
	h := sha256.New()
	content := s.Hash()
	h.Write(content[:])
	text := bufio.NewWriter(h)
	separator := byte('[')
	for class, err := range s.ExampleClasses() {
		if err != nil {
			return "", err
		}
		text.WriteByte(separator)
		text.WriteString(strconv.Itoa(int(class)))
		separator = ' '
	}
	fmt.Fprintf(text, "] %v", s.Classes.Names)
	text.Flush()
	return hex.EncodeToString(h.Sum(nil)), nil
}
