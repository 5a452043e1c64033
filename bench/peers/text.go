package main

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
)

// topics are the classes of generated text, and the words that tell them.
var topics = []struct {
	label string
	words []string
}{
	{"economy", strings.Fields("market shares bank profit inflation trade budget tax investors prices exports currency loan debt wages factory growth credit merger bonds")},
	{"science", strings.Fields("telescope protein laboratory galaxy experiment species fossil particle climate genome theory satellite molecule researchers vaccine reactor orbit enzyme glacier data")},
	{"sport", strings.Fields("match striker coach stadium tournament goal referee league medal sprint championship penalty racket innings defender trophy marathon season victory squad")},
	{"travel", strings.Fields("hotel flight beach museum luggage passport island harbour ferry guide village mountain festival market temple train luxury resort cruise itinerary")},
}

// fillers are words that every class has, the more frequent first.
var fillers = strings.Fields(`the of and to in a is that for it was on are as with his they at be this from have or by one had not but what all
were when we there can an your which their said if do will each about how up out them then she many some so these would other into
has more her two like him see time could no make than first been its who now people my made over did down only way find use may
water long little very after words called just where most know get through back much before go good new write our used me man too
any day same right look think also around another came come work three word must because does part even place well such here take
why things help put years different away again off went old number great tell men say small every found still between name should
home big give air line set own under read last never us left end along while might next sound below saw something thought both few
those always looked show large often together asked house world going want school important until form food keep children feet
land side without boy once animals life enough took sometimes four head above kind began almost live page got earth need far hand
high year mother light parts country father let night following picture being study second eyes soon times story boys since white`)

// syllables make up names, which a tokenizer cuts into pieces.
var syllables = strings.Fields("an bel cor dra el fen gar hol in jar kel lo mar nor os pel quin ros sta tor ul ver wen yor zan")

// writeText writes so many generated rows of the columns text and label as CSV: sentences of about 15 tokens in which one
// to three words tell the class. The same seed gives the same rows.
func writeText(path string, rows int, seed uint64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	out := bufio.NewWriterSize(f, 1<<20)
	w := csv.NewWriter(out)
	if err := w.Write([]string{"text", "label"}); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(seed, uint64(rows)))
	var words []string
	for range rows {
		topic := topics[rng.IntN(len(topics))]
		words = words[:0]
		for n := 5 + int(min(rng.ExpFloat64()*6, 40)); len(words) < n; {
			word := fillers[int(float64(len(fillers))*rng.Float64()*rng.Float64())]
			if rng.IntN(16) == 0 {
				word = name(rng)
			}
			words = append(words, word)
		}
		for range 1 + rng.IntN(3) {
			words[rng.IntN(len(words))] = topic.words[rng.IntN(len(topic.words))]
		}
		text := strings.Join(words, " ")
		if err := w.Write([]string{strings.ToUpper(text[:1]) + text[1:] + ".", topic.label}); err != nil {
			return err
		}
	}
	if w.Flush(); w.Error() != nil {
		return fmt.Errorf("%s: %w", path, w.Error())
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return f.Close()
}

func name(rng *rand.Rand) string {
	var b strings.Builder
	for range 2 + rng.IntN(2) {
		b.WriteString(syllables[rng.IntN(len(syllables))])
	}
	s := b.String()
	return strings.ToUpper(s[:1]) + s[1:]
}
