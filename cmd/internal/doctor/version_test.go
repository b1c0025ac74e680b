package doctor

import "testing"

func TestVersion(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text   string
		want   version
		before bool
	}{
		{"2.11.3", version{2, 11}, true},
		{"3.9.4", version{3, 9}, true},
		{"3.10.0", version{3, 10}, false},
		{"3.10-20240101", version{3, 10}, false},
		{"4.0", version{4, 0}, false},
	} {
		got, ok := parseVersion(tt.text)
		if !ok || got != tt.want || got.before(reportingSince) != tt.before {
			t.Errorf("%s: got %v, %v", tt.text, got, ok)
		}
	}
	for _, text := range []string{"", "3", "3.x", "x.3"} {
		if got, ok := parseVersion(text); ok {
			t.Errorf("%q is version %v", text, got)
		}
	}
}
