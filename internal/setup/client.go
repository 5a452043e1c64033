package setup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ftk-go/ftk/internal/home"
)

// pipSource fetches a wheel with pip.
type pipSource struct{ wheel }

func (s pipSource) describe() string {
	return fmt.Sprintf("pip download %s (%d MB)", s.spec, s.size/1e6)
}

func (s pipSource) available() error {
	_, err := pip()
	return err
}

func (s pipSource) install(ctx context.Context) error {
	client, err := pip()
	if err != nil {
		return err
	}
	return withTemp(func(temp string) error {
		args := append(client[1:], "download", "--quiet", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--dest", temp)
		args = append(append(args, s.tags...), s.spec)
		if err := command(ctx, temp, client[0], args...); err != nil {
			return err
		}
		file, err := onlyFile(temp, "*.whl")
		if err != nil {
			return err
		}
		if err := checkSum(file, s.sha256); err != nil {
			return err
		}
		return unpackZip(file, s.folder, s.pattern, s.dir())
	})
}

// pip returns the command line of a pip that answers.
func pip() ([]string, error) {
	for _, client := range [][]string{{"pip3"}, {"pip"}, {"python3", "-m", "pip"}, {"python", "-m", "pip"}} {
		if answers(client) {
			return client, nil
		}
	}
	return nil, errors.New("no pip here")
}

// npmSource fetches a tarball with npm. `npm pack` only downloads: no script
// of the package runs (its own install step would download more).
type npmSource struct{ tarball }

func (s npmSource) describe() string {
	return fmt.Sprintf("npm pack %s (%d MB)", s.spec, s.size/1e6)
}

func (s npmSource) available() error {
	if !answers([]string{"npm"}) {
		return errors.New("no npm here")
	}
	return nil
}

func (s npmSource) install(ctx context.Context) error {
	return withTemp(func(temp string) error {
		if err := command(ctx, temp, "npm", "pack", "--silent", "--ignore-scripts", s.spec); err != nil {
			return err
		}
		file, err := onlyFile(temp, "*.tgz")
		if err != nil {
			return err
		}
		if err := checkSum(file, s.sha256); err != nil {
			return err
		}
		return unpackTarGz(file, s.folder, s.pattern, s.dir())
	})
}

// aptSource installs a Debian package; only root can.
type aptSource struct{ name string }

func (s aptSource) describe() string { return "apt-get install " + s.name }

func (s aptSource) available() error {
	if os.Geteuid() != 0 {
		return errors.New("not root")
	}
	if _, err := os.Stat("/etc/debian_version"); err != nil {
		return errors.New("not Debian")
	}
	_, err := exec.LookPath("apt-get")
	return err
}

func (s aptSource) install(ctx context.Context) error {
	install := func() error {
		return command(ctx, "/", "apt-get", "install", "--yes", "--quiet", "--no-install-recommends", s.name)
	}
	if install() == nil {
		return nil
	}
	// The lists of packages may be old, or none have been fetched yet.
	if err := command(ctx, "/", "apt-get", "update", "--quiet"); err != nil {
		return err
	}
	return install()
}

// answers tells whether a client is there and starts: a shim of a version
// manager may be on the PATH with nothing behind it.
func answers(client []string) bool {
	if _, err := exec.LookPath(client[0]); err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, client[0], append(client[1:], "--version")...).Run() == nil
}

// command runs a client without standard input. Its error ends with the last
// line that the client printed.
func command(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "PIP_NO_INPUT=1")
	cmd.WaitDelay = 5 * time.Second
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &printed
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s failed (%w): %s", name, err, lastLine(printed.String()))
	}
	return nil
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	if last == "" {
		return "it printed nothing"
	}
	if len(last) > 300 {
		last = last[:300] + "..."
	}
	return last
}

// withTemp gives a temporary directory in the home directory, so that what is
// unpacked there can be renamed into place.
func withTemp(use func(dir string) error) error {
	dir, err := os.MkdirTemp(home.Dir(), "setup-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return use(dir)
}

// onlyFile returns the one file in dir that matches.
func onlyFile(dir, pattern string) (string, error) {
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("the download left %d files %s where one was expected", len(found), pattern)
	}
	return found[0], nil
}
