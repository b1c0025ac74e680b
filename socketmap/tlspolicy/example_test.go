package tlspolicy_test

import (
	"fmt"
	"log"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/socketmap"
	"mta-sts-daemon/socketmap/tlspolicy"
)

func ExampleParseKey() {
	for _, key := range []string{"Example.com", "[mx.example.com]:587", ".example.com", "192.0.2.1"} {
		hop, ok := tlspolicy.ParseKey(key)
		if !ok {
			fmt.Println(key, "cannot have a policy")
			continue
		}
		fmt.Println(key, "domain:", hop.Domain, "MX:", hop.MX, "port:", hop.Port)
	}
	// Output:
	// Example.com domain: example.com MX: true port: 25
	// [mx.example.com]:587 domain: mx.example.com MX: false port: 587
	// .example.com cannot have a policy
	// 192.0.2.1 cannot have a policy
}

func ExampleProfile_ReplyText() {
	policy, err := mtasts.ParsePolicy("version: STSv1\nmode: enforce\nmx: *.example.com\nmax_age: 604800\n")
	if err != nil {
		log.Fatal(err)
	}
	hop, _ := tlspolicy.ParseKey("example.com")
	answer := resolver.Answer{Policy: &policy}

	enforce := tlspolicy.Profile{}
	reply, _ := enforce.ReplyText(socketmap.MapName{Name: "postfix"}, hop, answer, nil)
	fmt.Println(reply)

	monitor := tlspolicy.Profile{Monitor: true}
	reply, withheld := monitor.ReplyText(socketmap.MapName{Name: "postfix"}, hop, answer, nil)
	fmt.Println(reply, "instead of", withheld)
	// Output:
	// OK secure match=.example.com servername=hostname
	// NOTFOUND instead of OK secure match=.example.com servername=hostname
}
