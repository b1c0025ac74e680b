// Package peers reads which other daemons are to run beside ours, to be measured
// or to be seen under the same faults.
package peers

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"gopkg.in/yaml.v3"
)

// Server is a program that answers lookups. In its texts {dir} stands for a
// directory of its own. It finds a resolver at 127.0.0.1:53, in /etc/resolv.conf
// too, and the authority of the policy hosts in the file that SSL_CERT_FILE names.
type Server struct {
	Name    string            `yaml:"name"`
	Command []string          `yaml:"command"`
	Env     []string          `yaml:"env"`   // NAME=VALUE, beside what there is
	Files   map[string]string `yaml:"files"` // in {dir}
	// Its addresses, one for each protocol that it speaks.
	TCP      string `yaml:"tcp"`
	Unix     string `yaml:"unix"`
	TCPTable string `yaml:"tcp_table"`
	Map      string `yaml:"map"` // the socketmap's name
}

// Read reads a YAML list of servers.
func Read(path string) (servers []Server, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&servers); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, s := range servers {
		if s.Name == "" || len(s.Command) == 0 {
			return nil, fmt.Errorf("%s: each server needs a name and a command", path)
		}
	}
	return servers, nil
}

// In returns s with its directory filled in.
func (s Server) In(dir string) Server {
	r := strings.NewReplacer("{dir}", dir)
	all := func(texts []string) (filled []string) {
		for _, text := range texts {
			filled = append(filled, r.Replace(text))
		}
		return filled
	}
	files := make(map[string]string, len(s.Files))
	for name, text := range s.Files {
		files[name] = r.Replace(text)
	}
	s.Command, s.Env, s.Files = all(s.Command), all(s.Env), files
	s.TCP, s.Unix, s.TCPTable = r.Replace(s.TCP), r.Replace(s.Unix), r.Replace(s.TCPTable)
	return s
}
