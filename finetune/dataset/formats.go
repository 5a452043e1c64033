package dataset

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"unicode/utf8"
)

// csvRows reads RFC 4180: fields in quotes may hold commas, quotes (doubled)
// and line ends. Blank lines are skipped, but in a file of one column they are
// rows with an empty field.
type csvRows struct {
	path string
	in   *lineCounter
	csv  *csv.Reader

	single bool     // there is one column
	line   int      // of the next row, where there is one column
	held   []string // the row that comes after blank lines
	at     int      // its line
	ended  bool     // there is none, and at is the line after the last
}

// lineCounter counts the line ends that are read.
type lineCounter struct {
	in io.Reader
	n  int
}

func (c *lineCounter) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.n += bytes.Count(p[:n], []byte("\n"))
	return n, err
}

func openCSV(path string, in *bufio.Reader) (rowReader, []string, error) {
	lines := &lineCounter{in: in}
	r := &csvRows{path: path, in: lines, csv: csv.NewReader(lines)}
	header, err := r.csv.Read()
	if err == io.EOF {
		return nil, nil, fmt.Errorf("%s: the file is empty; it needs a header line and records", path)
	}
	if err != nil {
		return nil, nil, r.wrap(err)
	}
	header = append([]string(nil), header...)
	r.csv.ReuseRecord = true
	if r.single = len(header) == 1; r.single {
		line, _ := r.csv.FieldPos(0)
		r.line = lineAfter(line, header)
	}
	return r, header, checkHeader(path, header)
}

// lineAfter returns the line after a row of one field, which may have line ends
// in it.
func lineAfter(line int, fields []string) int { return line + strings.Count(fields[0], "\n") + 1 }

func (r *csvRows) next() ([]string, int, error) {
	if !r.single {
		return r.read()
	}
	if r.held == nil && !r.ended {
		var err error
		if r.held, r.at, err = r.read(); err == io.EOF {
			r.ended, r.at = true, r.in.n+1
		} else if err != nil {
			return nil, 0, err
		}
	}
	line := r.line
	switch {
	case line < r.at: // csv.Reader skipped it
		r.line++
		return []string{""}, line, nil
	case r.ended:
		return nil, 0, io.EOF
	}
	fields := r.held
	r.held, r.line = nil, lineAfter(line, fields)
	return fields, line, nil
}

// read returns the next row that is not blank.
func (r *csvRows) read() ([]string, int, error) {
	fields, err := r.csv.Read()
	if err == io.EOF {
		return nil, 0, io.EOF
	}
	if err != nil {
		if errors.Is(err, csv.ErrFieldCount) {
			line, _ := r.csv.FieldPos(0)
			return nil, 0, raggedError(r.path, line, len(fields), r.csv.FieldsPerRecord)
		}
		return nil, 0, r.wrap(err)
	}
	line, _ := r.csv.FieldPos(0)
	return fields, line, nil
}

func (r *csvRows) wrap(err error) error {
	var e *csv.ParseError
	if !errors.As(err, &e) {
		return fmt.Errorf("%s: %w", r.path, err)
	}
	switch {
	case errors.Is(e.Err, csv.ErrBareQuote):
		return fmt.Errorf(`%s:%d: column %d: a quote inside an unquoted field; put the field in quotes and double the ones inside (RFC 4180)`, r.path, e.Line, e.Column)
	case errors.Is(e.Err, csv.ErrQuote) && e.StartLine == e.Line:
		return fmt.Errorf(`%s:%d: column %d: the quoted field is not closed properly; double the quotes inside it (RFC 4180)`, r.path, e.Line, e.Column)
	case errors.Is(e.Err, csv.ErrQuote):
		return fmt.Errorf(`%s:%d: the quoted field that starts here is not closed properly (seen at line %d)`, r.path, e.StartLine, e.Line)
	}
	return fmt.Errorf("%s:%d: column %d: %w", r.path, e.Line, e.Column, e.Err)
}

// tsvRows reads fields between tabs, as GLUE is written: no quoting, so a
// quote is a character like any other and a field holds no tab or line end.
// Blank lines are skipped, but in a file of one column they are rows with an
// empty field.
type tsvRows struct {
	path   string
	in     *bufio.Reader
	buf    []byte
	line   int
	width  int
	fields []string
}

func openTSV(path string, in *bufio.Reader) (rowReader, []string, error) {
	r := &tsvRows{path: path, in: in}
	header, _, err := r.next()
	if err == io.EOF {
		return nil, nil, fmt.Errorf("%s: the file is empty; it needs a header line and records", path)
	}
	if err != nil {
		return nil, nil, err
	}
	r.width = len(header)
	header = append([]string(nil), header...)
	return r, header, checkHeader(path, header)
}

func (r *tsvRows) next() ([]string, int, error) {
	var line []byte
	for {
		var err error
		if line, err = readLine(r.in, &r.buf); err != nil {
			return nil, 0, err
		}
		r.line++
		if len(line) > 0 || r.width == 1 {
			break
		}
	}
	r.fields = r.fields[:0]
	for rest, more := string(line), true; more; {
		var field string
		field, rest, more = strings.Cut(rest, "\t")
		r.fields = append(r.fields, field)
	}
	if r.width > 0 && len(r.fields) != r.width {
		return nil, 0, raggedError(r.path, r.line, len(r.fields), r.width)
	}
	return r.fields, r.line, nil
}

// jsonRows reads one JSON object a line. The columns are the keys of the first
// object; later objects may have others, but must have those that are read.
type jsonRows struct {
	path    string
	in      *bufio.Reader
	buf     []byte
	line    int
	pending map[string]json.RawMessage // the first object, read for its keys
	columns Columns
	index   [3]int
	fields  []string
}

func openJSONL(path string, in *bufio.Reader) (rowReader, []string, error) {
	r := &jsonRows{path: path, in: in}
	object, err := r.object()
	if err == io.EOF {
		return nil, nil, fmt.Errorf("%s: the file is empty; it needs a JSON object a line", path)
	}
	if err != nil {
		return nil, nil, err
	}
	r.pending = object
	header := keys(object)
	r.fields = make([]string, len(header))
	return r, header, nil
}

func (r *jsonRows) object() (map[string]json.RawMessage, error) {
	var line []byte
	for len(bytes.TrimSpace(line)) == 0 {
		var err error
		if line, err = readLine(r.in, &r.buf); err != nil {
			return nil, err
		}
		r.line++
	}
	if !utf8.Valid(line) { // the decoder would replace it silently
		return nil, fmt.Errorf("%s:%d: not valid UTF-8; save the file as UTF-8", r.path, r.line)
	}
	var object map[string]json.RawMessage
	var other *json.UnmarshalTypeError
	if err := json.Unmarshal(line, &object); errors.As(err, &other) {
		return nil, fmt.Errorf("%s:%d: not a JSON object: %s", r.path, r.line, other.Value)
	} else if err != nil {
		return nil, fmt.Errorf("%s:%d: not a JSON object: %w", r.path, r.line, err)
	}
	if object == nil {
		return nil, fmt.Errorf("%s:%d: not a JSON object: null", r.path, r.line)
	}
	return object, nil
}

func (r *jsonRows) next() ([]string, int, error) {
	object := r.pending
	r.pending = nil
	if object == nil {
		var err error
		if object, err = r.object(); err != nil {
			return nil, 0, err
		}
	}
	for i, name := range []string{r.columns.Text, r.columns.Pair, r.columns.Label} {
		if r.index[i] < 0 {
			continue
		}
		raw, ok := object[name]
		if !ok {
			return nil, 0, fmt.Errorf("%s:%d: key %q is missing; the object has: %s", r.path, r.line, name, quoteAll(keys(object)))
		}
		s, err := scalar(raw, i == 2)
		if err != nil {
			return nil, 0, fmt.Errorf("%s:%d: key %q: %w", r.path, r.line, name, err)
		}
		r.fields[r.index[i]] = s
	}
	return r.fields, r.line, nil
}

// scalar returns a JSON string's value; for a label also a number's or a
// boolean's spelling.
func scalar(raw json.RawMessage, label bool) (string, error) {
	switch c := raw[0]; {
	case c == '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	case label && c != '{' && c != '[' && c != 'n':
		return string(raw), nil
	}
	want := "a string"
	if label {
		want = "a string, number or boolean"
	}
	return "", fmt.Errorf("%s where %s is needed", truncate(string(raw), 40), want)
}

func keys(object map[string]json.RawMessage) []string {
	names := make([]string, 0, len(object))
	for k := range object {
		names = append(names, k)
	}
	sort.Strings(names)
	return names
}

func checkHeader(path string, header []string) error {
	for _, h := range header {
		if !utf8.ValidString(h) {
			return fmt.Errorf("%s:1: the header is not valid UTF-8; save the file as UTF-8", path)
		}
	}
	return nil
}

func raggedError(path string, line, have, want int) error {
	fields := "fields"
	if have == 1 {
		fields = "field"
	}
	return fmt.Errorf("%s:%d: %d %s where the header has %d", path, line, have, fields, want)
}
