package finetune

import (
	"context"
	"testing"
)

// Plans are kept while some of the last batches needed them, and never more
// than maxPlans.
func TestPlansAreKeptWhileTheyAreUsed(t *testing.T) {
	c := tinyConfig(t)
	tr, err := prepare(context.Background(), &c)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	p := tr.net.plans
	e, err := tr.train.Example(0)
	if err != nil {
		t.Fatal(err)
	}
	get := func(rows int) *plan {
		t.Helper()
		plan := batchPlan{seq: e.Length}
		for range rows {
			plan.examples = append(plan.examples, e)
		}
		b := &batch{}
		if err := tr.feed.fill(context.Background(), b, plan); err != nil {
			t.Fatal(err)
		}
		got, err := p.get(b, false)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	often, seldom := get(1), get(2)
	p.clock += keptFor - 10
	if get(1) != often || get(3) == nil || len(p.made) != 3 {
		t.Errorf("%d plans, or not the same", len(p.made))
	}
	p.clock += 10
	if get(4); len(p.made) != 3 || get(1) != often {
		t.Errorf("%d plans when one was not used for long, want 3", len(p.made))
	}
	if get(2) == seldom {
		t.Error("a plan that was not used for long is there still")
	}
	for rows := 3; rows < maxPlans+10; rows++ {
		get(rows)
	}
	if got := get(maxPlans + 9); len(p.made) != maxPlans || p.made[planKey{maxPlans + 9, e.Length, false, false}] != got {
		t.Errorf("%d plans, want %d", len(p.made), maxPlans)
	}
}
