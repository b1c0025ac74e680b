package mtasts_test

import (
	"testing"

	"mta-sts-daemon/resolver/mtasts"
)

// Every lookup parses its key; a name that is canonical already, as Postfix
// sends nearly all, makes no garbage.
func TestParseDomainAllocations(t *testing.T) {
	for name, limit := range map[string]float64{
		"mail.example.com":          0,
		"mail.example.com.":         0, // a shorter part of the same string
		"mx.xn--bcher-kva.example":  0,
		"a-long.name.4.example.com": 0,
		"Mail.Example.com":          1, // its lower-case copy
	} {
		var err error
		got := testing.AllocsPerRun(100, func() { _, err = mtasts.ParseDomain(name) })
		if err != nil || got > limit {
			t.Errorf("ParseDomain(%q) allocates %v times, error %v; want at most %v", name, got, err, limit)
		}
	}
}

func BenchmarkParseDomain(b *testing.B) {
	for _, bm := range []struct{ name, in string }{
		{"canonical", "mail.example.com"},
		{"upper-case", "Mail.Example.COM"},
		{"u-label", "mail.bücher.example"},
		{"address", "192.0.2.1"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = mtasts.ParseDomain(bm.in)
			}
		})
	}
}

func BenchmarkParseRecord(b *testing.B) {
	txts := []string{"v=spf1 -all", "v=STSv1; id=20160831085700Z;"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := mtasts.ParseRecord(txts); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParsePolicy(b *testing.B) {
	text := readFile(b, "testdata/policies/rfc-example.txt")
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := mtasts.ParsePolicy(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPolicyMatches(b *testing.B) {
	p, err := mtasts.ParsePolicy(readFile(b, "testdata/policies/rfc-example.txt"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !p.Matches("backupmx.example.com") {
			b.Fatal("no match")
		}
	}
}
