package doctor

import (
	"strings"
	"testing"
)

// Not parallel: the environment holds the path of the system's authorities.
func TestNoSystemAuthorities(t *testing.T) {
	t.Setenv("SSL_CERT_FILE", "/nowhere")
	t.Setenv("SSL_CERT_DIR", "/nowhere")
	b := newBed(t)
	b.Config.Fetch.CAFile = ""
	for _, f := range b.configuration() {
		if f.Check == checkAuthorities && f.Severity == Problem && strings.Contains(f.Text, "No policy can be fetched") && strings.Contains(f.Remedy, "ca-certificates") {
			return
		}
	}
	t.Errorf("no problem among %+v", b.configuration())
}
