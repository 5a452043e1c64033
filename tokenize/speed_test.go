package tokenize

import (
	"bufio"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/internal/testenv"
)

// newsAndReviews returns 10,000 real texts, half SST-2 and half AG News.
func newsAndReviews(b testing.TB) []string {
	b.Helper()
	sst := testenv.Shared(b, "datasets/glue/SST-2/train.tsv")
	f, err := os.Open(sst)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var texts []string
	lines := bufio.NewScanner(f)
	lines.Scan() // header
	for len(texts) < 5000 && lines.Scan() {
		text, _, _ := strings.Cut(lines.Text(), "\t")
		texts = append(texts, text)
	}
	news, err := os.Open(testenv.Shared(b, "datasets/ag_news/test.csv"))
	if err != nil {
		b.Fatal(err)
	}
	defer news.Close()
	records := csv.NewReader(news)
	records.LazyQuotes = true
	for len(texts) < 10_000 {
		r, err := records.Read()
		if err != nil {
			b.Fatal(err)
		}
		texts = append(texts, strings.Join(r[1:], " "))
	}
	return texts
}

func BenchmarkEncodeBatch(b *testing.B) {
	texts := newsAndReviews(b)
	size := 0
	for _, t := range texts {
		size += len(t)
	}
	for _, f := range realFamilies {
		tok, err := Load(testenv.Shared(b, filepath.Join("tokenizers", f.name)))
		if err != nil {
			b.Fatal(err)
		}
		for _, mode := range []struct {
			name string
			opts Options
		}{{"whole", Options{}}, {"ids", Options{IDsOnly: true}}} {
			b.Run(f.name+"/"+mode.name, func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := tok.EncodeBatch(Texts(texts), mode.opts, 1); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
