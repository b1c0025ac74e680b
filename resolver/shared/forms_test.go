package shared

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// works checks that two nodes share policies, leases and purges.
func works(t *testing.T, a, b *node) {
	t.Helper()
	eventually(t, "a policy of one node is known to the other, which receives the change", func() bool {
		e := fetched(t, "1", time.Minute)
		a.Put(domain(t, "example.com"), e)
		return b.Get(t.Context(), domain(t, "example.com")).Entry != nil &&
			b.received(func(c Change) bool { return c.Value.Entry != nil })
	})
	d := domain(t, "leased.example")
	if !a.Lease(t.Context(), d) || b.Lease(t.Context(), d) {
		t.Error("a lease is not granted to one node")
	}
	a.purge(t, domain(t, "purged.example"))
	if a.log.String()+b.log.String() != "" {
		t.Errorf("logged:\n%s%s", a.log, b.log)
	}
}

// The permissions that docs/operating.md lists are enough.
func TestUser(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, program []string) {
		t.Parallel()
		s := start(t, program)
		const password = "p@ss/word?"
		s.do(t, "ACL", "SETUSER", "mta", "on", ">"+password, "resetkeys", "~mta-sts:*", "resetchannels", "&mta-sts:*",
			"-@all", "+getrange", "+set", "+eval", "+evalsha", "+publish", "+subscribe", "+ping")
		s.do(t, "ACL", "SETUSER", "default", "off")
		url := strings.Replace(s.url(), "//", "//mta:p%40ss%2Fword%3F@", 1)
		works(t, join(t, url), join(t, strings.Replace(s.url(), "//", "//mta@", 1), func(o *Options) {
			o.Servers.Password = password
		}))
		n := join(t, strings.Replace(s.url(), "//", "//mta:wrong-secret@", 1))
		eventually(t, "there is a warning", func() bool { return n.log.count(warning) == 1 })
		if n.log.count("WRONGPASS") == 0 || n.log.count("secret") > 0 {
			t.Errorf("the warning does not say why, or too much:\n%s", n.log)
		}
	})
}

func TestTLS(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, program []string) {
		t.Parallel()
		web := httptest.NewTLSServer(nil) // has a certificate for 127.0.0.1, its own authority
		defer web.Close()
		leaf := web.TLS.Certificates[0]
		secret, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		dir, port := t.TempDir(), freePort(t)
		cert, private := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
		for path, block := range map[string]*pem.Block{
			cert:    {Type: "CERTIFICATE", Bytes: leaf.Certificate[0]},
			private: {Type: "PRIVATE KEY", Bytes: secret},
		} {
			if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		start(t, program, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", private, "--tls-ca-cert-file", cert, "--tls-auth-clients", "no")
		trusting := func(o *Options) {
			o.Roots = x509.NewCertPool()
			o.Roots.AddCert(web.Certificate())
		}
		url := "rediss://127.0.0.1:" + port
		works(t, join(t, url, trusting), join(t, url, trusting))
		for name, n := range map[string]*node{
			"no such authority": join(t, url),
			"another name":      join(t, "rediss://localhost:"+port, trusting),
		} {
			eventually(t, "there is a warning", func() bool { return n.log.count(warning) == 1 })
			if n.log.count("x509") == 0 {
				t.Errorf("%s: the warning does not say why:\n%s", name, n.log)
			}
		}
	})
}

func TestCluster(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, program []string) {
		t.Parallel()
		masters := startCluster(t, program)
		a, b := join(t, masters.url()), join(t, masters.url())
		works(t, a, b)
		for i := range 20 {
			a.Put(domain(t, fmt.Sprintf("d%d.example", i)), fetched(t, "1", time.Minute))
		}
		a.settle(t)
		for i := range 20 {
			if b.Get(t.Context(), domain(t, fmt.Sprintf("d%d.example", i))).Entry == nil {
				t.Errorf("d%d.example is not known", i)
			}
		}
		for _, s := range masters {
			if n := s.do(t, "DBSIZE"); n == int64(0) {
				t.Error("a master has no key")
			}
		}
		a.purgeAll(t)
		if v := b.Get(t.Context(), domain(t, "d1.example")); v.Entry != nil {
			t.Errorf("after a purge: %+v", v)
		}
	})
}

// If the master fails and the sentinels make its replica the master, the nodes use
// that.
func TestSentinel(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, program []string) {
		t.Parallel()
		master := start(t, program)
		replica := start(t, program, "--replicaof", "127.0.0.1", master.port)
		sentinel := start(t, program, "--sentinel")
		eventually(t, "the replica follows", func() bool {
			return strings.Contains(fmt.Sprint(replica.do(t, "INFO", "replication")), "master_link_status:up")
		})
		sentinel.do(t, "SENTINEL", "MONITOR", "mail", "127.0.0.1", master.port, 1)
		sentinel.do(t, "SENTINEL", "SET", "mail", "down-after-milliseconds", 500)
		eventually(t, "the sentinel knows the replica", func() bool {
			return strings.Contains(fmt.Sprint(sentinel.do(t, "SENTINEL", "REPLICAS", "mail")), replica.port)
		})
		url := "redis+sentinel://" + sentinel.addr() + "?master=mail"
		a, b := join(t, url), join(t, url)
		works(t, a, b)
		eventually(t, "the replica has the policy", func() bool { return replica.do(t, "EXISTS", "mta-sts:example.com") == int64(1) })

		master.kill()
		d := domain(t, "after.example")
		a.Put(d, fetched(t, "2", time.Minute))
		eventually(t, "what is put meanwhile is known after the failover", func() bool { return b.Get(t.Context(), d).Entry != nil })
		if b.Get(t.Context(), domain(t, "example.com")).Entry == nil {
			t.Error("what was put before the failover is lost")
		}
		replica.listening(t, 2)
	})
}
