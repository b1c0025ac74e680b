package container

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"mta-sts-daemon/e2e/internal/isolated"
	"mta-sts-daemon/e2e/internal/namespace"
)

func TestMain(m *testing.M) { os.Exit(tests().Main(m)) }

func tests() isolated.Package {
	return isolated.Package{
		Name:       "e2e/container",
		Namespaces: unix.CLONE_NEWCGROUP,
		Missing:    isolated.MissingForMachines,
		Build:      buildImage,
		Trees:      []isolated.Tree{debian()},
		Furnish:    furnish,
	}
}

const (

	// A daemon needs less than 1024 files, and a container may not have more than the host allows.
	// The limit of processes takes control groups that namespaces do not have.
	containersConf = `[containers]
pids_limit = 0
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
healthcheck_events = false
`
	storageConf = "[storage]\ndriver = \"vfs\"\nrunroot = \"/run/containers/storage\"\ngraphroot = \"/var/lib/containers/storage\"\n"
	policyJSON  = `{"default": [{"type": "insecureAcceptAnything"}]}`
)

// debian has podman for the test and Postfix for the containers next to ours.
func debian() isolated.Tree {
	files := map[string]string{
		"etc/passwd":                      isolated.Passwd,
		"etc/group":                       isolated.Group,
		"etc/postfix/main.cf":             "compatibility_level = 3.6\n",
		"etc/postfix/dynamicmaps.cf":      "",
		"etc/containers/containers.conf":  containersConf,
		"etc/containers/storage.conf":     storageConf,
		"etc/containers/policy.json":      policyJSON,
		"etc/containers/registries.conf":  "",
		"var/lib/containers/.placeholder": "",
	}
	return isolated.Tree{
		Suite: "trixie", Name: "podman", Variant: "extract",
		Packages: "podman,runc,conmon,iproute2,postfix,dash,coreutils,sed,grep,findutils,libc-bin,base-files,perl-base",
		Contents: fmt.Sprint(files),
		Prepare: func(dir string) error {
			for name, text := range files {
				name = filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					return err
				}
				if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
					return err
				}
			}
			if out, err := exec.Command("chroot", dir, "/sbin/ldconfig").CombinedOutput(); err != nil {
				return fmt.Errorf("ldconfig: %w\n%s", err, out)
			}
			return nil
		},
		Optional: true,
	}
}

// buildImage builds the image for this machine into workDir.
func buildImage(workDir string) error {
	build := exec.Command("make", "-C", isolated.Repository(), "image", "IMAGE="+imageDir(workDir), "IMAGE_ARCHES=$(ARCH)")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("make image: %w\n%s", err, out)
	}
	return nil
}

func imageDir(workDir string) string { return filepath.Join(workDir, "image") }

// furnish makes Debian the root directory of the namespaces.
func furnish(scratch string) error {
	if isolated.LeftOut(debian().Name) != "" {
		tests().LeaveOut("podman cannot be unpacked")
		return nil
	}
	if err := namespace.LoopbackUp(); err != nil {
		return err
	}
	root, err := isolated.MountLayer(debian().Dir(), scratch)
	if err != nil {
		return err
	}
	repository, temporary := isolated.Repository(), filepath.Dir(filepath.Dir(scratch))
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	for _, m := range []struct {
		kind, source, target string
		flags                uintptr
		options              string
	}{
		{"proc", "proc", "/proc", 0, ""},
		{"sysfs", "sysfs", "/sys", 0, ""},
		{"cgroup2", "cgroup2", "/sys/fs/cgroup", 0, ""},
		{"tmpfs", "tmpfs", "/run", 0, "mode=0755"},
		{"tmpfs", "tmpfs", "/var/lib/containers", 0, "mode=0755"},
		{"", "/dev", "/dev", unix.MS_BIND | unix.MS_REC, ""},
		// At their own paths: the go command knows files there.
		{"", temporary, temporary, unix.MS_BIND | unix.MS_REC, ""},
		{"", repository, repository, unix.MS_BIND | unix.MS_REC, ""},
	} {
		target := filepath.Join(root, m.target)
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.source, target, m.kind, m.flags, m.options); err != nil {
			return fmt.Errorf("mounting %s: %w", target, err)
		}
	}
	if err := enterRoot(root, here); err != nil {
		return err
	}
	if err := os.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"); err != nil {
		return err
	}
	// Debian's own program shows if podman works here at all.
	if out, err := exec.Command("podman", "run", "--rm", "--network", "none", "--rootfs", "/:O", "/bin/true").CombinedOutput(); err != nil {
		tests().LeaveOut(fmt.Sprintf("podman cannot run here: %v: %s", err, out))
		return nil
	}
	return makeNetwork()
}

// enterRoot makes root the root directory of all that is in this mount namespace.
func enterRoot(root, here string) error {
	if err := os.Chdir(root); err != nil {
		return err
	}
	// With both arguments the same, the old root lies on top of the new one until it is unmounted.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return err
	}
	return os.Chdir(here)
}
