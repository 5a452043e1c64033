package tokenize

import "fmt"

// FormatError says that a tokenizer file is broken: which file, which field of it, and what is wrong there.
type FormatError struct {
	File  string // as given to Load; empty when parsed from memory
	Field string // path inside the file, for example "model.vocab" or "normalizer.normalizers[2].pattern"
	Err   error
}

func (e *FormatError) Error() string { return fieldError(e.File, e.Field, e.Err.Error()) }

func (e *FormatError) Unwrap() error { return e.Err }

// UnsupportedError says that a tokenizer file is well formed but asks for something this package does not do.
type UnsupportedError struct {
	File  string
	Field string
	What  string
}

func (e *UnsupportedError) Error() string { return fieldError(e.File, e.Field, e.What) }

func fieldError(file, field, what string) string {
	s := "tokenizer"
	if file != "" {
		s = file
	}
	if field != "" {
		s += ": field " + field
	}
	return s + ": " + what
}

// NotFoundError says that a directory has none of the files that Load reads.
type NotFoundError struct{ Dir string }

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("tokenizer: %s has no tokenizer.json, vocab.txt or vocab.json", e.Dir)
}

// TextError says which text of a batch cannot be encoded.
type TextError struct {
	Index int // in the batch, from 0
	Err   error
}

func (e *TextError) Error() string { return fmt.Sprintf("text %d: %v", e.Index+1, e.Err) }

func (e *TextError) Unwrap() error { return e.Err }

// InternalError says that this package failed on a text, by a fault of its own.
type InternalError struct{ Panic any }

func (e *InternalError) Error() string {
	return fmt.Sprintf("internal error: %v; this is a fault of ftk: please report it with the text and the tokenizer", e.Panic)
}

func formatErrorf(field, format string, args ...any) error {
	return &FormatError{Field: field, Err: fmt.Errorf(format, args...)}
}

func unsupportedf(field, format string, args ...any) error {
	return &UnsupportedError{Field: field, What: fmt.Sprintf(format, args...)}
}

// inFile names the file in an error made while it was parsed.
func inFile(err error, file string) error {
	switch e := err.(type) {
	case *FormatError:
		if e.File == "" {
			e.File = file
		}
	case *UnsupportedError:
		if e.File == "" {
			e.File = file
		}
	}
	return err
}
