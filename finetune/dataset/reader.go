// Package dataset reads labelled text from CSV, TSV and JSONL files and holds
// it tokenised and compact.
//
// A Reader streams the records of one file; Load tokenises them in parallel
// into a Set, which keeps token ids, about two bytes a token, or texts that are
// tokenised when they are wanted, and labels; a large one keeps them on disk.
// Every error names file and line.
package dataset

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"unicode/utf8"
)

// Record is one example as it stands in the file.
type Record struct {
	Text  string
	Pair  string // the second text; empty without a pair column
	Label string // trimmed of white space; empty when labels are not read
	Line  int    // line on which the record starts, from 1
}

// Reader streams the records of one file. It is not safe for use by several
// goroutines.
type Reader struct {
	path    string
	file    *os.File
	rows    rowReader
	header  []string
	columns Columns
	index   [3]int // field numbers of text, pair, label; -1 where not read
	empty   int    // records whose text is empty
	first   int    // line of the first of them

	size int64        // of the file, in bytes
	read atomic.Int64 // bytes of it that were read
}

// rowReader yields the fields of a table, row by row, in the header's order.
type rowReader interface {
	// next returns the fields of the next row and the line it starts on, or
	// io.EOF. The slice is reused by the next call.
	next() (fields []string, line int, err error)
}

// Open opens a data file; its ending says how it is read: .csv (RFC 4180 with
// a header), .tsv or .tab (fields between tabs, a header, quotes are ordinary
// characters), .jsonl or .ndjson (an object a line). The columns not named in
// opt are guessed from the header where only one guess is possible.
func Open(path string, opt Options) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r := &Reader{path: path, file: f}
	if err := r.open(opt); err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

func (r *Reader) open(opt Options) error {
	if st, err := r.file.Stat(); err != nil {
		return err
	} else if st.IsDir() {
		return fmt.Errorf("%s is a directory; give a .csv, .tsv or .jsonl file", r.path)
	} else {
		r.size = st.Size()
	}
	in := bufio.NewReaderSize(counted{r}, 1<<16)
	switch bom, _ := in.Peek(3); {
	case bytes.Equal(bom, []byte("\xef\xbb\xbf")):
		in.Discard(3)
	case bytes.HasPrefix(bom, []byte("\xff\xfe")), bytes.HasPrefix(bom, []byte("\xfe\xff")):
		return fmt.Errorf("%s:1: the file is UTF-16; save it as UTF-8", r.path)
	}
	var err error
	switch ext := strings.ToLower(filepath.Ext(r.path)); ext {
	case ".csv":
		r.rows, r.header, err = openCSV(r.path, in)
	case ".tsv", ".tab":
		r.rows, r.header, err = openTSV(r.path, in)
	case ".jsonl", ".ndjson":
		r.rows, r.header, err = openJSONL(r.path, in)
	default:
		return fmt.Errorf("%s: ending %q is not a data format ftk reads: .csv, .tsv (or .tab), .jsonl (or .ndjson)", r.path, ext)
	}
	if err != nil {
		return err
	}
	r.columns, err = opt.resolve(r.path, r.header)
	if err != nil {
		return err
	}
	for i, name := range []string{r.columns.Text, r.columns.Pair, r.columns.Label} {
		r.index[i] = indexOf(r.header, name)
		if name == "" {
			r.index[i] = -1
		}
	}
	if j, ok := r.rows.(*jsonRows); ok {
		j.columns, j.index = r.columns, r.index
	}
	return nil
}

// counted is the file of a reader; it counts what is read.
type counted struct{ *Reader }

func (c counted) Read(p []byte) (int, error) {
	n, err := c.file.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// Path returns the path the reader was opened with.
func (r *Reader) Path() string { return r.path }

// Columns returns the columns that are read, guesses included.
func (r *Reader) Columns() Columns { return r.columns }

// EmptyTexts returns how many of the records read so far had an empty text,
// and the line of the first of them.
func (r *Reader) EmptyTexts() (n, firstLine int) { return r.empty, r.first }

// Next returns the next record, or io.EOF after the last.
func (r *Reader) Next() (Record, error) {
	fields, line, err := r.rows.next()
	if err != nil {
		return Record{}, err
	}
	rec := Record{Line: line}
	for i, to := range []*string{&rec.Text, &rec.Pair, &rec.Label} {
		if r.index[i] < 0 {
			continue
		}
		s := fields[r.index[i]]
		if !utf8.ValidString(s) {
			return Record{}, fmt.Errorf("%s:%d: column %q is not valid UTF-8; save the file as UTF-8", r.path, line, r.header[r.index[i]])
		}
		*to = s
	}
	if r.index[2] >= 0 {
		if rec.Label = strings.TrimSpace(rec.Label); rec.Label == "" {
			return Record{}, fmt.Errorf("%s:%d: the label (column %q) is empty", r.path, line, r.columns.Label)
		}
	}
	if strings.TrimSpace(rec.Text) == "" && strings.TrimSpace(rec.Pair) == "" {
		if r.empty == 0 {
			r.first = line
		}
		r.empty++
	}
	return rec, nil
}

// Close closes the file.
func (r *Reader) Close() error { return r.file.Close() }

// readLine returns the next line without its ending (\n or \r\n), however long
// it is; io.EOF only when nothing is left. The slice is valid until the next
// call.
func readLine(in *bufio.Reader, buf *[]byte) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		*buf = append((*buf)[:0], line...)
		for err == bufio.ErrBufferFull {
			line, err = in.ReadSlice('\n')
			*buf = append(*buf, line...)
		}
		line = *buf
	}
	if err == io.EOF && len(line) > 0 {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	line = bytes.TrimSuffix(line, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), nil
}

func indexOf(names []string, name string) int {
	for i, n := range names {
		if n == name {
			return i
		}
	}
	return -1
}
