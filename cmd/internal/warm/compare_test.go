package warm

import "testing"

func TestSameToPostfix(t *testing.T) {
	t.Parallel()
	const a = "OK secure match=a.test:.b.test servername=hostname"
	for _, same := range []string{
		a,
		"OK secure match=.B.test:a.test servername=hostname",
		"OK secure servername=hostname match=.b.test:a.test:a.test",
		a + " policy_type=sts policy_domain=x.test mx_host_pattern=a.test { policy_string = version: STSv1 }",
		a + " policy_ttl=5 policy_type=sts",
		a + " { policy_string = mode: enforce }",
	} {
		if !sameToPostfix(a, same) || !sameToPostfix(same, a) {
			t.Errorf("%q differs", same)
		}
	}
	for _, other := range []string{
		"NOTFOUND ", "TEMP x", "OK", "OK ", "OK dane-only", "OK secure", "OK secure match=a.test servername=hostname",
		"OK secure match=a.test:.b.test", "OK verify match=a.test:.b.test servername=hostname", "OK policy_type=sts",
	} {
		if sameToPostfix(a, other) || sameToPostfix(other, a) {
			t.Errorf("%q is the same", other)
		}
	}
	if !sameToPostfix("TEMP one", "TEMP two") || !sameToPostfix("NOTFOUND ", "NOTFOUND not here") {
		t.Error("reasons count")
	}
}
