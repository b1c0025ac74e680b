package doctor

import (
	"net"
	"strings"

	"mta-sts-daemon/config"
)

// Types of lookup tables that ask a server.
const (
	typeSocketmap = "socketmap"
	typeTCP       = "tcp"
	typeStatic    = "static"
)

// table is one lookup table of smtp_tls_policy_maps.
type table struct {
	text    string // as main.cf has it
	proxied bool   // the proxymap service looks it up
	kind    string // type of table: socketmap, hash
	name    string // what follows the type; a socketmap's own name
	// server is whom a socketmap or tcp table asks. The path of a unix socket
	// may be relative.
	server    config.Address
	malformed bool
}

// asks reports whether t asks a server in one of the daemon's protocols.
func (t table) asks() bool { return t.kind == typeSocketmap || t.kind == typeTCP }

// parseTables reads a list of tables, which blanks and commas outside braces
// separate.
func parseTables(value string) (tables []table) {
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

func parseTable(text string) table {
	t := table{text: text}
	rest := text
	for {
		kind, name, ok := strings.Cut(rest, ":")
		if !ok {
			t.malformed = true
			return t
		}
		if kind != "proxy" {
			t.kind, t.name = kind, name
			break
		}
		t.proxied, rest = true, name
	}
	switch t.kind {
	case typeSocketmap:
		t.parseSocketmap()
	case typeTCP:
		t.server = config.Address{Network: config.TCP, Address: t.name}
		t.malformed = !isHostPort(t.name)
	}
	return t
}

// parseSocketmap reads inet:HOST:PORT:NAME and unix:PATH:NAME, socketmap_table(5).
func (t *table) parseSocketmap() {
	at := strings.LastIndexByte(t.name, ':')
	if at < 0 {
		t.malformed = true
		return
	}
	network, address, _ := strings.Cut(t.name[:at], ":")
	t.name = t.name[at+1:]
	switch network {
	case "unix":
		t.server = config.Address{Network: config.Unix, Address: address}
		t.malformed = address == ""
	case "inet":
		t.server = config.Address{Network: config.TCP, Address: address}
		t.malformed = !isHostPort(address)
	default:
		t.malformed = true
	}
	t.malformed = t.malformed || t.name == ""
}

func isHostPort(address string) bool {
	host, port, err := net.SplitHostPort(address)
	return err == nil && host != "" && port != ""
}

// fileOf returns the file that a table of this type and name is read from, or ""
// where it is none.
func (t table) fileOf() string {
	switch t.kind {
	case "hash", "btree":
		return t.name + ".db"
	case "lmdb":
		return t.name + ".lmdb"
	case "cdb":
		return t.name + ".cdb"
	case "texthash", "regexp", "pcre", "cidr":
		return t.name
	}
	return ""
}
