//go:build !unix

package ort

// libraryVersion takes the library on trust where it cannot be asked without
// loading it for good; Init then reports one that does not fit.
func libraryVersion(string) (string, error) { return "1.24", nil }
