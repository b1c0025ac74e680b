package mtasts_test

import (
	"errors"
	"strings"
	"testing"
	"unsafe"

	"mta-sts-daemon/resolver/mtasts"
)

func TestParseRecord(t *testing.T) {
	t.Parallel()
	good := func(in, id string) {
		t.Helper()
		got, err := mtasts.ParseRecord([]string{in})
		if err != nil || got.ID != id {
			t.Errorf("ParseRecord(%+q) = %+q, %v; want id %q", in, got.ID, err, id)
		}
	}
	bad := func(in, why string) {
		t.Helper()
		got, err := mtasts.ParseRecord([]string{in})
		if err == nil {
			t.Errorf("ParseRecord(%+q) = %+q, want an error", in, got.ID)
			return
		}
		checkSyntaxError(t, err, "record", 0)
		if want := "record invalid: " + why; err.Error() != want {
			t.Errorf("ParseRecord(%+q): %v; want %s", in, err, want)
		}
	}
	none := func(in string) {
		t.Helper()
		if got, err := mtasts.ParseRecord([]string{in}); !errors.Is(err, mtasts.ErrNoRecord) {
			t.Errorf("ParseRecord(%+q) = %+q, %v; want ErrNoRecord", in, got.ID, err)
		}
	}
	id32 := strings.Repeat("aZ09", 8)
	name32 := strings.Repeat("n-_.", 8)

	good("v=STSv1; id=20160831085700Z;", "20160831085700Z")
	good("v=STSv1; id=20160831085700Z", "20160831085700Z")
	good("v=STSv1;id=1", "1")
	good("v=STSv1;id=1;", "1")
	good("v=STSv1;id="+id32, id32)

	// The delimiter is *WSP ";" *WSP.
	good("v=STSv1 ; id=1 ; ", "1")
	good("v=STSv1\t;\tid=1\t;\t", "1")
	good("v=STSv1 \t \t; \t id=1;  \t", "1")
	good("v=STSv1;id=1;a=b", "1")

	// Unknown keys, before and after.
	good("v=STSv1; a=b; id=1", "1")
	good("v=STSv1; id=1; a=b;", "1")
	good("v=STSv1; id=1; 0=!\"#$%&'()*+,-./:<>?@[]^_`{|}~\\", "1")
	good("v=STSv1; id=1; "+name32+"=x", "1")
	good("v=STSv1; ID=2; id=1", "1")
	good("v=STSv1; id=1; Id=2", "1")
	good("v=STSv1; id=1; v=STSv2", "1")
	good("v=STSv1; id=1; a="+strings.Repeat("x", 4000), "1")

	// The first of a duplicate counts, whatever the others are.
	good("v=STSv1; id=1; id=2", "1")
	good("v=STSv1; id=1; id=not-an-id", "1")
	good("v=STSv1; id=1; a=b; a=c", "1")

	none("")
	none("v=STSv1")
	none("v=STSv1 ")
	none("v=STSv1 id=1;")
	none("v=STSv1, id=1;")
	none("v=STSv10; id=1;")
	none("v=STSv2; id=1;")
	none("V=STSv1; id=1;")
	none("v=stsv1; id=1;")
	none("v=STSV1; id=1;")
	none("v =STSv1; id=1;")
	none("v= STSv1; id=1;")
	none(" v=STSv1; id=1;")
	none("\"v=STSv1; id=1;\"")
	none("id=1; v=STSv1;")
	none("v=STSv1\n; id=1;") // WSP does not include line ends
	none("v=STSv1\u00a0; id=1;")
	none("v=spf1 -all")
	none("v=TLSRPTv1; rua=mailto:tls@example.com")

	bad("v=STSv1;", "it has no id")
	bad("v=STSv1; ", "it has no id")
	bad("v=STSv1 ;", "it has no id")
	bad("v=STSv1; a=b", "it has no id")
	bad("v=STSv1; ID=1", "it has no id")
	bad("v=STSv1; xid=1", "it has no id")

	const notID = " is not 1 to 32 letters and digits"
	bad("v=STSv1; id="+id32+"0", `id "`+id32+`0"`+notID)
	bad("v=STSv1; id=2016-08-31", `id "2016-08-31"`+notID)
	bad("v=STSv1; id=2016_08", `id "2016_08"`+notID)
	bad("v=STSv1; id=20160831T08:57", `id "20160831T08:57"`+notID)
	bad(`v=STSv1; id="1"`, `id "\"1\""`+notID)
	bad("v=STSv1; id=not-an-id; id=1", `id "not-an-id"`+notID)

	bad("v=STSv1;;", "it has an empty field")
	bad("v=STSv1;;id=1", "it has an empty field")
	bad("v=STSv1; ;id=1", "it has an empty field")
	bad("v=STSv1; id=1;;", "it has an empty field")
	bad("v=STSv1; id=1; ;", "it has an empty field")
	bad("v=STSv1; id=1;;a=b", "it has an empty field")

	const notField = " is not name=value"
	bad("v=STSv1; id=", `field "id="`+notField)
	bad("v=STSv1; id", `field "id"`+notField)
	bad("v=STSv1; id =1", `field "id =1"`+notField)
	bad("v=STSv1; id= 1", `field "id= 1"`+notField)
	bad("v=STSv1; id=1 ", `field "id=1 "`+notField) // no delimiter to belong to
	bad("v=STSv1; id=1\t", `field "id=1\t"`+notField)
	bad("v=STSv1; id=1 2;", `field "id=1 2"`+notField)
	bad("v=STSv1; id=1 a=b;", `field "id=1 a=b"`+notField)
	bad("v=STSv1; id=1,a=b;", `field "id=1,a=b"`+notField)
	bad("v=STSv1; id==1;", `field "id==1"`+notField)
	bad("v=STSv1; id:1;", `field "id:1"`+notField)
	bad("v=STSv1; id=1; =b", `field "=b"`+notField)
	bad("v=STSv1; id=1; a=", `field "a="`+notField)
	bad("v=STSv1; id=1; a", `field "a"`+notField)
	bad("v=STSv1; id=1; a=b=c", `field "a=b=c"`+notField)
	bad("v=STSv1; id=1; _a=b", `field "_a=b"`+notField)
	bad("v=STSv1; id=1; -a=b", `field "-a=b"`+notField)
	bad("v=STSv1; id=1; .a=b", `field ".a=b"`+notField)
	bad("v=STSv1; id=1; a+=b", `field "a+=b"`+notField)
	bad("v=STSv1; id=1; "+name32+"n=x", `field "`+name32+`n=x"`+notField)
	bad("v=STSv1; id=1\n", `field "id=1\n"`+notField)
	bad("v=STSv1; id=1\x00;", `field "id=1\x00"`+notField)
	bad("v=STSv1; id=1; a=\x7f", `field "a=\x7f"`+notField)
	bad("v=STSv1; id=1; a=ü", `field "a=\u00fc"`+notField)
	bad("v=STSv1; id=1; ü=a", `field "\u00fc=a"`+notField)
	bad("v=STSv1; id=1; a=\xff", `field "a=\xff"`+notField)
	bad("v=STSv1; id=1\u00a0;", `field "id=1\u00a0"`+notField)
	bad("v=STSv1; "+strings.Repeat("x", 4000), `field "`+strings.Repeat("x", 64)+`"...`+notField)
}

// RFC 8461 section 3.1: of the records that begin with the version, exactly one.
// An id is kept for long; the record around it, which may have 64 KiB, is not.
func TestRecordIDIsKeptAlone(t *testing.T) {
	t.Parallel()
	txt := "v=STSv1; id=1; x=" + strings.Repeat("y", 60<<10)
	got, err := mtasts.ParseRecord([]string{txt})
	if err != nil {
		t.Fatal(err)
	}
	start := uintptr(unsafe.Pointer(unsafe.StringData(txt)))
	if at := uintptr(unsafe.Pointer(unsafe.StringData(got.ID))); start <= at && at < start+uintptr(len(txt)) {
		t.Error("the id keeps the whole record in memory")
	}
}

func TestParseRecordAmongOthers(t *testing.T) {
	t.Parallel()
	const valid = "v=STSv1; id=1;"
	tests := []struct {
		name string
		txts []string
		want string // id, or the error
	}{
		{"no TXT at all", nil, "no MTA-STS record"},
		{"others only", []string{"v=spf1 -all", "google-site-verification=x", ""}, "no MTA-STS record"},
		{"first of three", []string{valid, "v=spf1 -all", "v=STSv2; id=2;"}, "1"},
		{"last of three", []string{"", "v=spf1 -all", valid}, "1"},
		{"twice the same", []string{valid, valid}, "record invalid: there are 2 of them, RFC 8461 requires exactly one"},
		{"valid and malformed", []string{valid, "v=STSv1;"}, "record invalid: there are 2 of them, RFC 8461 requires exactly one"},
		{"valid and one with a blank", []string{"v=STSv1 ;id=2", valid}, "record invalid: there are 2 of them, RFC 8461 requires exactly one"},
		{"valid and an unfinished one", []string{"v=STSv1", valid}, "1"},
		{"malformed alone among others", []string{"x", "v=STSv1;"}, "record invalid: it has no id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			record, err := mtasts.ParseRecord(tt.txts)
			got := record.ID
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("ParseRecord(%q) = %q, want %q", tt.txts, got, tt.want)
			}
		})
	}
}

// Property: the id of an accepted record conforms to the grammar, and the record's
// canonical form parses to the same record.
func FuzzParseRecord(f *testing.F) {
	for _, seed := range []string{
		"v=STSv1; id=20160831085700Z;", "v=STSv1;id=1", "v=STSv1 ;\tid=1 ; a=b", "v=STSv1; id=1; id=2",
		"v=STSv1;;id=1", "v=STSv1; id=1;;", "v=STSv1; id=\xff", "v=STSv1", "v=STSv1; id=1 ", "v=spf1 -all",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		record, err := mtasts.ParseRecord([]string{in})
		if errors.Is(err, mtasts.ErrNoRecord) {
			if strings.HasPrefix(in, "v=STSv1;") {
				t.Errorf("ParseRecord(%+q): %v", in, err)
			}
			return
		}
		if err != nil {
			checkSyntaxError(t, err, "record", 0)
			return
		}
		if n := len(record.ID); n < 1 || n > 32 || strings.ContainsFunc(record.ID, isNotAlnum) {
			t.Errorf("ParseRecord(%+q): id %+q", in, record.ID)
		}
		canonical := "v=STSv1; id=" + record.ID + ";"
		if again, err := mtasts.ParseRecord([]string{"v=spf1 -all", canonical}); err != nil || again != record {
			t.Errorf("ParseRecord(%+q) = %v, but %q parses to %v, %v", in, record, canonical, again, err)
		}
	})
}

func isNotAlnum(r rune) bool {
	return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", r)
}
