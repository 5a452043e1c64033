package dataset

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func readAll(path string, opt Options) ([]Record, error) {
	r, err := Open(path, opt)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var all []Record
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, rec)
	}
}

func TestRead(t *testing.T) {
	long := strings.Repeat("word ", 40_000)
	for _, c := range []struct {
		name, file, content string
		opt                 Options
		want                []Record
	}{
		{name: "csv", file: "a.csv", content: "text,label\nhello,a\n\"x, \"\"y\"\"\",b\n",
			want: []Record{{"hello", "", "a", 2}, {`x, "y"`, "", "b", 3}}},
		{name: "csv, quoted line ends, CRLF, BOM", file: "a.csv", content: "\xef\xbb\xbftext,label\r\n\"one\ntwo\",a\r\nthree,b\r\n",
			want: []Record{{"one\ntwo", "", "a", 2}, {"three", "", "b", 4}}},
		{name: "csv, label first, no last line end", file: "a.CSV", content: "category,sentence\n 7 ,hi",
			want: []Record{{"hi", "", "7", 2}}},
		{name: "tsv, quotes are literal", file: "a.tsv", content: "sentence\tlabel\n\"half \t1\n\nit's 5\" wide\t0\r\n",
			want: []Record{{`"half `, "", "1", 2}, {`it's 5" wide`, "", "0", 4}}},
		{name: "tsv, a long line", file: "a.tsv", content: "text\tlabel\n" + long + "\tx\nshort\ty\n",
			want: []Record{{long, "", "x", 2}, {"short", "", "y", 3}}},
		{name: "two columns, one of them the label", file: "a.csv", content: "Utt,Intent\nhi,greet\n",
			want: []Record{{"hi", "", "greet", 2}}},
		{name: "named columns", file: "a.tsv", content: "a\tb\tc\n1\t2\t3\n", opt: Options{Columns: Columns{Text: "b", Pair: "c", Label: "a"}},
			want: []Record{{"2", "3", "1", 2}}},
		{name: "pair guessed", file: "a.tsv", content: "sentence1\tsentence2\tlabel\nA\tB\t1\n",
			want: []Record{{"A", "B", "1", 2}}},
		{name: "jsonl", file: "a.jsonl", content: "{\"text\":\"caf\\u00e9\",\"label\":3,\"other\":[1]}\n\n{\"label\":true,\"text\":\"\"}\n",
			want: []Record{{"café", "", "3", 1}, {"", "", "true", 3}}},
		{name: "unlabelled", file: "a.csv", content: "text,label\nhi,\n", opt: Options{Unlabelled: true},
			want: []Record{{"hi", "", "", 2}}},
		{name: "unlabelled, one column", file: "a.csv", content: "anything\nhi\n", opt: Options{Unlabelled: true},
			want: []Record{{"hi", "", "", 2}}},
		{name: "tsv, one column, empty texts", file: "a.tsv", content: "\ntext\n\na\r\n\r\nb\n\n", opt: Options{Unlabelled: true},
			want: []Record{{"", "", "", 3}, {"a", "", "", 4}, {"", "", "", 5}, {"b", "", "", 6}, {"", "", "", 7}}},
		{name: "csv, one column, empty texts", file: "a.csv", content: "\ntext\n\na\r\n\r\n\"\"\n\"b\n\nc\"\n\n\nd\n\n\n", opt: Options{Unlabelled: true},
			want: []Record{{"", "", "", 3}, {"a", "", "", 4}, {"", "", "", 5}, {"", "", "", 6}, {"b\n\nc", "", "", 7}, {"", "", "", 10}, {"", "", "", 11}, {"d", "", "", 12}, {"", "", "", 13}, {"", "", "", 14}}},
		{name: "csv, one column, all empty", file: "a.csv", content: "\"te\nxt\"\n\n\n", opt: Options{Unlabelled: true},
			want: []Record{{"", "", "", 3}, {"", "", "", 4}}},
		{name: "csv, one column, no last line end", file: "a.csv", content: "text\n\na", opt: Options{Unlabelled: true},
			want: []Record{{"", "", "", 2}, {"a", "", "", 3}}},
		{name: "tsv, one column, no last line end", file: "a.tsv", content: "text\n\na", opt: Options{Unlabelled: true},
			want: []Record{{"", "", "", 2}, {"a", "", "", 3}}},
		{name: "csv, one column, header only", file: "a.csv", content: "text\n", opt: Options{Unlabelled: true}, want: nil},
		{name: "tsv, one column, header only", file: "a.tsv", content: "text", opt: Options{Unlabelled: true}, want: nil},
		{name: "csv, two columns, blank lines", file: "a.csv", content: "text,label\n\na,x\n\n", want: []Record{{"a", "", "x", 3}}},
		{name: "header only", file: "a.csv", content: "text,label\n", want: nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readAll(write(t, c.file, c.content), c.opt)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestPrefer resolves columns for a model that was trained on some.
func TestPrefer(t *testing.T) {
	single := Columns{Text: "title", Label: "kind"}
	pair := Columns{Text: "a", Pair: "b", Label: "kind"}
	for _, c := range []struct {
		name, header string
		asked        Columns
		prefer       Columns
		want         Columns
		words        []string // of the error, if there is to be one
	}{
		{name: "single", header: "title,body,kind,label", prefer: single, want: single},
		{name: "single, beside a pair", header: "title,text,text_pair,kind", prefer: single, want: single},
		{name: "single, others", header: "body,label", prefer: single, want: Columns{Text: "body", Label: "label"}},
		{name: "single, a pair guessed", header: "premise,hypothesis,label", prefer: single, words: []string{`trained on single texts (text "title")`, `"premise" and "hypothesis"`, "--text-column"}},
		{name: "single, one of a pair", header: "premise,hypothesis,label", prefer: single, asked: Columns{Text: "premise"}, want: Columns{Text: "premise", Label: "label"}},
		{name: "single, a pair named", header: "title,body,kind", prefer: single, asked: Columns{Pair: "body"}, words: []string{`trained on single texts (text "title")`, `--text-pair-column "body"`}},
		{name: "pair", header: "b,a,kind", prefer: pair, want: pair},
		{name: "pair, guessed", header: "premise,hypothesis,kind", prefer: pair, want: Columns{Text: "premise", Pair: "hypothesis", Label: "kind"}},
		{name: "pair, text named", header: "a,b,c,kind", prefer: pair, asked: Columns{Text: "c"}, want: Columns{Text: "c", Pair: "b", Label: "kind"}},
		{name: "pair, pair named", header: "a,b,c,kind", prefer: pair, asked: Columns{Pair: "c"}, want: Columns{Text: "a", Pair: "c", Label: "kind"}},
		{name: "pair, turned", header: "a,b,kind", prefer: pair, asked: Columns{Text: "b", Pair: "a"}, want: Columns{Text: "b", Pair: "a", Label: "kind"}},
		{name: "pair, half turned", header: "a,b,kind", prefer: pair, asked: Columns{Text: "b"}, words: []string{`trained on pairs (text "a" and "b")`, `"b" by --text-pair-column`}},
		{name: "pair, half there", header: "a,kind", prefer: pair, words: []string{`trained on pairs (text "a" and "b")`, `"a" by --text-pair-column`, `"a", "kind"`}},
		{name: "pair, text named, no other", header: "text,kind", prefer: pair, asked: Columns{Text: "text"}, words: []string{"trained on pairs", "--text-pair-column"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Open(write(t, "a.csv", c.header+"\n"), Options{Columns: c.asked, Prefer: c.prefer})
			if err == nil {
				defer r.Close()
			}
			if (err != nil) != (c.words != nil) {
				t.Fatalf("error %v", err)
			}
			for _, w := range c.words {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not contain %q", err, w)
				}
			}
			if err == nil && r.Columns() != c.want {
				t.Errorf("columns %v of %s, want %v", r.Columns(), c.header, c.want)
			}
		})
	}
}

func TestReadErrors(t *testing.T) {
	for _, c := range []struct {
		name, file, content string
		opt                 Options
		want                []string // all occur in the error
	}{
		{name: "empty csv", file: "a.csv", want: []string{"a.csv", "is empty"}},
		{name: "empty tsv", file: "a.tsv", want: []string{"a.tsv", "is empty"}},
		{name: "empty jsonl", file: "a.jsonl", content: "\n \n", want: []string{"is empty"}},
		{name: "only a BOM", file: "a.csv", content: "\xef\xbb\xbf", want: []string{"is empty"}},
		{name: "UTF-16", file: "a.csv", content: "\xff\xfet\x00", want: []string{"a.csv:1", "UTF-16"}},
		{name: "ending", file: "a.txt", content: "x", want: []string{`".txt"`, ".csv", ".jsonl"}},
		{name: "ragged csv", file: "a.csv", content: "text,label\na,b\n\"x\ny\",b\nonly\n", want: []string{"a.csv:5:", "1 field where the header has 2"}},
		{name: "ragged tsv", file: "a.tsv", content: "text\tlabel\na\tb\nx\ty\tz\n", want: []string{"a.tsv:3:", "3 fields where the header has 2"}},
		{name: "bare quote", file: "a.csv", content: "text,label\nsay \"hi\",b\n", want: []string{"a.csv:2", "quote inside an unquoted field"}},
		{name: "unclosed quote", file: "a.csv", content: "text,label\nok,a\n\"open,b\nmore\n", want: []string{"a.csv:3", "not closed"}},
		{name: "invalid UTF-8 csv", file: "a.csv", content: "text,label\nok,a\nbad\xff,b\n", want: []string{"a.csv:3", "UTF-8"}},
		{name: "invalid UTF-8 tsv", file: "a.tsv", content: "text\tlabel\nok\ta\nbad\xc3\tb\n", want: []string{"a.tsv:3", "UTF-8"}},
		{name: "invalid UTF-8 jsonl", file: "a.jsonl", content: "{\"text\":\"\xff\",\"label\":1}\n", want: []string{"a.jsonl:1", "UTF-8"}},
		{name: "missing column", file: "a.csv", content: "text,label\n", opt: Options{Columns: Columns{Text: "utterance"}}, want: []string{`"utterance"`, `"text", "label"`}},
		{name: "no label guess", file: "a.csv", content: "text,foo\n", want: []string{"label", "--label-column", `"text", "foo"`}},
		{name: "two label guesses", file: "a.csv", content: "text,label,intent\n", want: []string{"more than one", `"label", "intent"`}},
		{name: "two text guesses", file: "a.csv", content: "title,body,label\n", want: []string{"more than one", `"title", "body"`, "--text-column"}},
		{name: "no header", file: "a.csv", content: "How do I locate my card?,card_arrival\nx,y\n", want: []string{"header?", "card_arrival"}},
		{name: "column twice", file: "a.csv", content: "text,text,label\n", opt: Options{Columns: Columns{Text: "text"}}, want: []string{"more than once"}},
		{name: "same column", file: "a.csv", content: "text,label\n", opt: Options{Columns: Columns{Text: "label", Label: "label"}}, want: []string{"two of"}},
		{name: "empty label", file: "a.csv", content: "text,label\na,x\nb, \n", want: []string{"a.csv:3", "label", "empty"}},
		{name: "json broken", file: "a.jsonl", content: "{\"text\":\"a\",\"label\":1}\n{oops\n", want: []string{"a.jsonl:2", "JSON object"}},
		{name: "json array", file: "a.jsonl", content: "[1]\n", want: []string{"a.jsonl:1", "JSON object"}},
		{name: "json key missing", file: "a.jsonl", content: "{\"text\":\"a\",\"label\":1}\n{\"text\":\"b\",\"x\":1}\n", want: []string{"a.jsonl:2", `"label"`, `"text", "x"`}},
		{name: "json text no string", file: "a.jsonl", content: "{\"text\":3,\"label\":1}\n", want: []string{"a.jsonl:1", `"text"`, "a string"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := readAll(write(t, c.file, c.content), c.opt)
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not contain %q", err, w)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error has more than one line: %q", err)
			}
		})
	}
}
