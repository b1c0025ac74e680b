package config

import "gopkg.in/yaml.v3"

func tcpTableAt(t *TCPTable) field {
	return tcpTable{section{
		{"address", "", address.at(&t.Address)},
		{"map", "", optional(mapName).at(&t.Map)},
	}, address.at(&t.Address), t}
}

// tcpTable is a listener's address alone, or a section with it.
type tcpTable struct {
	section
	address field
	place   *TCPTable
}

func (t tcpTable) decode(r *report, key string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		t.address.decode(r, key, n)
		return
	}
	before := len(r.errs)
	t.section.decode(r, key, n)
	if len(r.errs) == before && t.place.Address.IsZero() {
		r.fail(n.Line, key, "a listener without address")
	}
}

func (t tcpTable) values() string {
	return t.address.values() + ", or {address: ADDRESS, map: MAP}"
}
