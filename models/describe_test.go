package models_test

import (
	"slices"
	"testing"

	"github.com/ftk-go/ftk/importer"
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/testenv"
	"github.com/ftk-go/ftk/models"
)

// description is what a test expects of an Info.
type description struct {
	family       string
	parameters   int64
	hidden       string // name of the hidden state
	hiddenSize   int64
	pooled       string
	layers       int
	firstLayer   string // its name
	perLayer     int    // weights of each layer
	shared       bool
	embeddings   int // how many weights
	vocab        int64
	maxPositions int64
	anonymous    int
	roles        []models.Role
}

var textRoles = []models.Role{models.InputIDs, models.AttentionMask, models.TokenTypeIDs}

func check(t *testing.T, m *graph.Model, want description) *models.Info {
	t.Helper()
	info, err := models.Describe(m)
	if err != nil {
		t.Fatal(err)
	}
	got := description{
		family: info.Family, parameters: info.Parameters, hiddenSize: info.HiddenSize,
		layers: len(info.Layers), shared: info.SharedLayers, embeddings: len(info.Embeddings),
		vocab: info.VocabSize, maxPositions: info.MaxPositions, anonymous: len(info.Anonymous),
	}
	if info.HiddenState != nil {
		got.hidden = info.HiddenState.Name
	}
	if info.Pooled != nil {
		got.pooled = info.Pooled.Name
	}
	if len(info.Layers) > 0 {
		got.firstLayer = info.Layers[0].Name
		got.perLayer = len(info.Layers[0].Initializers)
	}
	for _, in := range info.Inputs {
		got.roles = append(got.roles, in.Role)
	}
	if !slices.Equal(got.roles, want.roles) {
		t.Errorf("roles %q, want %q", got.roles, want.roles)
	}
	got.roles, want.roles = nil, nil
	if !equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for i, l := range info.Layers {
		if want.hidden != "" && len(l.Initializers) != want.perLayer {
			t.Errorf("layer %d has %d weights, the first %d", i, len(l.Initializers), want.perLayer)
		}
	}
	return info
}

func equal(a, b description) bool {
	return a.family == b.family && a.parameters == b.parameters && a.hidden == b.hidden && a.hiddenSize == b.hiddenSize &&
		a.pooled == b.pooled && a.layers == b.layers && a.firstLayer == b.firstLayer && a.perLayer == b.perLayer &&
		a.shared == b.shared && a.embeddings == b.embeddings && a.vocab == b.vocab && a.maxPositions == b.maxPositions &&
		a.anonymous == b.anonymous
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// layers and others of tiny models, by their sizes: 2·(4·32²+4·32 + 2·32·64+64+32 + 4·32) in
// the layers, 166·32+2·32 in the embeddings, 32²+32 in the pooler.
func TestDescribeTiny(t *testing.T) {
	bert := description{
		family: "bert", parameters: 23520, hidden: "last_hidden_state", hiddenSize: 32, pooled: "pooler_output",
		layers: 2, firstLayer: "/encoder/layer.0", perLayer: 16, embeddings: 5, vocab: 100, maxPositions: 64, roles: textRoles,
	}
	albert := description{
		family: "albert", parameters: 12832, hidden: "last_hidden_state", hiddenSize: 32, pooled: "pooler_output",
		layers: 4, firstLayer: "/encoder/layer.0", perLayer: 16, shared: true, embeddings: 7, vocab: 100, maxPositions: 64, roles: textRoles,
	}
	single := bert
	single.layers, single.parameters = 1, 23520-8544
	noPooler := bert
	noPooler.pooled, noPooler.parameters = "", 23520-1056
	noTypes := bert
	noTypes.family, noTypes.embeddings, noTypes.parameters = "distilbert", 4, 23520-64
	noTypes.roles = textRoles[:2]
	noMask := bert
	noMask.roles = []models.Role{models.InputIDs, models.TokenTypeIDs}
	four := models.BERTConfig{Layers: 4}
	for _, c := range []struct {
		name  string
		model func(testing.TB) *graph.Model
		want  description
	}{
		{"opset 17", must(models.TinyBERT(models.Tiny{}, 1)), bert},
		{"opset 14", must(models.TinyBERT(models.Tiny{Opset: 14}, 1)), bert},
		{"Constant nodes", must(models.TinyBERT(models.Tiny{Opset: 14, ConstantNodes: true}, 1)), bert},
		{"one layer", must(models.TinyBERT(models.Tiny{BERTConfig: models.BERTConfig{Layers: 1}}, 1)), single},
		{"no pooler", must(models.TinyBERT(models.Tiny{NoPooler: true}, 1)), noPooler},
		{"no mask", must(models.TinyBERT(models.Tiny{NoMask: true}, 1)), noMask},
		{"no token types", must(models.TinyBERT(models.Tiny{NoTokenTypes: true}, 1)), noTypes},
		{"ALBERT", must(models.TinyALBERT(models.Tiny{BERTConfig: four}, 1)), albert},
		{"ALBERT opset 17", must(models.TinyALBERT(models.Tiny{BERTConfig: four, Opset: 17, ConstantNodes: true}, 1)), albert},
		{"autoencoder", must(models.TinyAutoencoder([]int64{16, 8, 4}, 1)), description{
			family: "autoencoder", parameters: 16*8 + 8 + 8*4 + 4 + 4*16 + 16, layers: 3, firstLayer: "layer 0", perLayer: 2,
			roles: []models.Role{""},
		}},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, c.model(t), c.want) })
	}
}

// Names decide nothing: the same model with all of them replaced is described
// the same.
func TestDescribeIgnoresNames(t *testing.T) {
	m := must(models.TinyBERT(models.Tiny{}, 1))(t)
	for i, v := range m.Graph.Values() {
		v.Name = string(rune('a'+i%26)) + "::" + string(rune('a'+i/26))
	}
	for _, n := range m.Graph.Nodes {
		n.Name = ""
	}
	info, err := models.Describe(m)
	if err != nil {
		t.Fatal(err)
	}
	if len(info.Layers) != 2 || info.Layers[1].Name != "layer 1" || info.HiddenState != m.Graph.Outputs[0] || len(info.Embeddings) != 5 {
		t.Errorf("%d layers, hidden state %v, %d embeddings", len(info.Layers), info.HiddenState, len(info.Embeddings))
	}
	for i, want := range textRoles {
		if info.Inputs[i].Role != want {
			t.Errorf("input %d: role %q, want %q", i, info.Inputs[i].Role, want)
		}
	}
}

func TestDescribeReal(t *testing.T) {
	const albertPrefix = "/albert/encoder/albert_layers.0/"
	albert := description{
		family: "albert", parameters: 767616, hidden: "last_hidden_state", hiddenSize: 256, pooled: "pooler_output",
		layers: 12, firstLayer: "layer 0", perLayer: 16, shared: true, embeddings: 7, vocab: 591, maxPositions: 512, roles: textRoles,
	}
	mlm := albert
	mlm.hidden, mlm.pooled, mlm.parameters = albertPrefix+"full_layer_layer_norm_11/LayerNormalization_output_0", "", 811215
	past := make([]models.Role, 8)
	for _, c := range []struct {
		file string
		want description
	}{
		{"albert-rxnmapper/encoder_opset14.onnx", albert},
		{"albert-rxnmapper/encoder_opset17.onnx", albert},
		{"albert-rxnmapper/mlm_opset17.onnx", mlm},
		{"capp-gpt2/model.onnx", description{
			family: "gpt2", parameters: 236224, hidden: "/transformer/ln_f/Add_1_output_0", hiddenSize: 64,
			layers: 4, firstLayer: "/transformer/h.0", perLayer: 12, embeddings: 2, vocab: 53, maxPositions: 512,
			roles: slices.Concat([]models.Role{models.InputIDs}, past, []models.Role{models.AttentionMask, models.PositionIDs}),
		}},
		{"vit-cifar10/ibp_3_3_8.onnx", description{
			family: "vit", parameters: 67594, hidden: "/1/1.2/1.2.1/Add_output_0", hiddenSize: 48,
			layers: 3, firstLayer: "/1/1.0", perLayer: 16, embeddings: 4, roles: []models.Role{models.PixelValues},
		}},
		{"mnist-autoencoder/autoencoder2.onnx", description{
			family: "autoencoder", parameters: 468368, layers: 4, firstLayer: "layer 0", perLayer: 2, roles: []models.Role{""},
		}},
		{"mnist-cnn/mnist-12.onnx", description{
			family: "cnn", parameters: 5994, layers: 2, firstLayer: "layer 0", perLayer: 2, roles: []models.Role{models.PixelValues},
		}},
		{"ppocr/ch_ppocr_mobile_v2.0_cls_infer.onnx", description{ // every weight is a Constant node
			family: "cnn", parameters: 129356, layers: 4, firstLayer: "layer 0", perLayer: 13, embeddings: 47, anonymous: 143,
			roles: []models.Role{models.PixelValues},
		}},
		{"face-rfb320/version-RFB-320_simplified.onnx", description{
			family: "cnn", parameters: 273888, layers: 13, firstLayer: "layer 0", perLayer: 2, roles: []models.Role{models.PixelValues},
		}},
		{"magika/standard_v2_1.onnx", description{family: "cnn", parameters: 784725, roles: []models.Role{""}}},
		{"silero-vad/silero_vad_16k_op15.onnx", description{
			family: "rnn", parameters: 309632, layers: 4, firstLayer: "/model/encoder/0", perLayer: 2, embeddings: 1,
			roles: []models.Role{"", "", ""},
		}},
	} {
		t.Run(c.file, func(t *testing.T) {
			m, err := importer.Load(testenv.Shared(t, "models/"+c.file))
			if err != nil {
				t.Fatal(err)
			}
			check(t, m, c.want)
		})
	}
}
