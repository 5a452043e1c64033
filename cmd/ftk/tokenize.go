package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ftk-go/ftk/tokenize"
)

// tokenizeFlags are the flags of ftk tokenize.
type tokenizeFlags struct {
	tokenizer, data, truncation string
	texts                       []string
	pair, noSpecial, chars      bool
	maxLength, stride, threads  int
}

func newTokenizeCommand() *cobra.Command {
	var fl tokenizeFlags
	cmd := &cobra.Command{
		Use:   "tokenize --tokenizer PATH (--text TEXT … | --data FILE)",
		Short: "Show texts as the model sees them",
		Long: `tokenize prints what a model gets to see of each text, one JSON object a line:
its tokens, their ids, where in the text they stand (bytes), type ids, attention
mask, special-token mask, and the word each belongs to. FILE holds one text a
line; with --pair, two texts with a tab between them. With --stride, a text that
is longer than --max-length goes on in further windows, a line each.`,
		Example: `  ftk tokenize --tokenizer ./all-MiniLM-L6-v2 --text "where is my new card?"
  ftk tokenize --tokenizer tokenizer.json --data texts.txt --max-length 128 --stride 32`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts, err := fl.options(cmd.Flags().Changed("stride"), cmd.Flags().Changed("truncation"))
			if err != nil {
				return err
			}
			tok, err := tokenize.Load(fl.tokenizer)
			if err != nil {
				return err
			}
			out := bufio.NewWriter(cmd.OutOrStdout())
			err = fl.run(cmd.Context(), tok, opts, out, cmd.InOrStdin())
			if e := out.Flush(); err == nil {
				err = e
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&fl.tokenizer, "tokenizer", "", "tokenizer.json, vocab.txt, vocab.json (beside merges.txt), or a `directory` with one")
	f.StringArrayVar(&fl.texts, "text", nil, "a text (repeatable)")
	f.StringVar(&fl.data, "data", "", "a `file` with one text a line; - is standard input")
	f.BoolVar(&fl.pair, "pair", false, "each line holds two texts with a tab between them")
	f.IntVar(&fl.maxLength, "max-length", 0, "most tokens of a text, special ones included (default: no limit)")
	f.StringVar(&fl.truncation, "truncation", "longest_first", "what to cut of a pair: longest_first, only_first or only_second")
	f.IntVar(&fl.stride, "stride", 0, "show what was cut as further windows, each repeating so many tokens")
	f.BoolVar(&fl.noSpecial, "no-special", false, "leave out special tokens such as [CLS]")
	f.BoolVar(&fl.chars, "chars", false, "offsets in characters instead of bytes")
	f.IntVar(&fl.threads, "threads", 0, "threads (default: all cores)")
	return cmd
}

// options checks the flags. windows and cut say whether --stride and
// --truncation were given.
func (fl *tokenizeFlags) options(windows, cut bool) (tokenize.Options, error) {
	opts := tokenize.Options{
		MaxLength: fl.maxLength, Stride: fl.stride, Overflow: windows, NoSpecial: fl.noSpecial, CharOffsets: fl.chars,
	}
	var err error
	switch {
	case fl.tokenizer == "":
		return opts, usagef("tokenize needs --tokenizer: a tokenizer.json, a vocab.txt, or a directory with either")
	case (len(fl.texts) == 0) == (fl.data == ""):
		return opts, usagef("tokenize takes either --text or --data")
	case fl.maxLength < 0 || fl.stride < 0:
		return opts, usagef("--max-length and --stride take 0 or more")
	case windows && fl.maxLength == 0:
		return opts, usagef("--stride needs --max-length")
	case cut && fl.maxLength == 0:
		return opts, usagef("--truncation needs --max-length")
	}
	if opts.Truncation, err = tokenize.ParseTruncation(fl.truncation); err != nil {
		return opts, usagef("--truncation: %w", err)
	}
	return opts, checkThreads(fl.threads)
}

// tokenizeChunk is how many lines are tokenized at a time, so that a file of any size takes the same memory.
const tokenizeChunk = 1024

// run prints what becomes of each text. Those before one that is refused are printed.
func (fl *tokenizeFlags) run(ctx context.Context, tok *tokenize.Tokenizer, opts tokenize.Options, out io.Writer, stdin io.Reader) error {
	if fl.data == "" {
		var inputs []tokenize.Input
		for i, text := range fl.texts {
			in, err := fl.input(text)
			if err != nil {
				if e := fl.print(tok, opts, out, inputs, 0); e != nil {
					return e
				}
				return fl.at(i, err)
			}
			inputs = append(inputs, in)
		}
		return fl.print(tok, opts, out, inputs, 0)
	}
	data, written := io.Pipe()
	defer data.Close()
	go func() { written.CloseWithError(fl.copyData(written, stdin)) }()
	defer context.AfterFunc(ctx, func() { written.CloseWithError(ctx.Err()) })()
	lines := bufio.NewReader(data)
	var inputs []tokenize.Input
	for row := 0; ; row += len(inputs) {
		var err error
		inputs, err = fl.read(lines, inputs[:0], row)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if e := fl.print(tok, opts, out, inputs, row); e != nil {
			return e
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// copyData copies the file, or standard input, to a pipe: a read that waits for more cannot be ended, one of the pipe can.
func (fl *tokenizeFlags) copyData(to io.Writer, stdin io.Reader) error {
	if fl.data != "-" {
		f, err := os.Open(fl.data)
		if err != nil {
			return err
		}
		defer f.Close()
		stdin = f
	}
	_, err := io.Copy(to, stdin)
	return err
}

// read appends the next lines, of which the first is that of row, until they are a chunk. With an error, which is io.EOF at
// the end, it returns the lines before it.
func (fl *tokenizeFlags) read(lines *bufio.Reader, inputs []tokenize.Input, row int) ([]tokenize.Input, error) {
	for len(inputs) < tokenizeChunk {
		line, err := lines.ReadString('\n')
		if row+len(inputs) == 0 {
			line = strings.TrimPrefix(line, "\ufeff") // a byte order mark is no text
		}
		if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
			return inputs, err
		}
		in, err := fl.input(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"))
		if err != nil {
			return inputs, fl.at(row+len(inputs), err)
		}
		inputs = append(inputs, in)
	}
	return inputs, nil
}

// at says in an error which text it is about.
func (fl *tokenizeFlags) at(row int, err error) error {
	if fl.data == "" {
		return fmt.Errorf("--text %d: %w", row+1, err)
	}
	return fmt.Errorf("%s:%d: %w", fl.data, row+1, err)
}

func (fl *tokenizeFlags) input(line string) (tokenize.Input, error) {
	if !fl.pair {
		return tokenize.Input{Text: line}, nil
	}
	a, b, ok := strings.Cut(line, "\t")
	if !ok {
		return tokenize.Input{}, errors.New("no tab, but --pair wants two texts with a tab between them")
	}
	return tokenize.Input{Text: a, Pair: b, HasPair: true}, nil
}

// tokenizedLine is what tokenize prints of a window of a text.
type tokenizedLine struct {
	Row           int      `json:"row"`
	Window        int      `json:"window"`
	Text          string   `json:"text"`
	Pair          *string  `json:"pair,omitempty"`
	Tokens        []string `json:"tokens"`
	IDs           []int64  `json:"ids"`
	Offsets       [][2]int `json:"offsets"`
	TypeIDs       []int64  `json:"type_ids"`
	AttentionMask []int64  `json:"attention_mask"`
	SpecialMask   []int    `json:"special_tokens_mask"`
	WordIDs       []*int32 `json:"word_ids"`
	SequenceIDs   []*int8  `json:"sequence_ids"`
}

func (fl *tokenizeFlags) print(tok *tokenize.Tokenizer, opts tokenize.Options, out io.Writer, inputs []tokenize.Input, row int) error {
	encodings, err := tok.EncodeBatch(inputs, opts, fl.threads)
	var bad *tokenize.TextError
	if errors.As(err, &bad) {
		if e := fl.print(tok, opts, out, inputs[:bad.Index], row); e != nil {
			return e
		}
		return fl.at(row+bad.Index, bad.Err)
	}
	if err != nil {
		return err
	}
	for i, e := range encodings {
		for k, w := range e.Windows() {
			line := tokenizedLine{
				Row: row + i, Window: k, Text: inputs[i].Text, Tokens: w.Tokens, IDs: w.IDs, Offsets: w.Offsets,
				TypeIDs: w.TypeIDs, AttentionMask: w.AttentionMask, SpecialMask: make([]int, w.Len()),
				WordIDs: make([]*int32, w.Len()), SequenceIDs: make([]*int8, w.Len()),
			}
			if inputs[i].HasPair {
				line.Pair = &inputs[i].Pair
			}
			for j := range w.IDs {
				if w.SpecialMask[j] {
					line.SpecialMask[j] = 1
				}
				if w.WordIDs[j] >= 0 {
					line.WordIDs[j] = &w.WordIDs[j]
				}
				if w.SequenceIDs[j] >= 0 {
					line.SequenceIDs[j] = &w.SequenceIDs[j]
				}
			}
			if err := writeJSON(out, line); err != nil {
				return err
			}
		}
	}
	return nil
}
