//go:build !unix

package finetune

// peakRSS is not known on this system.
func peakRSS() int64 { return 0 }
