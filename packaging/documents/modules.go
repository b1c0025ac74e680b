package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// module is code of others that is linked into the program.
type module struct {
	path, version string
	licence       licence
}

// standardLibrary is the path under which Go's own code is listed.
const standardLibrary = "std"

// linked returns the modules whose packages the program is made of, by path, and
// Go's standard library.
func linked(arch string) ([]module, error) {
	goroot, err := goTool(arch, "env", "GOVERSION", "GOROOT")
	if err != nil {
		return nil, err
	}
	version, dir, _ := strings.Cut(goroot, "\n")
	list, err := goTool(arch, "list", "-deps",
		"-f", `{{$p := .}}{{with .Module}}{{if .Version}}{{.Path}}|{{.Version}}|{{.Dir}}|{{$p.Dir}}{{end}}{{end}}`,
		"./cmd/"+program)
	if err != nil {
		return nil, err
	}
	return readModules(strings.Join([]string{standardLibrary, version, dir, dir}, "|") + "\n" + list)
}

// readModules reads the licences of the listed packages, one a line:
// module|version|its directory|the package's directory.
func readModules(list string) ([]module, error) {
	type id struct{ path, version string }
	dirs := map[id][]string{} // in which a licence for a linked package may be
	for line := range strings.Lines(list) {
		f := strings.Split(strings.TrimSpace(line), "|")
		if len(f) < 4 || f[2] == "" {
			return nil, fmt.Errorf("%q has no directory; try go mod download", line)
		}
		m := id{f[0], f[1]}
		top, dir := f[2], f[3]
		for ; dir != top; dir = filepath.Dir(dir) {
			dirs[m] = append(dirs[m], dir)
		}
		dirs[m] = append(dirs[m], top)
	}
	var modules []module
	for m, dirs := range dirs {
		slices.Sort(dirs) // the module's own first
		l, err := readLicence(slices.Compact(dirs)...)
		if err != nil {
			return nil, fmt.Errorf("module %s: %w", m.path, err)
		}
		modules = append(modules, module{m.path, m.version, l})
	}
	slices.SortFunc(modules, func(a, b module) int { return cmp.Compare(a.path, b.path) })
	return modules, nil
}

// goTool returns the output of the go command when it builds for arch.
func goTool(arch string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return "", fmt.Errorf("go %s: %s", args[0], exit.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}
