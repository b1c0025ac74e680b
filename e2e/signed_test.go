package e2e

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"mta-sts-daemon/resolver/resolvertest"
)

// signedWorld is a world whose DNS is signed from the root down, in which the
// zone test is an unsigned delegation.
type signedWorld struct {
	*world
	signer  *signer
	domains int
}

// newSignedWorld begins a world. Domains are added, then it is opened.
func newSignedWorld(t *testing.T) *signedWorld {
	t.Helper()
	return &signedWorld{world: newBareWorld(t), signer: newSigner()}
}

// open starts the DNS and returns the settings of its validating resolver, for
// more of the kind.
func (s *signedWorld) open(t *testing.T) (unboundConf string) {
	t.Helper()
	conf := s.signer.start(t)
	startUnboundAt(t, bookworm, resolverAddr, conf).stopLater(t)
	return conf
}

// mailDomain is a domain and up to two servers that take its mail.
type mailDomain struct {
	name      string // without the last dot
	servers   [2]string
	addresses [2]string
}

// addDomain puts a domain into the DNS. Each record is "OWNER TYPE DATA", where
//
//	$D    is the domain
//	$U    a name of its own in the zone unsigned.example
//	$B    a name of its own in the zone bogus.example
//	$1 $2 are the addresses of its mail servers
//	$GOOD is the digest of the key that all mail servers have
//	$BAD  that of another key
func (s *signedWorld) addDomain(name string, records ...string) mailDomain {
	s.domains++
	label, _, _ := strings.Cut(name, ".")
	d := mailDomain{
		name: name,
		addresses: [2]string{
			fmt.Sprintf("127.0.1.%d", s.domains),
			fmt.Sprintf("127.0.2.%d", s.domains),
		},
	}
	expand := strings.NewReplacer(
		"$GOOD", s.keyDigest(),
		"$BAD", fmt.Sprintf("%x", sha256.Sum256(nil)),
		"$D", name+".",
		"$U", label+"."+unsignedZone,
		"$B", label+"."+bogusZone,
		"$1", d.addresses[0],
		"$2", d.addresses[1],
	)
	for _, record := range records {
		owner, rest, _ := strings.Cut(expand.Replace(record), " ")
		s.signer.add(owner + " 300 IN " + rest)
		for i, address := range d.addresses {
			if rest == "A "+address {
				d.servers[i] = strings.TrimSuffix(owner, ".")
			}
		}
	}
	return d
}

// policy is a policy of the domain that names its mail servers.
func (d mailDomain) policy(mode string) resolvertest.Behaviour {
	var hosts []string
	for _, host := range d.servers {
		if host != "" {
			hosts = append(hosts, host)
		}
	}
	return resolvertest.HostPolicy(policy(mode, hosts...))
}

// publishSigned makes domain publish MTA-STS in the signed DNS.
func (s *signedWorld) publishSigned(domain string, b resolvertest.Behaviour) {
	s.signer.add(
		fmt.Sprintf(`_mta-sts.%s. 300 IN TXT "v=STSv1; id=20260101;"`, domain),
		fmt.Sprintf("mta-sts.%s. 300 IN A 127.0.0.1", domain),
	)
	s.hosts.Handle(domain, b)
}

// keyDigest is the data of a TLSA record "x 1 1" that every mail server of the
// tests matches: they all have one key.
func (s *signedWorld) keyDigest() string {
	cert := s.ca.Certificate(resolvertest.Leaf{Names: []string{"mx.example"}})
	return fmt.Sprintf("%x", sha256.Sum256(cert.Leaf.RawSubjectPublicKeyInfo))
}

// Two mail servers, of which a test knows by DANE or by its certificate
// authority which is the right one.
const (
	matching certificate = selfSigned      // where TLSA has $GOOD: DANE vouches for it, no authority does
	public   certificate = goodCertificate // where TLSA has $BAD: DANE denies it, an authority vouches for it
)

// startServers starts the domain's mail servers, the first with cert, the second
// with a public certificate. alias is the name that Postfix has to ask them for
// if it is not their own.
func (s *signedWorld) startServers(t *testing.T, d mailDomain, cert certificate, alias string) (servers [2]*sink) {
	t.Helper()
	for i, host := range d.servers {
		if host == "" {
			continue
		}
		if i > 0 {
			cert = public
		}
		servers[i] = startSink(t, s.ca, d.addresses[i]+":25", host, cert)
	}
	if alias != "" {
		servers[0].askedAs = alias
	}
	return servers
}
