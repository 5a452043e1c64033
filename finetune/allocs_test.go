package finetune

import (
	"context"
	"testing"
)

// A training step allocates nothing: batch, feeding the plan, running it,
// update.
func TestStepAllocatesNothing(t *testing.T) {
	withTables(t)
	c := tinyConfig(t)
	tr, err := prepare(context.Background(), &c)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	var plan batchPlan
	order := newTrainingOrder(tr.selection(), 1, 0)
	for p, err := range order.from(0) {
		if err != nil {
			t.Fatal(err)
		}
		if len(p.examples) == c.BatchSize {
			plan = p
			break
		}
	}
	b := &batch{}
	groups := accumulation{order, 1}
	step := func() {
		if err := tr.feed.fill(context.Background(), b, plan); err != nil {
			t.Fatal(err)
		}
		p, err := tr.net.plans.get(b, true)
		if err != nil {
			t.Fatal(err)
		}
		tr.opt.fetch(b)
		tr.drop(p, 0)
		if err := p.feed(b); err != nil {
			t.Fatal(err)
		}
		if err := p.machine.RunAll(); err != nil {
			t.Fatal(err)
		}
		if _, err := p.lossValue(); err != nil {
			t.Fatal(err)
		}
		tr.opt.accumulate(groups.weight(0))
		tr.opt.step(tr.opt.norm())
	}
	for range 3 {
		step()
	}
	if n := testing.AllocsPerRun(50, step); n > 0 {
		t.Errorf("%v allocations in a step", n)
	}
}
