package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/resolver/resolvertest"
)

// Addresses of the zoo.
const (
	zooWeb  = "127.0.3.9" // nginx, all policy hosts
	zooWeb6 = "::1"       // the same over IPv6
	zooMX   = "127.0.4."  // Postfix, all mail hosts
)

// zooConfig lets check connect to the zoo's addresses and believe its resolver.
var zooConfig = []string{
	daneAlways,
	fmt.Sprintf("fetch: {ca_file: %q, allow_networks: [127.0.0.0/8, \"::1/128\"]}", daemonCAFile),
}

// mailKind is a way in which Postfix takes mail, at an address of its own.
type mailKind struct {
	address string
	cert    func(z *zoo, hosts []string) tls.Certificate // nil: none
	more    []string                                     // settings of the smtpd
}

// The kinds of mail servers. Each has one certificate for all domains that use it.
func mailKinds() map[string]mailKind {
	leaf := func(change func(l *resolvertest.Leaf)) func(*zoo, []string) tls.Certificate {
		return func(z *zoo, hosts []string) tls.Certificate {
			l := resolvertest.Leaf{Names: hosts}
			change(&l)
			return z.ca.Certificate(l)
		}
	}
	good := leaf(func(*resolvertest.Leaf) {})
	return map[string]mailKind{
		"good":        {zooMX + "1", good, nil},
		"none":        {zooMX + "2", nil, []string{"smtpd_tls_security_level=none"}},
		"refuses TLS": {zooMX + "3", nil, []string{"smtpd_tls_cert_file=/missing.pem"}},
		"keyless":     {zooMX + "10", nil, []string{"smtpd_tls_chain_files=/missing.pem"}},
		"TLS 1.1":     {zooMX + "4", good, []string{"smtpd_tls_protocols=TLSv1.1", "smtpd_tls_ciphers=low", "tls_low_cipherlist=ALL:@SECLEVEL=0"}},
		"expired":     {zooMX + "5", leaf(func(l *resolvertest.Leaf) { l.NotAfter = time.Now().Add(-day) }), nil},
		"wrong name":  {zooMX + "6", leaf(func(l *resolvertest.Leaf) { l.Names = []string{"mail.elsewhere.example"} }), nil},
		"self-signed": {zooMX + "7", leaf(func(l *resolvertest.Leaf) { l.SelfSigned = true }), nil},
		"unknown CA": {zooMX + "8", func(z *zoo, hosts []string) tls.Certificate {
			return z.otherCA.Certificate(resolvertest.Leaf{Names: hosts})
		}, nil},
		"ends soon": {zooMX + "9", leaf(func(l *resolvertest.Leaf) { l.NotAfter = time.Now().Add(10 * day) }), nil},
		"refuses":   {zooMX + "11", nil, []string{"smtpd_delay_reject=no", "smtpd_client_restrictions=reject"}},
		"nobody":    {zooMX + "99", nil, nil}, // nothing listens there
	}
}

const day = 24 * time.Hour

// animal is a domain with one fault, or none.
type animal struct {
	name string
	// records replace those with the same owner and type of a good domain; $W is the web
	// server. "-OWNER TYPE" removes one.
	records []string
	mail    string // the kind of mail server; "": good
	policy  string // "": a good one
	nginx   string // directives for the policy's location; "": the policy is served
	web     string // the kind of the policy host's certificate; "": good
	// want are the checks that report something, each with words of the finding.
	want map[string]string
}

// zooID is the id of all records: a recent date.
var zooID = time.Now().Add(-day).UTC().Format("20060102")

func zooPolicy(domain, mode string, maxAge int, mx ...string) string {
	return strings.Replace(policy(mode, mx...), "604800", fmt.Sprint(maxAge), 1)
}

const twoWeeks = 1209600

func animals() []animal {
	fault := func(check, words string) map[string]string { return map[string]string{check: words} }
	const goodMX, goodAge = "mx: mx.$D\n", "max_age: 1209600\n"
	enforce := "version: STSv1\nmode: enforce\n" + goodMX + goodAge
	return []animal{
		{name: "good"},
		{name: "good-crlf", policy: strings.ReplaceAll(enforce, "\n", "\r\n")},
		{name: "good-testing", policy: strings.Replace(enforce, "enforce", "testing", 1)},
		{name: "good-wildcard", policy: strings.Replace(enforce, "mx: mx.", "mx: *.", 1)},
		{name: "good-ipv6", records: []string{"mta-sts.$D AAAA ::1"}},
		{name: "good-external-rua", records: []string{`_smtp._tls.$D TXT "v=TLSRPTv1; rua=mailto:a@good.example,https://mta-sts.good.example/reports"`}},
		{name: "good-dane", records: []string{"_25._tcp.mx.$D TLSA 3 1 1 $GOOD"}},
		{name: "good-dane-alone", mail: "self-signed", records: []string{"_25._tcp.mx.$D TLSA 3 1 1 $GOOD", "-_mta-sts.$D TXT", "-mta-sts.$D A"}},
		{name: "good-dane-rollover", records: []string{"_25._tcp.mx.$D TLSA 3 1 1 $BAD", "+_25._tcp.mx.$D TLSA 3 1 1 $GOOD"}},
		{name: "good-null", records: []string{"-*", "$D MX 0 ."}},

		{name: "nothing", records: []string{"-_mta-sts.$D TXT", "-mta-sts.$D A"}, want: fault("no-mta-sts", "neither an MTA-STS record nor DANE")},
		{name: "record-missing", records: []string{"-_mta-sts.$D TXT"}, want: fault("record-missing", "no record at _mta-sts.record-missing.example announces it")},
		{name: "record-twice", records: []string{`+_mta-sts.$D TXT "v=STSv1; id=2;"`}, want: fault("record-invalid", "there are 2 of them")},
		{name: "record-near", records: []string{`_mta-sts.$D TXT "v=STSv1 id=2"`}, want: fault("record-invalid", "no semicolon")},
		{name: "record-misplaced", records: []string{"-_mta-sts.$D TXT", `$D TXT "v=STSv1; id=2;"`, `+$D TXT "v=spf1 -all"`}, want: fault("record-misplaced", "at record-misplaced.example in place of _mta-sts.record-misplaced.example")},
		{name: "record-dangles", records: []string{"-_mta-sts.$D TXT", "_mta-sts.$D CNAME gone.example."}, want: fault("record-invalid", "is a CNAME of \"gone.example\", which has no TXT records")},

		{name: "web-none", records: []string{"-mta-sts.$D A"}, want: fault("policy-host-address", "it has no address")},
		{name: "web-refuses", records: []string{"mta-sts.$D A 127.0.3.99"}, want: fault("policy-fetch", "connection refused")},
		{name: "web-private", records: []string{"mta-sts.$D A 10.1.2.3"}, want: fault("policy-fetch", "it is in 10.0.0.0/8, private use")},
		{name: "web-redirect", nginx: "return 301 https://www.good.example/.well-known/mta-sts.txt;", want: fault("policy-redirect", "redirects to https://www.good.example/.well-known/mta-sts.txt (status 301)")},
		{name: "web-wall", nginx: `default_type text/html; return 403 "<html>Checking your browser</html>";`, want: fault("policy-bot-wall", "status 403 and a web page: a bot wall")},
		{name: "web-path", nginx: "return 404;", want: fault("policy-path", "there is no policy at /.well-known/mta-sts.txt (status 404); one is at /mta-sts.txt")},
		{name: "web-status", nginx: "return 500;", want: fault("policy-status", "status 500")},
		{name: "web-type", nginx: "default_type text/html;", want: fault("policy-media-type", "served as text/html")},
		{name: "web-expired", web: "expired", want: fault("policy-host-certificate", "it expired on")},
		{name: "web-name", web: "wrong name", want: fault("policy-host-certificate", "it is not for the name mta-sts.web-name.example")},
		{name: "web-self-signed", web: "self-signed", want: fault("policy-host-certificate", "no certificate authority that is known here has issued it")},
		{name: "web-ends-soon", web: "ends soon", want: fault("policy-host-certificate-ends", "its certificate ends on")},
		{name: "web-differs", records: []string{"mta-sts.$D AAAA ::1"}, want: fault("policy-differs", "it serves one policy at 127.0.3.9 and another at ::1")},
		{name: "web-ipv6", records: []string{"mta-sts.$D AAAA ::1"}, want: fault("policy-path", "status 404")},

		{name: "policy-html", policy: "<html>", want: fault("policy-invalid", "policy invalid at line 1")},
		{name: "policy-slip", policy: strings.Replace(enforce, "max_age", "max-age", 1), want: fault("policy-invalid", `key "max-age" is unknown and ignored; is max_age meant?`)},
		{name: "policy-hours", policy: strings.Replace(enforce, "1209600", "3600", 1), want: fault("max-age", "max_age is 3600 s, under a day")},
		{name: "policy-days", policy: strings.Replace(enforce, "1209600", "604800", 1), want: fault("max-age", "max_age is 604800 s, under two weeks")},
		{name: "policy-bom", policy: "\ufeff" + enforce, want: fault("policy-text", "byte order mark")},
		{name: "policy-none", policy: "version: STSv1\nmode: none\nmax_age: 86400\n", want: fault("mode-none", "senders apply no policy")},
		{name: "policy-old-testing", policy: strings.Replace(enforce, "enforce", "testing", 1), records: []string{`_mta-sts.$D TXT "v=STSv1; id=20250101T000000;"`}, want: fault("testing-long", "mode testing since 2025-01-01")},

		{name: "mx-unlisted", records: []string{"+$D MX 20 backup.$D", "backup.$D A " + zooMX + "1"}, want: fault("mx-not-in-policy", "the policy has no mx for backup.mx-unlisted.example")},
		{name: "mx-none-listed", policy: strings.Replace(enforce, "mx.$D", "mail.$D", 1), want: fault("mx-not-in-policy", "the policy has no mx for mx.mx-none-listed.example; its mx mail.mx-none-listed.example matches no MX host")},
		{name: "mx-unused", policy: enforce + "mx: old.$D\n", want: fault("pattern-unused", "no MX host matches the policy's mx old.mx-unused.example")},
		{name: "mx-nxdomain", records: []string{"-*"}, want: fault("mx-none", "the domain does not exist")},
		{name: "mx-null", records: []string{"$D MX 0 ."}, want: fault("null-mx", "accepts no mail (null MX), and has a policy")},
		{name: "mx-alias", records: []string{"-mx.$D A", "mx.$D CNAME mx.good.example."}, want: fault("mx-alias", "it is an alias (CNAME) of mx.good.example")},
		{name: "mx-no-address", records: []string{"-mx.$D A", `mx.$D TXT "x"`}, want: fault("mx-address", "it has no address")},
		{name: "mx-private", records: []string{"mx.$D A 192.168.1.1"}, want: fault("mx-address-private", "it is in 192.168.0.0/16")},
		{name: "mx-refuses", mail: "nobody", want: fault("mx-connect", "it does not accept connections on port 25: connection refused")},
		{name: "mx-refuses-us", mail: "refuses", want: fault("mx-refuses", "it does not talk to this host: 554 5.7.1 <unknown[127.0.0.1]>: Client host rejected: Access denied")},
		{name: "mx-one-of-two", records: []string{"+mx.$D A " + zooMX + "99"}, want: fault("mx-connect", "connection refused")},
		{name: "mx-no-starttls", mail: "none", want: fault("mx-no-starttls", "it does not offer STARTTLS")},
		{name: "mx-starttls-refused", mail: "refuses TLS", want: fault("mx-starttls-refused", "it offers STARTTLS and refuses it: 454 4.7.0 TLS not available due to local problem")},
		{name: "mx-handshake", mail: "keyless", want: fault("mx-handshake", "the TLS handshake fails: remote error: tls: handshake failure")},
		{name: "mx-tls11", mail: "TLS 1.1", want: fault("mx-tls-version", "it speaks nothing newer than TLS 1.1")},
		{name: "mx-expired", mail: "expired", want: fault("mx-certificate-expired", "its certificate expired on")},
		{name: "mx-wrong-name", mail: "wrong name", want: fault("mx-certificate-name", "its certificate is for mail.elsewhere.example, not for the name of the MX host")},
		{name: "mx-self-signed", mail: "self-signed", want: fault("mx-certificate-chain", "its certificate is self-signed")},
		{name: "mx-unknown-ca", mail: "unknown CA", want: fault("mx-certificate-chain", "it sends no intermediate certificate, or no known authority has issued its certificate (issuer CN=Test CA)")},
		{name: "mx-ends-soon", mail: "ends soon", want: fault("mx-certificate-ends", "its certificate ends on")},

		{name: "dane-mismatch", records: []string{"_25._tcp.mx.$D TLSA 3 1 1 $BAD"}, want: fault("tlsa-mismatch", "its certificate matches none of its TLSA records (3 1 1 ")},
		{name: "dane-unusable", records: []string{"_25._tcp.mx.$D TLSA 1 1 1 $GOOD"}, want: fault("tlsa-unusable", "none of its TLSA records can be used for mail")},
		{name: "dane-unsigned", records: []string{"-mx.$D A", "$D MX 10 mx.$U", "mx.$U A " + zooMX + "1", "_25._tcp.mx.$U TLSA 3 1 1 $GOOD"},
			policy: strings.Replace(enforce, "mx.$D", "*.dane-unsigned.unsigned.example", 1), want: fault("tlsa-unsigned", "it has TLSA records without DNSSEC")},
		{name: "dane-partial", records: []string{"_25._tcp.mx.$D TLSA 3 1 1 $GOOD", "+$D MX 20 mx2.$D", "mx2.$D A " + zooMX + "1"}, policy: strings.Replace(enforce, "mx.$D", "*.$D", 1),
			want: fault("dane-partial", "some MX hosts have TLSA records, and not mx2.dane-partial.example")},

		{name: "dane-host-bogus", records: []string{"-mx.$D A", "$D MX 10 mx.dane.bogus.example", "mx.dane.bogus.example A " + zooMX + "1"},
			policy: strings.Replace(enforce, "mx.$D", "mx.dane.bogus.example", 1), want: fault("dns-failure", "mx.dane.bogus.example: ")},
		{name: "dane-bogus", records: []string{"_25._tcp.mx.$D CNAME tlsa.bogus.example.", "tlsa.bogus.example TLSA 3 1 1 $GOOD"}, want: fault("dns-failure", "TLSA _25._tcp.mx.dane-bogus.example: ")},

		{name: "tlsrpt-none", records: []string{"-_smtp._tls.$D TXT"}, want: fault("tlsrpt-missing", "there is no TLSRPT record: nobody reports failures")},
		{name: "tlsrpt-none-testing", records: []string{"-_smtp._tls.$D TXT"}, policy: strings.Replace(enforce, "enforce", "testing", 1), want: fault("tlsrpt-missing", "nobody receives the reports that mode testing is for")},
		{name: "tlsrpt-misplaced", records: []string{"-_smtp._tls.$D TXT", `$D TXT "v=TLSRPTv1; rua=mailto:tls@good.example"`}, want: fault("tlsrpt-misplaced", "at tlsrpt-misplaced.example in place of _smtp._tls.tlsrpt-misplaced.example")},
		{name: "tlsrpt-invalid", records: []string{`_smtp._tls.$D TXT "v=TLSRPTv1; rua=tls@good.example"`}, want: fault("tlsrpt-invalid", "is neither mailto:ADDRESS nor https://HOST/")},
		{name: "tlsrpt-nowhere", records: []string{`_smtp._tls.$D TXT "v=TLSRPTv1; rua=mailto:tls@missing.example"`}, want: fault("tlsrpt-rua", "missing.example does not exist")},

		// The daemon has fetched another policy with the same id.
		{name: "memory-changed", policy: enforce, want: fault("id-unchanged", "and its id did not: mode (testing to enforce)")},

		{name: "bogus", records: []string{"-*"}, want: fault("dns-failure", "the DNS does not answer: MX bogus.bogus.example: ")},
	}
}

// zoo is a signed world with nginx and Postfix as publishers have them.
type zoo struct {
	*signedWorld
	otherCA *resolvertest.CA
	animals []animal
	web     *root // nginx's
}

func (a animal) domain() string {
	if a.name == "bogus" {
		return "bogus.bogus.example"
	}
	return a.name + ".example"
}

// expand puts the domain's names into a text.
func (z *zoo) expand(a animal, text string) string {
	label, _, _ := strings.Cut(a.domain(), ".")
	return strings.NewReplacer("$D", a.domain(), "$U", label+"."+strings.TrimSuffix(unsignedZone, "."), "$W", zooWeb,
		"$GOOD", z.keyDigest(), "$BAD", strings.Repeat("5a", 32)).Replace(text)
}

// records are those of a good domain, changed as the animal wants.
func (z *zoo) records(a animal) (lines []string) {
	address := mailKinds()[orGood(a.mail)].address
	set := map[string][]string{}
	put := func(record string, replace bool) {
		record = z.expand(a, record)
		fields := strings.SplitN(record, " ", 3)
		key := fields[0] + " " + fields[1]
		if replace {
			set[key] = nil
		}
		data := fields[2]
		if fields[1] == "MX" && !strings.HasSuffix(data, ".") {
			data += "."
		}
		set[key] = append(set[key], fmt.Sprintf("%s. 300 IN %s %s", fields[0], fields[1], data))
	}
	for _, record := range []string{
		`_mta-sts.$D TXT "v=STSv1; id=` + zooID + `;"`, "mta-sts.$D A $W", "$D MX 10 mx.$D", "mx.$D A " + address,
		`_smtp._tls.$D TXT "v=TLSRPTv1; rua=mailto:tls@good.example"`,
	} {
		put(record, true)
	}
	for _, record := range a.records {
		switch {
		case record == "-*":
			clear(set)
		case record[0] == '-':
			delete(set, z.expand(a, record[1:]))
		case record[0] == '+':
			put(record[1:], false)
		default:
			put(record, true)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(set)) {
		lines = append(lines, set[key]...)
	}
	return lines
}

func orGood(kind string) string {
	if kind == "" {
		return "good"
	}
	return kind
}

// certificateFile is a certificate and its key as a server reads them.
func certificateFile(t *testing.T, cert tls.Certificate) string {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}))
}

func newZoo(t *testing.T) *zoo {
	t.Helper()
	z := &zoo{signedWorld: newSignedWorld(t), otherCA: resolvertest.NewCA(t), animals: animals()}
	for _, a := range z.animals {
		z.signer.add(z.records(a)...)
	}
	z.open(t)
	z.startWeb(t)
	z.startMail(t)
	return z
}

// startWeb starts nginx with a server for each policy host.
func (z *zoo) startWeb(t *testing.T) {
	t.Helper()
	z.web = newRoot(t, bookworm)
	hosts := map[string][]string{} // by kind of certificate
	var servers strings.Builder
	serve := func(addr string, a animal, location string) {
		fmt.Fprintf(&servers, "server { listen %s:443 ssl; server_name mta-sts.%s; root /srv/%s; types {} default_type text/plain;\n"+
			"ssl_certificate /etc/nginx/%[4]s.pem; ssl_certificate_key /etc/nginx/%[4]s.pem;\nlocation = /.well-known/mta-sts.txt { %[5]s } }\n",
			addr, a.domain(), a.name, strings.ReplaceAll(orGood(a.web), " ", "-"), location)
	}
	for _, a := range z.animals {
		hosts[orGood(a.web)] = append(hosts[orGood(a.web)], "mta-sts."+a.domain())
		text := a.policy
		if text == "" {
			text = zooPolicy(a.domain(), "enforce", twoWeeks, "mx.$D")
		}
		text = z.expand(a, text)
		z.web.write(t, "srv/"+a.name+"/.well-known/mta-sts.txt", text)
		serve(zooWeb, a, a.nginx)
		switch a.name {
		case "web-path":
			z.web.write(t, "srv/"+a.name+"/mta-sts.txt", text)
		case "web-differs":
			serve("["+zooWeb6+"]", a, `return 200 "version: STSv1\nmode: none\nmax_age: 86400\n";`)
		case "web-ipv6":
			serve("["+zooWeb6+"]", a, "return 404;")
		case "good-ipv6":
			serve("["+zooWeb6+"]", a, a.nginx)
		}
	}
	for kind, names := range hosts {
		z.web.write(t, "etc/nginx/"+strings.ReplaceAll(kind, " ", "-")+".pem", certificateFile(t, mailKinds()[kind].cert(z, names)))
	}
	z.web.write(t, "etc/nginx/nginx.conf", "daemon off;\nuser root;\npid /tmp/nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\nserver_names_hash_bucket_size 128;\n"+servers.String()+"}\n")
	startNginxIn(t, z.web, zooWeb+":443")
}

// startNginxIn starts nginx with the configuration in a root.
func startNginxIn(t *testing.T, r *root, addr string) *process {
	t.Helper()
	r.write(t, "var/lib/nginx/.keep", "")
	r.write(t, "var/log/nginx/.keep", "")
	nginx := startProcess(t, r.command("/usr/sbin/nginx"))
	nginx.awaitListening(t, addr)
	nginx.stopLater(t)
	return nginx
}

// startMail starts one Postfix that takes mail in every kind of way.
func (z *zoo) startMail(t *testing.T) {
	t.Helper()
	p := &postfix{root: newRoot(t, bookworm)}
	p.configure(t, z.world,
		"relay_transport = discard:", "default_transport = discard:",
		"mynetworks = 127.0.0.0/8", "smtpd_peername_lookup = no",
		"smtpd_tls_security_level = may",
		"smtpd_relay_restrictions = permit_mynetworks, reject",
	)
	hosts := map[string][]string{}
	for _, a := range z.animals {
		hosts[orGood(a.mail)] = append(hosts[orGood(a.mail)], "mx."+a.domain(), "mx2."+a.domain(), "backup."+a.domain(), "mx."+strings.TrimSuffix(z.expand(a, "$U"), "."))
	}
	master := run(t, p.root.command("/bin/cat", "/etc/postfix/master.cf"))
	for kind, k := range mailKinds() {
		if kind == "nobody" {
			continue
		}
		service := fmt.Sprintf("\n%s:25 inet n - n - - smtpd", k.address)
		settings := slices.Clone(k.more)
		if k.cert != nil {
			file := "/etc/postfix/" + strings.ReplaceAll(kind, " ", "-") + ".pem"
			p.root.write(t, file, certificateFile(t, k.cert(z, hosts[kind])))
			settings = append(settings, "smtpd_tls_chain_files="+file)
		}
		for _, s := range settings {
			service += "\n  -o " + s
		}
		master += service
	}
	p.root.write(t, "etc/postfix/master.cf", master+"\n")
	p.master = startProcess(t, p.root.command("/usr/sbin/postfix", "start-fg"))
	p.master.awaitListening(t, zooMX+"1:25")
	t.Cleanup(func() {
		run(t, p.root.command("/usr/sbin/postfix", "stop"))
		p.master.awaitEnd(t)
	})
}

// checked is a report of check.
type checked struct {
	Domain   string
	Mode     string
	DNSSEC   bool
	DANE     string
	Findings []struct{ Severity, Effect, Check, Host, Text, Remedy, RFC string }
}

// publisher runs check or generate next to a daemon.
func publisher(t *testing.T, d *daemon, args ...string) (stdout string, status int) {
	t.Helper()
	cmd := d.root.command(daemonPath, append(args, "--config", daemonConfig)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	exit, _ := errors.AsType[*exec.ExitError](err)
	if err != nil && exit == nil {
		t.Fatalf("%v: %v\n%s", args, err, stderr.String())
	}
	if exit != nil {
		status = exit.ExitCode()
	}
	return string(out) + stderr.String(), status
}

// runCheck returns the reports by domain.
func runCheck(t *testing.T, d *daemon, args ...string) (reports map[string]checked, status int) {
	t.Helper()
	out, status := publisher(t, d, append([]string{"check", "--json"}, args...)...)
	var list []checked
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("check %v, exit status %d: %v\n%s", args, status, err, out)
	}
	reports = map[string]checked{}
	for _, r := range list {
		reports[r.Domain] = r
	}
	return reports, status
}

// TestZoo has check look at domains with one fault each, all at once: it names each fault
// exactly once and in the right words, and finds nothing at the good ones.
func TestZoo(t *testing.T) {
	z := newZoo(t)
	d := startDaemon(t, z.world, zooConfig...)
	d.stopLater(t)
	var domains []string
	for _, a := range z.animals {
		domains = append(domains, a.domain())
		if a.name == "memory-changed" {
			z.remember(t, d, a, strings.Replace(a.policy, "enforce", "testing", 1))
		}
	}
	reports, status := runCheck(t, d, domains...)
	if status != 2 {
		t.Errorf("exit status %d, want 2", status)
	}
	t.Run("port 25", func(t *testing.T) { z.port25(t, d) })
	t.Run("text", func(t *testing.T) { z.text(t, d) })
	for _, a := range z.animals {
		t.Run(a.name, func(t *testing.T) {
			r := reports[a.domain()]
			var found []string
			for _, f := range r.Findings {
				found = append(found, f.Check)
				if words, ok := a.want[f.Check]; ok && !strings.Contains(f.Text, words) {
					t.Errorf("%s says %q, want %q in it", f.Check, f.Text, words)
				}
				if f.Remedy == "" || !strings.HasPrefix(f.RFC, "RFC ") {
					t.Errorf("%s has no remedy or section: %+v", f.Check, f)
				}
			}
			if diff := cmp.Diff(slices.Sorted(maps.Keys(a.want)), found); diff != "" {
				t.Errorf("-want +got\n%s%+v", diff, r)
			}
		})
	}
}

// remember has the daemon fetch another policy of an animal than check will see.
func (z *zoo) remember(t *testing.T, d *daemon, a animal, text string) {
	t.Helper()
	file := "srv/" + a.name + "/.well-known/mta-sts.txt"
	now := run(t, z.web.command("/bin/cat", "/"+file))
	z.web.write(t, file, z.expand(a, text))
	query(t, d, a.domain()) // which asks the daemon too
	z.web.write(t, file, now)
}

// port25: if no mail host answers, check says so in place of "unreachable", unless
// it has a reference that answers.
func (z *zoo) port25(t *testing.T, d *daemon) {
	for _, test := range []struct {
		reference, check, words string
		status                  int
	}{
		{"", "port-25", "they are unreachable, or port 25 is blocked here", 3},
		{"mx.mx-refuses.example", "port-25", "port 25 is blocked here: mx.mx-refuses.example does not answer either", 3},
		{"mx.good.example", "mx-connect", "it does not accept connections on port 25", 2},
	} {
		args := []string{"mx-refuses.example"}
		if test.reference != "" {
			args = append(args, "--reference", test.reference)
		}
		reports, status := runCheck(t, d, args...)
		found := reports[args[0]].Findings
		if status != test.status || len(found) != 1 || found[0].Check != test.check || !strings.Contains(found[0].Text, test.words) {
			t.Errorf("reference %q: exit status %d, %+v", test.reference, status, found)
		}
	}
}

// text checks the output for a person and for cron.
func (z *zoo) text(t *testing.T, d *daemon) {
	for _, test := range []struct {
		args   string
		status int
		want   string // the beginning
	}{
		{"good.example", 0, "good.example: nothing found\n"},
		{"--quiet good.example", 0, ""},
		{"--quiet policy-none.example", 0, ""},
		{"policy-none.example", 0, "policy-none.example: note: mode none: senders apply no policy. Keep record"},
		{"-q good.example policy-days.example", 1, "policy-days.example: advice: max_age is 604800 s, under two weeks"},
		{"mx-expired.example", 2, "mx-expired.example: fault, stops mail: mx.mx-expired.example: its certificate expired on "},
	} {
		out, status := publisher(t, d, append([]string{"check"}, strings.Fields(test.args)...)...)
		if status != test.status || !strings.HasPrefix(out, test.want) || test.want == "" && out != "" {
			t.Errorf("check %s: exit status %d, want %d and %q:\n%s", test.args, status, test.status, test.want, out)
		}
	}
}
