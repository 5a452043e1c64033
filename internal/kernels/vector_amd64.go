package kernels

// available lists the versions that this processor can run, the fastest last.
func available() []*vector {
	return []*vector{&portable}
}
