package setup

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// checkSum compares a file with its pinned SHA-256.
func checkSum(file, want string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return fmt.Errorf("%s has SHA-256 %s, not the expected %s; it was discarded", filepath.Base(file), got, want)
	}
	return nil
}

// member gives the path below folder of an archive's member, and whether it is
// wanted: pattern is matched against its first element.
func member(name, folder, pattern string) (rel string, wanted bool) {
	rel, ok := strings.CutPrefix(path.Clean(name), folder+"/")
	if !ok || !filepath.IsLocal(filepath.FromSlash(rel)) {
		return "", false
	}
	first, _, _ := strings.Cut(rel, "/")
	match, err := path.Match(pattern, first)
	return rel, err == nil && match
}

// unpackZip puts the wanted members into dir, replacing what is there.
func unpackZip(archive, folder, pattern, dir string) error {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer r.Close()
	return unpack(archive, dir, func(write func(rel string, from io.Reader) error) error {
		for _, f := range r.File {
			rel, wanted := member(f.Name, folder, pattern)
			if !wanted || f.FileInfo().IsDir() {
				continue
			}
			from, err := f.Open()
			if err != nil {
				return err
			}
			err = errors.Join(write(rel, from), from.Close())
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// unpackTarGz does the same for a compressed tar.
func unpackTarGz(archive, folder, pattern, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	plain, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	r := tar.NewReader(plain)
	return unpack(archive, dir, func(write func(rel string, from io.Reader) error) error {
		for {
			header, err := r.Next()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			rel, wanted := member(header.Name, folder, pattern)
			if !wanted || header.Typeflag != tar.TypeReg {
				continue
			}
			if err := write(rel, r); err != nil {
				return err
			}
		}
	})
}

// unpack collects members in a directory beside the archive and then moves
// them into dir: a directory that is not there yet by one rename; into one
// that is, file by file.
func unpack(archive, dir string, each func(write func(rel string, from io.Reader) error) error) error {
	staging, err := os.MkdirTemp(filepath.Dir(archive), "unpacked-*")
	if err != nil {
		return err
	}
	var files []string
	if err := each(func(rel string, from io.Reader) error {
		files = append(files, rel)
		return writeFile(filepath.Join(staging, filepath.FromSlash(rel)), from)
	}); err != nil {
		return fmt.Errorf("unpacking %s: %w", filepath.Base(archive), err)
	}
	if len(files) == 0 {
		return fmt.Errorf("%s does not hold what was expected", filepath.Base(archive))
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.Chmod(staging, 0o755); err != nil {
		return err
	}
	if os.Rename(staging, dir) == nil {
		return nil
	}
	for _, rel := range files {
		to := filepath.Join(dir, filepath.FromSlash(rel))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(staging, filepath.FromSlash(rel)), to); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(name string, from io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
