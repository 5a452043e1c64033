package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// dataset is training and evaluation data as CSV files with the columns text and label.
type dataset struct{ name, train, eval string }

// dataset makes one of the data sets of -data: the first -rows examples of SST-2 (short sentences; its development set is
// for evaluation), of AG News (texts of about 50 tokens; the test file's first examples, evaluated on its last), or the
// intents of testdata.
func (o *options) dataset(name string) (dataset, error) {
	var train, eval [][]string
	var err error
	d := dataset{name: name, train: filepath.Join(o.work, name+"-train.csv"), eval: filepath.Join(o.work, name+"-eval.csv")}
	sets := filepath.Join(o.shared, "datasets")
	switch name {
	case "sst2":
		d.name = "SST-2"
		if train, err = readRows(filepath.Join(sets, "glue", "SST-2", "train.tsv"), true); err == nil {
			eval, err = readRows(filepath.Join(sets, "glue", "SST-2", "dev.tsv"), true)
		}
	case "agnews":
		d.name = "AG News"
		train, err = readRows(filepath.Join(sets, "ag_news", "test.csv"), false)
		for i, r := range train { // class, title, description
			train[i] = []string{r[1] + " " + strings.ReplaceAll(r[2], `\`, " "), r[0]}
		}
		eval = train[max(0, len(train)-o.evalRows):]
		train = train[:max(0, len(train)-o.evalRows)]
	default:
		return dataset{name: name, train: filepath.Join(o.root, "testdata", "intents", "train.csv"), eval: filepath.Join(o.root, "testdata", "intents", "dev.csv")}, nil
	}
	if os.IsNotExist(err) {
		return d, fmt.Errorf("%w; name the directory that has datasets/ with -shared, or use -data intents", err)
	}
	if err != nil {
		return d, err
	}
	if err := writeRows(d.train, train[:min(o.rows, len(train))]); err != nil {
		return d, err
	}
	return d, writeRows(d.eval, eval[:min(o.evalRows, len(eval))])
}

// readRows reads a .tsv (without quoting, its header left out) or a .csv without a header.
func readRows(path string, header bool) ([][]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	if strings.HasSuffix(path, ".tsv") {
		for line := range strings.Lines(string(data)) {
			rows = append(rows, strings.Split(strings.TrimRight(line, "\r\n"), "\t"))
		}
	} else {
		r := csv.NewReader(strings.NewReader(string(data)))
		for {
			row, err := r.Read()
			if err == io.EOF {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			rows = append(rows, row)
		}
	}
	if header && len(rows) > 0 {
		rows = rows[1:]
	}
	return rows, nil
}

func writeRows(path string, rows [][]string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := csv.NewWriter(f)
	if err := w.WriteAll(append([][]string{{"text", "label"}}, rows...)); err != nil {
		return err
	}
	return f.Close()
}
