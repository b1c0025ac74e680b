package container

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mta-sts-daemon/e2e/internal/isolated"
	"mta-sts-daemon/resolver/resolvertest"
)

const (
	policy  = "version: STSv1\nmode: enforce\nmx: mx.%s\nmax_age: 604800\n"
	secured = "secure match=mx.%s servername=hostname"
)

// A world is the network that the containers are in: the resolver and the policy hosts are the
// test's.
type world struct {
	addresses
	dns   *resolvertest.DNS
	hosts *resolvertest.PolicyHosts
	ca    string // a directory to mount at /etc/ssl/certs
	image string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	isolated.Need(t, "the image in containers")
	ca := resolvertest.NewCA(t)
	w := &world{
		dns:   resolvertest.StartDNSAt(t, here+":53"),
		hosts: resolvertest.StartPolicyHostsAt(t, ca, here+":443"),
		ca:    filepath.Dir(writeFile(t, "ca-certificates.crt", string(ca.PEM()))),
	}
	archive := filepath.Join(imageDir(os.Getenv(isolated.EnvWorkDir)), "mta-sts-daemon.tar")
	loaded := mustPodman(t, "load", "--quiet", "--input", archive)
	w.image = strings.TrimSpace(strings.TrimPrefix(loaded, "Loaded image:"))
	if !strings.Contains(w.image, "mta-sts-daemon:") {
		t.Fatalf("podman load: %s", loaded)
	}
	return w
}

// publish makes a domain one with an enforced policy.
func (w *world) publish(domain string) {
	w.dns.Publish(domain, "1")
	w.dns.Add("mta-sts." + domain + ". 300 IN A " + here)
	w.hosts.Serve(domain, fmt.Sprintf(policy, domain))
}

// options start our image as the recipes do: everything is read-only except for the volumes,
// and nothing is privileged.
func (w *world) options(network string, more ...string) []string {
	return append([]string{
		"--read-only", "--read-only-tmpfs=false", "--cap-drop", "all", "--security-opt", "no-new-privileges",
		"--network", network,
		"--volume", w.ca + ":/etc/ssl/certs:ro",
		"--env", "MTA_STS_DNS_SERVERS=" + here,
		"--env", "MTA_STS_FETCH_ALLOW_NETWORKS=10.88.0.0/24",
	}, more...)
}

func ns(a attachment) string { return "ns:" + a.path }

// TestContainer has one network, image and store of podman's for all tests below it.
func TestContainer(t *testing.T) {
	w := newWorld(t)
	for name, test := range map[string]func(*testing.T, *world){
		"Image": testImage, "Unprivileged": testUnprivileged, "Restart": testRestart, "Drain": testDrain, "DANE": testDANE, "Stacks": testStacks,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, w)
		})
	}
}

// peerSize is the size that postfix-tlspol gives for its own image, compressed, in MB.
const peerSize = 8

// testImage prints the size, as a registry has it.
func testImage(t *testing.T, w *world) {
	dir := t.TempDir()
	mustPodman(t, "save", "--quiet", "--format", "oci-archive", "--output", filepath.Join(dir, "saved.tar"), w.image)
	info, err := os.Stat(filepath.Join(dir, "saved.tar"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the image has %.1f MB compressed, postfix-tlspol's about %d MB", float64(info.Size())/1e6, peerSize)
	out := mustPodman(t, "run", "--rm", "--network", "none", w.image, "version")
	if !strings.HasPrefix(out, "mta-sts-daemon ") {
		t.Errorf("version: %s", out)
	}
}

// testUnprivileged looks at the running process from outside, and at its log.
func testUnprivileged(t *testing.T, w *world) {
	w.publish("unprivileged.test")
	a := w.attach(t)
	c := start(t, "unprivileged", w.options(ns(a), "--env", "MTA_STS_NOTHING=1"), w.image)
	c.awaitReady(t)
	if answer, err := lookup(a, "unprivileged.test"); err != nil || answer != "OK "+fmt.Sprintf(secured, "unprivileged.test") {
		t.Errorf("answer %q, %v", answer, err)
	}
	pid := strings.TrimSpace(mustPodman(t, "inspect", "--format", "{{.State.Pid}}", c.name))
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Uid:\t8461\t8461\t8461\t8461\n", "Gid:\t8461\t8461\t8461\t8461\n", "NoNewPrivs:\t1\n",
		"CapInh:\t0000000000000000\n", "CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n", "CapBnd:\t0000000000000000\n", "CapAmb:\t0000000000000000\n",
	} {
		if !bytes.Contains(status, []byte(want)) {
			t.Errorf("the process lacks %q:\n%s", want, status)
		}
	}
	mounts, err := os.ReadFile("/proc/" + pid + "/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); fields[4] == "/" && !strings.HasPrefix(fields[5], "ro,") {
			t.Errorf("the root directory can be written: %s", line)
		}
	}
	out, err := c.exec(t, "/usr/bin/mta-sts-daemon", "check-config")
	const wantCheck = "Warning: MTA_STS_NOTHING sets no key and is ignored\n" +
		"Set by the environment: MTA_STS_DNS_SERVERS, MTA_STS_FETCH_ALLOW_NETWORKS\n" +
		"The configuration in /etc/mta-sts-daemon/config.yaml is valid.\n"
	if err != nil || out != wantCheck {
		t.Errorf("check-config: %v\n%s", err, out)
	}
	if out, err := c.exec(t, "/usr/bin/mta-sts-daemon", "query", "unprivileged.test"); !strings.HasPrefix(out, "unprivileged.test: ") {
		t.Errorf("query: %v\n%s", err, out)
	}
	// Standard output alone, each line JSON.
	logged := mustPodman(t, "logs", c.name)
	for line := range strings.Lines(logged) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
	if !strings.Contains(logged, "Ready to answer lookups") {
		t.Errorf("the log lacks the start:\n%s", logged)
	}
}

// testRestart gives a new container the volume of the one before. Nothing of the network is
// there any more for the domain, so the answer is from the volume.
func testRestart(t *testing.T, w *world) {
	w.publish("kept.test")
	want := "OK " + fmt.Sprintf(secured, "kept.test")
	for i, name := range []string{"first", "second"} {
		a := w.attach(t)
		c := start(t, name, w.options(ns(a), "--volume", "policies:/data"), w.image)
		c.awaitReady(t)
		if answer, err := lookup(a, "kept.test"); err != nil || answer != want {
			t.Fatalf("%s: answer %q, %v", name, answer, err)
		}
		if i == 0 {
			c.remove(t)
			w.dns.Misbehave("_mta-sts.kept.test", resolvertest.DNSRcode(2))
			w.dns.Misbehave("mta-sts.kept.test", resolvertest.DNSRcode(2))
			w.hosts.Handle("kept.test", resolvertest.HostCloses())
		}
	}
}

// testDrain stops the container while a lookup is under way: it is answered.
func testDrain(t *testing.T, w *world) {
	w.publish("slow.test")
	w.dns.Misbehave("_mta-sts.slow.test", resolvertest.DNSDelay(2*time.Second))
	a := w.attach(t)
	c := start(t, "drained", w.options(ns(a)), w.image)
	c.awaitReady(t)
	type result struct {
		answer string
		err    error
	}
	results := make(chan result, 1)
	go func() {
		answer, err := lookup(a, "slow.test")
		results <- result{answer, err}
	}()
	isolated.Eventually(t, "the lookup has begun", func() bool { return w.dns.Queries("_mta-sts.slow.test", 16) > 0 })
	mustPodman(t, "stop", "--time", "15", c.name)
	if r := <-results; r.err != nil || r.answer != "OK "+fmt.Sprintf(secured, "slow.test") {
		t.Errorf("answer %q, %v", r.answer, r.err)
	}
	if status := strings.TrimSpace(mustPodman(t, "inspect", "--format", "{{.State.ExitCode}}", c.name)); status != "0" {
		t.Errorf("exit status %s", status)
	}
}

// testDANE: a container sees no Postfix, so auto is off and always is the operator's word for
// the resolver that is named.
func testDANE(t *testing.T, w *world) {
	w.publish("dane.test")
	w.dns.Add("dane.test. 300 IN MX 10 mx.dane.test.", "mx.dane.test. 300 IN A 192.0.2.1",
		"_25._tcp.mx.dane.test. 300 IN TLSA 3 1 1 "+strings.Repeat("a5", 32))
	w.dns.SetAuthenticated(true)
	for mode, want := range map[string]string{
		"auto":   "OK " + fmt.Sprintf(secured, "dane.test"),
		"always": "OK dane-only",
	} {
		a := w.attach(t)
		c := start(t, "dane-"+mode, w.options(ns(a), "--env", "MTA_STS_DNS_DANE="+mode), w.image)
		c.awaitReady(t)
		if answer, err := lookup(a, "dane.test"); err != nil || answer != want {
			t.Errorf("%s: answer %q, %v; want %q", mode, answer, err, want)
		}
	}
}
