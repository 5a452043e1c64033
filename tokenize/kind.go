package tokenize

import (
	"fmt"
	"path/filepath"
	"slices"
)

// vocabKind is how a tokenizer is built of a vocabulary that comes without tokenizer.json.
type vocabKind string

const (
	bertKind    vocabKind = "BERT"
	robertaKind vocabKind = "RoBERTa"
	gpt2Kind    vocabKind = "GPT-2"
)

// classKinds are the tokenizer classes that transformers builds in a way known here, without the Fast that they may end with.
// Others may look alike and are not: MPNet, Funnel, Splinter and DeBERTa have other special tokens, Blenderbot puts a space
// first, CLIP and Qwen split otherwise.
var classKinds = map[string]vocabKind{
	"BertTokenizer": bertKind, "ConvBertTokenizer": bertKind, "DistilBertTokenizer": bertKind, "ElectraTokenizer": bertKind,
	"DPRContextEncoderTokenizer": bertKind, "DPRQuestionEncoderTokenizer": bertKind, "LayoutLMTokenizer": bertKind,
	"LxmertTokenizer": bertKind, "MobileBertTokenizer": bertKind, "SqueezeBertTokenizer": bertKind,

	"RobertaTokenizer": robertaKind, "BartTokenizer": robertaKind, "LEDTokenizer": robertaKind, "LongformerTokenizer": robertaKind,
	"MvpTokenizer": robertaKind,

	"GPT2Tokenizer": gpt2Kind,
}

// typeKinds are the model types whose tokenizer is of such a class where no class is named.
var typeKinds = map[string]vocabKind{
	"align": bertKind, "bark": bertKind, "bert": bertKind, "blip": bertKind, "bros": bertKind, "chinese_clip": bertKind,
	"convbert": bertKind, "distilbert": bertKind, "dpr": bertKind, "electra": bertKind, "ernie": bertKind, "flava": bertKind,
	"git": bertKind, "grounding-dino": bertKind, "layoutlm": bertKind, "lxmert": bertKind, "megatron-bert": bertKind,
	"mm-grounding-dino": bertKind, "mobilebert": bertKind, "nezha": bertKind, "nomic_bert": bertKind, "qdqbert": bertKind,
	"realm": bertKind, "retribert": bertKind, "squeezebert": bertKind, "tvp": bertKind, "vilt": bertKind, "visual_bert": bertKind,

	"bart": robertaKind, "bridgetower": robertaKind, "clap": robertaKind, "data2vec-text": robertaKind, "florence2": robertaKind,
	"ibert": robertaKind, "led": robertaKind, "lilt": robertaKind, "longformer": robertaKind, "mega": robertaKind,
	"mra": robertaKind, "mvp": robertaKind, "roberta": robertaKind, "roberta-prelayernorm": robertaKind,

	"blip-2": gpt2Kind, "codegen": gpt2Kind, "dbrx": gpt2Kind, "emu3": gpt2Kind, "gpt2": gpt2Kind, "gpt_neo": gpt2Kind,
	"gptj": gpt2Kind, "instructblip": gpt2Kind, "instructblipvideo": gpt2Kind, "jais2": gpt2Kind, "opt": gpt2Kind,
	"phi": gpt2Kind, "starcoder2": gpt2Kind,
}

// naming is the place in a config file that names the class of the tokenizer, or its model's type.
type naming struct{ file, field, name string }

// named finds what the config files name the tokenizer, as transformers does, and its kind; "" if that is not known, or if
// nothing is named.
func (c *config) named() (naming, vocabKind) {
	for _, n := range []naming{
		{"tokenizer_config.json", "tokenizer_class", c.class}, {"config.json", "tokenizer_class", c.modelClass},
	} {
		if n.name != "" {
			return n, classKinds[n.name]
		}
	}
	return naming{"config.json", "model_type", c.modelType}, typeKinds[c.modelType]
}

// checkKind refuses to build a tokenizer of another class out of a vocabulary.
func (c *config) checkKind(path string, takes ...vocabKind) error {
	n, kind := c.named()
	if n.name == "" || slices.Contains(takes, kind) {
		return nil
	}
	dir, file := filepath.Split(path)
	return &UnsupportedError{
		File: filepath.Join(dir, n.file), Field: n.field,
		What: fmt.Sprintf("a tokenizer of %q cannot be built from %s alone: put its tokenizer.json beside it, which save_pretrained of a transformers tokenizer writes", n.name, file),
	}
}
