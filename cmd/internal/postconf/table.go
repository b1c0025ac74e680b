package postconf

import (
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"mta-sts-daemon/config"
)

// Types of lookup tables: two that ask a server, and one that answers every key.
const (
	TypeSocketmap = "socketmap"
	TypeTCP       = "tcp"
	TypeStatic    = "static"
)

// Table is one lookup table of a parameter such as smtp_tls_policy_maps.
type Table struct {
	Text    string // as main.cf has it
	Direct  string // Text without "proxy:"
	Proxied bool   // the proxymap service looks it up
	Kind    string // type of table: socketmap, hash
	Name    string // what follows the type; a socketmap's own name
	// Server is the one that a socketmap or tcp table asks. The path of a unix
	// socket may be relative.
	Server config.Address
	// Malformed is set if Postfix refuses the table.
	Malformed bool
}

// Asks reports whether t asks a server in one of the daemon's protocols.
func (t Table) Asks() bool { return t.Kind == TypeSocketmap || t.Kind == TypeTCP }

// ParseTables reads a list of tables, which blanks and commas outside braces
// separate.
func ParseTables(value string) (tables []Table) {
	depth := 0
	separates := func(r rune) bool {
		switch r {
		case '{':
			depth++
		case '}':
			depth--
		}
		return depth <= 0 && (r == ' ' || r == '\t' || r == ',')
	}
	for _, text := range strings.FieldsFunc(value, separates) {
		tables = append(tables, parseTable(text))
	}
	return tables
}

func parseTable(text string) Table {
	t := Table{Text: text}
	rest := text
	for {
		kind, name, ok := strings.Cut(rest, ":")
		if !ok {
			t.Malformed = true
			return t
		}
		if kind != "proxy" {
			t.Kind, t.Name, t.Direct = kind, name, rest
			break
		}
		t.Proxied, rest = true, name
	}
	switch t.Kind {
	case TypeSocketmap:
		t.parseSocketmap()
	case TypeTCP:
		t.Server = config.Address{Network: config.TCP, Address: t.Name}
		t.Malformed = !isHostPort(t.Name)
	}
	return t
}

// parseSocketmap reads inet:HOST:PORT:NAME and unix:PATH:NAME, socketmap_table(5).
func (t *Table) parseSocketmap() {
	at := strings.LastIndexByte(t.Name, ':')
	if at < 0 {
		t.Malformed = true
		return
	}
	network, address, _ := strings.Cut(t.Name[:at], ":")
	t.Name = t.Name[at+1:]
	switch network {
	case "unix":
		t.Server = config.Address{Network: config.Unix, Address: address}
		t.Malformed = address == ""
	case "inet":
		t.Server = config.Address{Network: config.TCP, Address: address}
		t.Malformed = !isHostPort(address)
	default:
		t.Malformed = true
	}
	t.Malformed = t.Malformed || t.Name == ""
}

func isHostPort(address string) bool {
	host, port, err := net.SplitHostPort(address)
	return err == nil && host != "" && port != ""
}

// File returns the file from which a table of this type and name is read; "" if
// it is not read from a file. redirected has the types that Postfix replaces by
// others.
func (t Table) File(redirected map[string]string) string {
	kind := t.Kind
	if other, ok := redirected[kind]; ok {
		kind = other
	}
	switch kind {
	case "hash", "btree":
		return t.Name + ".db"
	case "lmdb":
		return t.Name + ".lmdb"
	case "cdb":
		return t.Name + ".cdb"
	case "texthash", "regexp", "pcre", "cidr":
		if !strings.HasPrefix(t.Name, "{") { // its contents are in its name: Postfix 3.7 and later
			return t.Name
		}
	}
	return ""
}

// leadsTo reports whether a client of t reaches a listener at one of addrs. A relative
// path of a unix socket, and any path if the client runs in a chroot, is below
// queueDirectory.
func (t Table) leadsTo(addrs []config.Address, queueDirectory string) bool {
	below := t.Server
	if below.Network == config.Unix {
		below.Address = filepath.Join(queueDirectory, below.Address)
	}
	return !t.Malformed && slices.ContainsFunc(addrs, func(a config.Address) bool {
		return SameAddress(a, t.Server) || SameAddress(a, below)
	})
}

// SameAddress reports whether a client of the address asked reaches a listener at
// listens.
func SameAddress(listens, asked config.Address) bool {
	if listens.Network != asked.Network {
		return false
	}
	if listens.Network == config.Unix {
		return listens.Address == asked.Address
	}
	host, port, err := net.SplitHostPort(listens.Address)
	askedHost, askedPort, askedErr := net.SplitHostPort(asked.Address)
	if err != nil || askedErr != nil || port != askedPort {
		return false
	}
	ip, _ := netip.ParseAddr(host)
	return host == "" || ip.IsUnspecified() || host == askedHost || isLoopback(host) && isLoopback(askedHost)
}

// isLoopback reports whether host is a usual name of this host. 127.0.0.2 is not:
// a listener at 127.0.0.1 cannot be reached there.
func isLoopback(host string) bool {
	return host == "127.0.0.1" || host == "::1" || strings.EqualFold(host, Localhost)
}

// Localhost is the name of this host that every hosts file should have.
const Localhost = "localhost"
