package finetune

import "sort"

// lengthStep is how far apart padded lengths are. Every shape needs a plan,
// which takes some milliseconds to make; padding costs computation in every
// batch. With these steps it is 3 % at most, and there are few shapes.
func lengthStep(n int) int {
	switch {
	case n <= 64:
		return 1
	case n <= 128:
		return 2
	case n <= 256:
		return 4
	}
	return 8
}

// Examples are sorted by length within megabatches of this many batches, so
// that a batch has sequences of like length and the order is still random
// (transformers: LengthGroupedSampler, mega_batch_mult).
const megabatch = 50

// batchPlan is the examples of one batch and its padded length.
type batchPlan struct {
	examples []int32
	seq      int // padded length: a multiple of lengthStep, or the maximum length
}

func paddedLength(n, limit int) int {
	step := lengthStep(n)
	return min((n+step-1)/step*step, max(limit, n))
}

// trainingBatches gives the batches of an epoch: shuffled, grouped by length,
// batches in random order. All have size examples but one, which has the rest.
// It depends on its arguments alone.
func trainingBatches(examples []int32, length func(int32) int, size, maxLength int, seed uint64, epoch int) []batchPlan {
	order := append([]int32(nil), examples...)
	shuffle(order, randomKey(seed, streamShuffle, uint64(epoch)))
	for lo := 0; lo < len(order); lo += megabatch * size {
		part := order[lo:min(lo+megabatch*size, len(order))]
		sort.SliceStable(part, func(i, j int) bool { return length(part[i]) > length(part[j]) })
	}
	batches := cutBatches(order, length, size, maxLength)
	shuffle(batches, randomKey(seed, streamBatchOrder, uint64(epoch)))
	return batches
}

// evaluationBatches gives batches sorted by length, longest first, so that a
// lack of memory shows at once.
func evaluationBatches(examples []int32, length func(int32) int, size, maxLength int) []batchPlan {
	order := append([]int32(nil), examples...)
	sort.SliceStable(order, func(i, j int) bool { return length(order[i]) > length(order[j]) })
	return cutBatches(order, length, size, maxLength)
}

func cutBatches(order []int32, length func(int32) int, size, maxLength int) []batchPlan {
	batches := make([]batchPlan, 0, (len(order)+size-1)/size)
	for lo := 0; lo < len(order); lo += size {
		b := batchPlan{examples: order[lo:min(lo+size, len(order))]}
		longest := 0
		for _, e := range b.examples {
			longest = max(longest, length(e))
		}
		b.seq = paddedLength(longest, maxLength)
		batches = append(batches, b)
	}
	return batches
}
