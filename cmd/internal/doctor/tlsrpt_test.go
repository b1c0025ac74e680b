package doctor

import (
	"net"
	"path/filepath"
	"testing"
)

// collect opens the socket of a collector in the bed's queue directory.
func collect(t *testing.T, b *bed, name string) string {
	t.Helper()
	path := filepath.Join(b.dir, "queue", name)
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return path
}

func TestTLSRPT(t *testing.T) {
	t.Parallel()
	const name = "tlsrpt"
	// reports sets tlsrpt.socket and main.cf.
	reports := func(socket string, pairs ...string) func(*testing.T, *bed) {
		return func(t *testing.T, b *bed) {
			b.Config.TLSRPT.Socket = socket
			collect(t, b, name)
			set(pairs...)(t, b)
		}
	}
	examineAll(t, []sick{
		{"one socket", reports(name, tlsrptEnable, "yes", tlsrptSocket, name),
			checkTLSRPT, OK, "Postfix and the daemon report to the TLSRPT collector at ", nil},
		{"absolute path", func(t *testing.T, b *bed) {
			b.Config.TLSRPT.Socket = collect(t, b, name)
			set(tlsrptEnable, "yes", tlsrptSocket, name)(t, b)
		}, checkTLSRPT, OK, "Postfix and the daemon report to the TLSRPT collector at ", nil},
		{"Postfix before 3.10", reports(name), checkTLSRPT, OK, "this Postfix cannot report TLS sessions", nil},
		{"Postfix does not report", reports(name, tlsrptEnable, "no", tlsrptSocket, name),
			checkTLSRPT, Hint, "Postfix does not report its TLS sessions", nil},
		{"no socket", reports("", tlsrptEnable, "yes", tlsrptSocket, ""),
			checkTLSRPT, Hint, "smtp_tlsrpt_socket_name is empty: Postfix reports no TLS sessions", nil},
		{"Postfix's socket is dead", reports("", tlsrptEnable, "yes", tlsrptSocket, "other"),
			checkTLSRPT, Hint, "No TLSRPT collector reads at ", nil},
		{"the daemon does not report", reports("", tlsrptEnable, "yes", tlsrptSocket, name),
			checkTLSRPT, Hint, "the daemon does not report policies that cannot be fetched", nil},
		{"two sockets", reports(name, tlsrptEnable, "yes", tlsrptSocket, "other"),
			checkTLSRPT, Hint, "domains get two reports", nil},
		{"a chroot", func(t *testing.T, b *bed) {
			path := collect(t, b, name)
			b.Config.TLSRPT.Socket = path
			set(tlsrptEnable, "yes", tlsrptSocket, path)(t, b) // Postfix looks for it below the queue directory
		}, checkTLSRPT, Hint, "domains get two reports", nil},
		{"no collector", reports("missing", tlsrptEnable, "yes", tlsrptSocket, "missing"),
			checkTLSRPT, Hint, "no such file", nil},
		{"nobody reads", func(t *testing.T, b *bed) {
			b.write(t, "queue/file", "")
			b.Config.TLSRPT.Socket = "file"
		}, checkTLSRPT, Hint, "connection refused", nil},
	})
}
