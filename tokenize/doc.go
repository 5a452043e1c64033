// Package tokenize turns text into the ids that a model was trained on, exactly as the Hugging Face tokenizers do: same ids,
// same offsets, same word ids, on any input. It reads tokenizer.json (every normalizer, model, post-processor and decoder
// of the format, and every pre-tokenizer but UnicodeScripts), vocab.txt, and vocab.json with merges.txt, and knows nothing of the rest of ftk.
//
// A text goes through five stages, each in files of its own:
//
//	added tokens   added.go        literals such as [MASK] are cut out of the text before anything else looks at it
//	normalizers    normalize*.go   text → text, keeping for every byte the range of the original that it came from
//	pre-tokenizers pretokenize*.go text → pieces ("words"); a piece is a range of the normalised text
//	model          wordpiece.go, bpe.go, unigram.go, wordlevel.go   piece → tokens
//	post-processor postprocess.go  truncation, special tokens, type ids, padding
//
// What must hold: a piece or token is a range of bytes of the normalised text, never a copy; worker.align has one entry for
// each such byte (or is absent, when normalised and original text agree byte for byte); entries never decrease. Everything a
// text needs on its way lives in a worker, which is reused, so that no stage allocates per token.
//
// A Tokenizer is immutable after Load and may be shared by goroutines.
package tokenize
