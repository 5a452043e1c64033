package finetune

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/finetune/dataset"
	"github.com/ftk-go/ftk/tokenize"
)

// BenchmarkLoad reads 100,000 rows: records alone, which give the labels that a
// head needs before training, and with their tokens, which other goroutines
// make of the records read so far.
func BenchmarkLoad(b *testing.B) {
	const rows = 100_000
	tok, err := tokenize.Load(filepath.Join("..", "testdata", "tokenizers", "bert_uncased.json"))
	if err != nil {
		b.Fatal(err)
	}
	intents, err := os.ReadFile(filepath.Join("..", "testdata", "intents", "train.csv"))
	if err != nil {
		b.Fatal(err)
	}
	header, lines, _ := strings.Cut(string(intents), "\n")
	lines = strings.Repeat(lines, rows/strings.Count(lines, "\n")+1)
	path := filepath.Join(b.TempDir(), "rows.csv")
	if err := os.WriteFile(path, []byte(header+"\n"+lines), 0o644); err != nil {
		b.Fatal(err)
	}
	one := dataset.Encoding{IDs: []int64{1}}
	for _, c := range []struct {
		name   string
		encode dataset.Encode
	}{
		{"records", func(string, string) (dataset.Encoding, error) { return one, nil }},
		{"tokens", encoder(tok, 128, 0)},
	} {
		b.Run(c.name, func(b *testing.B) {
			read := 0
			for b.Loop() {
				s, err := dataset.Load(b.Context(), path, dataset.LoadOptions{Encode: c.encode, Dir: b.TempDir()})
				if err != nil {
					b.Fatal(err)
				}
				read += s.Len()
				s.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(read), "ns/row")
		})
	}
}
