package serde

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/ftk-go/ftk/internal/onnxpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// TestRandomModelsRoundTrip also counts the fields that came to be set, so
// that one which the filler never sets is noticed.
func TestRandomModelsRoundTrip(t *testing.T) {
	set := make(map[protoreflect.FullName]bool)
	for seed := range uint64(80) {
		want := (&filler{Rand: rand.New(rand.NewPCG(seed, 1))}).model()
		data, err := proto.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Deserialize(data, "")
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for name, write := range map[string]func() ([]byte, error){
			"as read": func() ([]byte, error) { return Serialize(m) },
			"cloned":  func() ([]byte, error) { return Serialize(m.Clone()) },
		} {
			back, err := write()
			if err != nil {
				t.Fatalf("seed %d, %s: %v", seed, name, err)
			}
			got := want.ProtoReflect().New().Interface()
			if err := proto.Unmarshal(back, got); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(want, got) {
				t.Fatalf("seed %d, %s: differs: %s", seed, name, difference(want.ProtoReflect(), got.ProtoReflect()))
			}
		}
		countSet(want.ProtoReflect(), set)
	}
	everyField((&onnxpb.Model{}).ProtoReflect().Descriptor(), map[protoreflect.FullName]bool{}, func(f protoreflect.FieldDescriptor) {
		if !set[f.FullName()] {
			t.Errorf("field %s was never set", f.FullName())
		}
	})
}

func countSet(m protoreflect.Message, set map[protoreflect.FullName]bool) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		set[f.FullName()] = true
		switch {
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				countSet(v.List().Get(i).Message(), set)
			}
		default:
			countSet(v.Message(), set)
		}
		return true
	})
}

func everyField(d protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool, visit func(protoreflect.FieldDescriptor)) {
	if seen[d.FullName()] {
		return
	}
	seen[d.FullName()] = true
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		visit(f)
		if f.Message() != nil {
			everyField(f.Message(), seen, visit)
		}
	}
}

// difference is the path of the first field that differs.
func difference(a, b protoreflect.Message) string {
	fields := a.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		x, y := a.Get(f), b.Get(f)
		switch {
		case a.Has(f) != b.Has(f):
			return fmt.Sprintf("%s: present %v, %v", f.Name(), a.Has(f), b.Has(f))
		case x.Equal(y):
		case f.Message() == nil:
			return fmt.Sprintf("%s: %v, %v", f.Name(), x, y)
		case !f.IsList():
			return string(f.Name()) + "." + difference(x.Message(), y.Message())
		default:
			for j := range min(x.List().Len(), y.List().Len()) {
				if u, v := x.List().Get(j), y.List().Get(j); !u.Equal(v) {
					return fmt.Sprintf("%s[%d].%s", f.Name(), j, difference(u.Message(), v.Message()))
				}
			}
			return fmt.Sprintf("%s: %d elements, %d", f.Name(), x.List().Len(), y.List().Len())
		}
	}
	return "unknown fields"
}
