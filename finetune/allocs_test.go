package finetune

import (
	"context"
	"fmt"
	"testing"
)

// A training step allocates nothing: batch, features of a frozen part, feeding
// the plan, running it, update.
func TestStepAllocatesNothing(t *testing.T) {
	for _, c := range []struct {
		freeze string
		stored bool
	}{{"none", false}, {"backbone", true}, {"1", true}, {"1", false}} {
		t.Run(fmt.Sprintf("freeze %s, features stored %v", c.freeze, c.stored), func(t *testing.T) {
			testStepAllocatesNothing(t, c.freeze, c.stored)
		})
	}
}

func testStepAllocatesNothing(t *testing.T, freeze string, stored bool) {
	withTables(t)
	c := tinyConfig(t)
	c.Freeze, c.CacheLimit, c.FrozenEngine = freeze, 0, EngineFtk
	if stored {
		c.Workspace, c.CacheLimit = tinyWorkspace(t), 1<<30
	}
	tr, err := prepare(context.Background(), &c)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	var plan batchPlan
	order := newTrainingOrder(tr.selection(), 1, 0)
	for p, err := range order.from(t.Context(), 0) {
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
		tr.clock.start()
		if err := tr.feed.fill(context.Background(), b, plan); err != nil {
			t.Fatal(err)
		}
		p, err := tr.net.plans.get(b, true)
		if err != nil {
			t.Fatal(err)
		}
		tr.opt.fetch(b)
		tr.drop(p, 0, 0)
		if err := p.share(groups.weight(0, len(b.examples)), true); err != nil {
			t.Fatal(err)
		}
		if err := p.feed(b); err != nil {
			t.Fatal(err)
		}
		if err := p.machine.RunAll(); err != nil {
			t.Fatal(err)
		}
		if _, err := p.lossValue(); err != nil {
			t.Fatal(err)
		}
		tr.opt.step(tr.opt.norm())
		tr.clock.stop(len(b.examples))
		tr.report(1, 1, 1, order.batches())
	}
	for range 3 {
		step()
	}
	if n := testing.AllocsPerRun(50, step); n > 0 {
		t.Errorf("%v allocations in a step", n)
	}
}
