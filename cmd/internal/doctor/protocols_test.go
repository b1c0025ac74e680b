package doctor

import "testing"

func TestOffersTLS(t *testing.T) {
	t.Parallel()
	for _, list := range []string{
		"", ">=TLSv1", ">=TLSv1.2", "!SSLv2, !SSLv3", "!SSLv2:!SSLv3:!TLSv1:!TLSv1.1", "TLSv1.2", "tlsv1.3 TLSv1", "!TLSv1.2",
		"<=TLSv1.2", ">=0x0303", ">=TLSv1.1 <=TLSv1.3",
	} {
		if usable, ok := offersTLS(list); !usable || !ok {
			t.Errorf("%q: usable %v, valid %v", list, usable, ok)
		}
	}
	for _, list := range []string{
		"!TLSv1.2 !TLSv1.3", "SSLv3", "TLSv1, TLSv1.1", "<=TLSv1.1", "TLSv1.2, !TLSv1.2", ">=TLSv1.3, !TLSv1.3", ">=0x0305", "<=0x0302",
	} {
		if usable, ok := offersTLS(list); usable || !ok {
			t.Errorf("%q: usable %v, valid %v", list, usable, ok)
		}
	}
	for _, list := range []string{"TLS1.2", "!TLSv1.4", ">=", ">=1.2", "none"} {
		if _, ok := offersTLS(list); ok {
			t.Errorf("%q is valid", list)
		}
	}
}
