package resolvertest

import (
	"net"
	"testing"
)

// KnowsLocalhost reports whether this host can look up localhost, which it cannot without
// /etc/hosts. If not, it logs that the test leaves that out.
func KnowsLocalhost(t *testing.T) bool {
	t.Helper()
	_, err := net.DefaultResolver.LookupHost(t.Context(), "localhost")
	if err != nil {
		t.Logf("left out, the name localhost: %v", err)
	}
	return err == nil
}
