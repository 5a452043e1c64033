package finetune_test

import (
	"context"
	"fmt"
	"log"

	"github.com/ftk-go/ftk/finetune"
	"github.com/ftk-go/ftk/models"
	"github.com/ftk-go/ftk/tokenize"
)

// A classifier of what people ask a library, by a small model of random
// weights; models.Open reads a pretrained one. Result.Model is the trained
// graph: exporter.Write makes of it what is served.
func Example() {
	tokenizer, err := tokenize.Load("../testdata/tokenizers/bert_uncased.json")
	if err != nil {
		log.Fatal(err)
	}
	model, err := models.TinyBERT(models.Tiny{BERTConfig: models.BERTConfig{VocabSize: tokenizer.MaxID() + 1}}, 1)
	if err != nil {
		log.Fatal(err)
	}
	c := finetune.Config{Model: model, Tokenizer: tokenizer, Settings: finetune.Defaults()}
	c.Train, c.Eval = "../testdata/intents/train.csv", "../testdata/intents/dev.csv"
	c.Freeze, c.Epochs = "none", 1
	result, err := finetune.Run(context.Background(), c)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(result.Labels), "labels,", result.Train.Steps, "steps")
	// Output: 12 labels, 15 steps
}
