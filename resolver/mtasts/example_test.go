package mtasts_test

import (
	"errors"
	"fmt"

	"mta-sts-daemon/resolver/mtasts"
)

func ExampleParseDomain() {
	for _, s := range []string{"Example.COM.", "bücher.example", "192.0.2.1"} {
		d, err := mtasts.ParseDomain(s)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(d, d.RecordName(), d.PolicyHost())
	}
	// Output:
	// example.com _mta-sts.example.com mta-sts.example.com
	// xn--bcher-kva.example _mta-sts.xn--bcher-kva.example mta-sts.xn--bcher-kva.example
	// domain invalid: "192.0.2.1" is an IP address or ends like one
}

func ExampleParseRecord() {
	record, err := mtasts.ParseRecord([]string{"v=spf1 -all", "v=STSv1; id=20261128T120000;"})
	fmt.Println(record.ID, err)

	_, err = mtasts.ParseRecord([]string{"v=spf1 -all"})
	fmt.Println(errors.Is(err, mtasts.ErrNoRecord))
	// Output:
	// 20261128T120000 <nil>
	// true
}

func ExamplePolicy_Matches() {
	policy, err := mtasts.ParsePolicy("version: STSv1\r\n" +
		"mode: enforce\r\n" +
		"mx: mx1.example.com\r\n" +
		"mx: *.backup.example.net\r\n" +
		"max_age: 604800\r\n")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(policy.Mode, policy.MaxAge)
	for _, host := range []string{"MX1.example.com.", "mx.backup.example.net", "a.b.backup.example.net"} {
		fmt.Println(host, policy.Matches(host))
	}
	// Output:
	// enforce 168h0m0s
	// MX1.example.com. true
	// mx.backup.example.net true
	// a.b.backup.example.net false
}
