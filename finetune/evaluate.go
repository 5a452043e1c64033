package finetune

import (
	"context"

	"github.com/ftk-go/ftk/finetune/dataset"
	"github.com/ftk-go/ftk/finetune/metrics"
)

// forward runs a choice of the set's examples through the network and calls
// each with the logits of every batch, [rows classes].
func (f *feeder) forward(ctx context.Context, examples dataset.Examples, maxLength int, each func(b *batch, logits []float32) error) error {
	for b, err := range f.batches(ctx, evaluationBatches(ctx, f.set, examples, maxLength), false) {
		if err != nil {
			return err
		}
		p, err := f.net.plans.get(b, false)
		if err != nil {
			return err
		}
		if err := p.run(b); err != nil {
			return err
		}
		logits, err := p.output(f.net.logits, nil)
		if err != nil {
			return err
		}
		if err := each(b, logits.F32); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// evaluate computes the metrics of labelled examples, without dropout. It calls
// progress with the number of examples done.
func (f *feeder) evaluate(ctx context.Context, examples dataset.Examples, maxLength int, progress func(done int)) (metrics.Classification, error) {
	done := 0
	classes := len(f.set.Classes.Names)
	m := metrics.NewTally(classes)
	err := f.forward(ctx, examples, maxLength, func(b *batch, logits []float32) error {
		m.Add(logits, b.labels)
		m.AddLoss(lossOf(f.net.loss, logits, b.labels, classes), len(b.labels))
		done += len(b.labels)
		progress(done)
		return nil
	})
	return m.Result(), err
}
