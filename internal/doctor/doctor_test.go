package doctor

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftk-go/ftk/internal/ort"
)

func find(t *testing.T, r Report, name string) Finding {
	t.Helper()
	for _, f := range r.Findings {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("no finding %s in %+v", name, r.Findings)
	return Finding{}
}

// On a machine with nothing installed, the report names each thing missing
// with one command, and the needed ones make it an error.
func TestNothingInstalled(t *testing.T) {
	if _, loaded := ort.Loaded(); loaded {
		t.Fatal("another test has loaded onnxruntime in this process")
	}
	t.Setenv("FTK_HOME", t.TempDir())
	t.Setenv(ort.EnvLibrary, filepath.Join(t.TempDir(), "gone.so"))
	r := Examine()
	if r.OK {
		t.Error("the report is OK without onnxruntime")
	}
	if f := find(t, r, "onnxruntime"); f.Status != Missing || f.Mend == "" {
		t.Errorf("onnxruntime: %+v", f)
	}
	if f := find(t, r, "MiniLM"); f.Status != Slow || f.Mend != "make deps" {
		t.Errorf("MiniLM: %+v", f)
	}
	err := r.Err()
	if err == nil || !strings.Contains(err.Error(), "onnxruntime is missing; run: unset FTK_ONNXRUNTIME") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
	if r.Sgemm <= 0 || r.Threads < 1 || r.CPU.Logical < 1 {
		t.Errorf("sgemm %v GFLOP/s, %d threads, %d CPUs", r.Sgemm, r.Threads, r.CPU.Logical)
	}
}

func TestPrintAndJSON(t *testing.T) {
	r := Report{OK: true, Version: "1.2.3", Threads: 2, CPU: CPU{Logical: 4, Features: []string{"AVX2"}}, Findings: []Finding{
		{Name: "BLAS", Status: Slow, Found: "gonum", Mend: "make deps"},
		{Name: "onnxruntime", Status: OK, Found: "1.30.0", Path: "/lib/x.so"},
	}}
	var text bytes.Buffer
	r.Print(&text)
	for _, want := range []string{"ftk 1.2.3", "2 in use of 4", "[slow]", "mend it with: make deps", "1.30.0 (/lib/x.so)"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &text)
		}
	}
	if r.Err() != nil {
		t.Errorf("error %v where only speed is missing", r.Err())
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"ok":true`, `"sgemm_gflops":0`, `"mend":"make deps"`, `"features":["AVX2"]`} {
		if !bytes.Contains(data, []byte(want)) {
			t.Errorf("JSON lacks %s: %s", want, data)
		}
	}
}
