package importer_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/exporter"
	"github.com/ftk-go/ftk/importer"
	"github.com/ftk-go/ftk/internal/onnxpb"
	"github.com/ftk-go/ftk/internal/testenv"
	"google.golang.org/protobuf/proto"
)

// sameAfterRoundTrip reads and writes a model, and compares the messages of
// both files with a parser that knows nothing of package graph.
func sameAfterRoundTrip(t *testing.T, data []byte) {
	t.Helper()
	m, err := importer.Parse(data, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func() ([]byte, error){
		"as read": func() ([]byte, error) { return exporter.Marshal(m) },
		"cloned":  func() ([]byte, error) { return exporter.Marshal(m.Clone()) },
	} {
		back, err := write()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if bytes.Equal(data, back) {
			continue
		}
		var want, got onnxpb.Model
		if err := proto.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		if err := proto.Unmarshal(back, &got); err != nil {
			t.Fatalf("%s: what was written: %v", name, err)
		}
		if !proto.Equal(&want, &got) {
			t.Errorf("%s: written with other fields than were read", name)
		}
	}
}

func TestRealModelsRoundTrip(t *testing.T) {
	err := filepath.WalkDir(testenv.Shared(t, "models"), func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".onnx" {
			t.Run(filepath.Base(path), func(t *testing.T) {
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				sameAfterRoundTrip(t, data)
			})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOperatorTestsRoundTrip(t *testing.T) {
	f, err := os.Open(testenv.Shared(t, "onnx-node-tests/onnx-v1.22.0-node.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	models := 0
	for archive := tar.NewReader(z); ; {
		entry, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(entry.Name, ".onnx") {
			continue
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		models++
		t.Run(filepath.Base(filepath.Dir(entry.Name)), func(t *testing.T) { sameAfterRoundTrip(t, data) })
	}
	if models < 1000 {
		t.Errorf("%d models in the archive, 1,765 expected", models)
	}
}
