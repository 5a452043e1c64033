// Command tokenize is the Go side of bench/tokenize_peer.py: it reads texts, one JSON string a line, and then tokenizes them
// all as often as asked, on as many threads as asked.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/ftk-go/ftk/tokenize"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: tokenize TOKENIZER TEXTS.jsonl; each line of standard input is a number of threads")
		os.Exit(2)
	}
	if err := serve(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(tokenizer, file string) error {
	tok, err := tokenize.Load(tokenizer)
	if err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	var texts []string
	lines := json.NewDecoder(bufio.NewReader(f))
	for lines.More() {
		var s string
		if err := lines.Decode(&s); err != nil {
			return err
		}
		texts = append(texts, s)
	}
	inputs := tokenize.Texts(texts)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var threads int
		if _, err := fmt.Sscan(in.Text(), &threads); err != nil {
			return err
		}
		start := time.Now()
		encodings, err := tok.EncodeBatch(inputs, tokenize.Options{}, threads)
		if err != nil {
			return err
		}
		seconds := time.Since(start).Seconds()
		tokens := 0
		for _, e := range encodings {
			tokens += e.Len()
		}
		fmt.Printf("{\"seconds\": %g, \"tokens\": %d}\n", seconds, tokens)
	}
	return nil
}
