//go:build !(linux || darwin)

package finetune

import "os"

// mapped is nothing here: files are read by system calls.
type mapped struct{}

func mapFile(*os.File, int64) *mapped { return nil }

func (*mapped) bytes(a, b int64) []byte { return nil }

func (*mapped) unmap() {}
