package postconf

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// Fields of a line of master.cf, as postconf -F names them.
const (
	fieldChroot  = "chroot"
	fieldCommand = "command"
)

// Service is one line of master.cf, see master(5).
type Service struct {
	Name string // "smtp"
	Type string // "unix"
	// Chroot is its chroot column: y, n, or - for Postfix's own default.
	Chroot string
	// Program is the name of its program, without arguments: "smtp".
	Program string
	// Settings are the parameters that its -o options set for it alone, with
	// the $names in their values expanded.
	Settings map[string]string
}

// Services returns the services of master.cf in the order of their names.
// Errors are those of Get.
func (c Command) Services(ctx context.Context) ([]Service, error) {
	path, err := c.find()
	if err != nil {
		return nil, err
	}
	fields, err := c.run(ctx, path, []string{"-F", "*/*/" + fieldChroot, "*/*/" + fieldCommand})
	if err != nil {
		return nil, err
	}
	settings, err := c.run(ctx, path, []string{"-x", "-P"})
	if err != nil {
		return nil, err
	}
	found := make(map[string]*Service)
	err = eachValue(fields, func(name, kind, field, value string) {
		s := found[name+"/"+kind]
		if s == nil {
			s = &Service{Name: name, Type: kind, Settings: make(map[string]string)}
			found[name+"/"+kind] = s
		}
		switch field {
		case fieldChroot:
			s.Chroot = value
		case fieldCommand:
			program, _, _ := strings.Cut(value, " ")
			s.Program = filepath.Base(program)
		}
	})
	if err != nil {
		return nil, err
	}
	err = eachValue(settings, func(name, kind, parameter, value string) {
		if s := found[name+"/"+kind]; s != nil {
			s.Settings[parameter] = value
		}
	})
	if err != nil {
		return nil, err
	}
	services := make([]Service, 0, len(found))
	for _, key := range slices.Sorted(maps.Keys(found)) {
		services = append(services, *found[key])
	}
	return services, nil
}

// eachValue reads lines of "service/type/what = value". The name of a service
// may have slashes of its own.
func eachValue(text string, each func(name, kind, what, value string)) error {
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		parts := strings.Split(strings.TrimSpace(key), "/")
		n := len(parts)
		if !ok || n < 3 {
			return fmt.Errorf("%w: %s", ErrOutput, quote(line))
		}
		each(strings.Join(parts[:n-2], "/"), parts[n-2], parts[n-1], strings.TrimSpace(value))
	}
	return nil
}
