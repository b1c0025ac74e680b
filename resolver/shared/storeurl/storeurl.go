// Package storeurl reads the URL of a shared store. The configuration checks it without a
// client for such a store.
package storeurl

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Servers has the addresses of the shared store and how to log in there. Parse makes it.
type Servers struct {
	scheme   string // of the URL
	kind     kind
	TLS      bool
	Addrs    []string // host:port
	Master   string   // its name among the sentinels, if the servers are sentinels
	DB       int
	User     string
	Password string
}

// kind is how the servers work together, as the suffix of a URL's scheme.
type kind string

const (
	oneServer kind = ""
	sentinels kind = "+sentinel" // they know which server is the master now
	cluster   kind = "+cluster"  // masters that have a part of the keys each
)

// Cluster reports whether the servers are a cluster: masters that have a part of the keys each.
func (s Servers) Cluster() bool { return s.kind == cluster }

const (
	serverPort   = "6379"
	sentinelPort = "26379"

	// The parameters of a URL.
	paramAddr   = "addr"   // one more host:port, any number of times
	paramMaster = "master" // needed with sentinels
)

// Faults of a URL. Nothing of the URL is repeated: any part may be a misplaced
// password.
var (
	errURL      = errors.New("it is not a URL: redis://user:password@host:6379, with %XX for the special characters of a password")
	errScheme   = errors.New("it begins with none of redis://, rediss://, redis+sentinel://, rediss+sentinel://, redis+cluster://, rediss+cluster://")
	errAddress  = errors.New("an address is not host or host:port")
	errDatabase = errors.New("its path is not the number of a database, such as /0, or the servers are a cluster, which has but one")
	errParam    = errors.New("after ? it has more than addr=host:port (of sentinels and clusters) and one master=name (of sentinels)")
	errMaster   = errors.New("sentinels need ?master= and the name under which they know the master")
)

// Parse reads the URL of a shared store:
//
//	redis://[[user]:password@]host[:port][/database]
//	redis+sentinel://…?master=name[&addr=host:port…]
//	redis+cluster://…[?addr=host:port…]
//
// With rediss in place of redis everything goes through TLS. User and password
// are for the servers; sentinels are asked without. The error never repeats
// anything of the URL.
func Parse(text string) (Servers, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Servers{}, errURL
	}
	s := Servers{scheme: u.Scheme, User: u.User.Username()}
	suffix, ok := strings.CutPrefix(u.Scheme, "redis")
	suffix, s.TLS = strings.CutPrefix(suffix, "s")
	s.kind = kind(suffix)
	if !ok || !slices.Contains([]kind{oneServer, sentinels, cluster}, s.kind) {
		return Servers{}, errScheme
	}
	if u.Opaque != "" || u.Fragment != "" {
		return Servers{}, errURL
	}
	s.Password, _ = u.User.Password()
	if s.DB, err = parseDatabase(u.Path, s.kind); err != nil {
		return Servers{}, err
	}
	params, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Servers{}, errParam
	}
	return s.withParams(u.Host, params)
}

func parseDatabase(path string, k kind) (int, error) {
	if path == "" || path == "/" {
		return 0, nil
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(path, "/"), 10, 16)
	if err != nil || k == cluster && n != 0 {
		return 0, errDatabase
	}
	return int(n), nil
}

func (s Servers) withParams(host string, params url.Values) (Servers, error) {
	hosts, port := append([]string{host}, params[paramAddr]...), serverPort
	if s.kind == sentinels {
		port = sentinelPort
	}
	for name, values := range params {
		switch {
		case name == paramAddr && s.kind != oneServer:
		case name == paramMaster && s.kind == sentinels && len(values) == 1:
			s.Master = values[0]
		default:
			return Servers{}, errParam
		}
	}
	if s.kind == sentinels && s.Master == "" {
		return Servers{}, errMaster
	}
	for _, host := range hosts {
		addr, ok := withPort(host, port)
		if !ok {
			return Servers{}, errAddress
		}
		s.Addrs = append(s.Addrs, addr)
	}
	return s, nil
}

// withPort returns host:port as an address that can be dialled, with the port
// given if it has none.
func withPort(host, port string) (addr string, ok bool) {
	u := url.URL{Host: host}
	if p := u.Port(); p != "" {
		port = p
	}
	number, err := strconv.ParseUint(port, 10, 16)
	return net.JoinHostPort(u.Hostname(), port), err == nil && number > 0 && isHost(u.Hostname())
}

// isHost reports whether s can be a name or an address. The DNS decides whether the
// name exists.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	foreign := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(".-_", r)
	}
	return s != "" && !strings.ContainsFunc(s, foreign)
}

// String returns the URL without the password.
func (s Servers) String() string {
	u := url.URL{Scheme: s.scheme, Host: s.Addrs[0]}
	if s.User != "" {
		u.User = url.User(s.User)
	}
	if s.DB != 0 {
		u.Path = "/" + strconv.Itoa(s.DB)
	}
	params := url.Values{}
	if s.Master != "" {
		params.Set(paramMaster, s.Master)
	}
	for _, addr := range s.Addrs[1:] {
		params.Add(paramAddr, addr)
	}
	u.RawQuery = params.Encode()
	return u.String()
}
