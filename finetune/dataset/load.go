package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"
)

// Encoding is what the model sees of one example: token ids with the special
// ones, unpadded, and token types (nil when all are 0).
type Encoding struct{ IDs, TypeIDs []int64 }

// Encode tokenises a text, or a pair of texts. It must be safe for use by
// several goroutines.
type Encode func(text, pair string) (Encoding, error)

// LoadOptions says how Load reads.
type LoadOptions struct {
	Options
	Encode      Encode
	AtOnce      int            // examples, the first, that are tokenised while they are read; of later ones the text is kept, and tokenised when it is asked for; 0: all
	Together    int            // examples that are asked for, in whatever order, before each of them is again; their tokens are kept meanwhile; 0: 8,192
	Classes     *Classes       // classes that labels must belong to; nil: those of the file
	Workers     int            // goroutines that tokenise; 0: GOMAXPROCS
	Dir         string         // for the files of a set that is large; "": that for temporary files
	MemoryLimit int64          // bytes of a set from which on it is in files; 0: 8 MiB
	Progress    func(Progress) // called every so often and at the end, by the caller's goroutine; may be nil
}

// Progress says how far a file has been read.
type Progress struct {
	Path        string
	Examples    int
	Bytes, Size int64 // read of the file, and all of it
}

// progressEvery is the time between reports of progress.
const progressEvery = 100 * time.Millisecond

// chunk is a run of records tokenised by one worker, or of which the texts are
// kept.
type chunk struct {
	records []Record
	late    bool // texts are kept
	encoded []Encoding
	err     error
	done    chan struct{}
}

// A chunk has so many records, or fewer where they have more bytes of text.
const (
	chunkRecords = 256
	chunkBytes   = 1 << 20
)

// Load reads a whole file, and tokenises it, or as much as LoadOptions.AtOnce
// says, rounded up to whole chunks; all where an empty text has no token. The
// result does not depend on the number of workers. At any time some chunks for
// each worker are in memory, and no more. When ctx ends, Load stops before the
// next chunk; the error wraps that of ctx.
func Load(ctx context.Context, path string, opt LoadOptions) (*Set, error) {
	if opt.Workers <= 0 {
		opt.Workers = runtime.GOMAXPROCS(0)
	}
	if opt.AtOnce > 0 {
		// Without special tokens a text may have no token at all, which is better known before training.
		if e, err := opt.Encode("", ""); err != nil || len(e.IDs) == 0 {
			opt.AtOnce = 0
		}
	}
	r, err := Open(path, opt.Options)
	if err != nil {
		return nil, err
	}
	defer r.Close()

	work := make(chan *chunk)
	order := make(chan *chunk, 2*opt.Workers) // chunks in file order
	stop := make(chan struct{})
	for range opt.Workers {
		go func() {
			for c := range work {
				if !c.late {
					c.encode(opt.Encode, path)
				}
				close(c.done)
			}
		}()
	}
	readErr := make(chan error, 1)
	go func() {
		defer close(order)
		defer close(work)
		readErr <- readChunks(ctx, r, opt.AtOnce, work, order, stop)
	}()

	s := newSetBuilder(path, r.Columns(), opt)
	told := time.Now()
	tell := func() {
		told = time.Now()
		if opt.Progress != nil {
			opt.Progress(Progress{path, s.Len(), r.read.Load(), r.size})
		}
	}
	for c := range order {
		<-c.done
		if err == nil {
			err = s.addChunk(c)
			if err != nil {
				close(stop)
			}
			if time.Since(told) >= progressEvery {
				tell()
			}
		}
	}
	if e := <-readErr; err == nil {
		err = e
	}
	if err == nil && s.Len() == 0 {
		err = fmt.Errorf("%s: no records after the header", path)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	tell()
	s.EmptyTexts, s.FirstEmptyLine = r.EmptyTexts()
	return s.finish()
}

// readChunks hands each chunk to a worker and, in order, to the assembler.
func readChunks(ctx context.Context, r *Reader, atOnce int, work, order chan<- *chunk, stop <-chan struct{}) error {
	read := 0
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s: %w", r.path, err)
		}
		c := &chunk{records: make([]Record, 0, chunkRecords), late: atOnce > 0 && read >= atOnce, done: make(chan struct{})}
		var err error
		for bytes := 0; len(c.records) < chunkRecords && bytes < chunkBytes; {
			var rec Record
			if rec, err = r.Next(); err != nil {
				break
			}
			c.records = append(c.records, rec)
			bytes += len(rec.Text) + len(rec.Pair)
		}
		read += len(c.records)
		if len(c.records) > 0 {
			order <- c
			work <- c
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-stop:
			return nil
		default:
		}
	}
}

func (c *chunk) encode(encode Encode, path string) {
	c.encoded = make([]Encoding, len(c.records))
	for i, rec := range c.records {
		e, err := encode(rec.Text, rec.Pair)
		if err == nil && len(e.IDs) == 0 {
			err = ErrNoTokens
		}
		if err != nil {
			c.err = fmt.Errorf("%s:%d: %w", path, rec.Line, err)
			return
		}
		c.encoded[i] = e
	}
}
