package shared

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Servers has the addresses of the shared store and how to log in there. ParseURL
// makes it.
type Servers struct {
	scheme   scheme
	addrs    []string // host:port
	master   string   // its name among the sentinels
	db       int
	user     string
	password string
}

// scheme is what a URL begins with.
type scheme struct {
	name string
	port string // if the URL has none
	tls  bool
	kind kind
}

type kind int

const (
	oneServer kind = iota
	sentinels      // which know the server that is the master now
	cluster        // of masters, each with a part of the keys
)

const (
	serverPort   = "6379"
	sentinelPort = "26379"

	// What a URL may say after its question mark.
	paramAddr   = "addr"   // one more host:port, any number of times
	paramMaster = "master" // needed with sentinels
)

func schemes() []scheme {
	return []scheme{
		{"redis", serverPort, false, oneServer},
		{"rediss", serverPort, true, oneServer},
		{"redis+sentinel", sentinelPort, false, sentinels},
		{"rediss+sentinel", sentinelPort, true, sentinels},
		{"redis+cluster", serverPort, false, cluster},
		{"rediss+cluster", serverPort, true, cluster},
	}
}

// What is wrong with a URL. Nothing of it is repeated: any part may be the
// password, misplaced.
var (
	errURL      = errors.New("it is no URL: redis://user:password@host:6379, with %XX for the special characters of a password")
	errScheme   = errors.New("it begins with none of redis://, rediss://, redis+sentinel://, rediss+sentinel://, redis+cluster://, rediss+cluster://")
	errAddress  = errors.New("an address is not host or host:port")
	errDatabase = errors.New("its path is not the number of a database, such as /0, or the servers are a cluster, which has but one")
	errParam    = errors.New("after ? it has more than addr=host:port (of sentinels and clusters) and one master=name (of sentinels)")
	errMaster   = errors.New("sentinels need ?master= and the name under which they know the master")
)

// ParseURL reads the URL of a shared store:
//
//	redis://[[user]:password@]host[:port][/database]
//	redis+sentinel://…?master=name[&addr=host:port…]
//	redis+cluster://…[?addr=host:port…]
//
// With rediss in place of redis everything goes through TLS. User and password
// are for the servers; sentinels are asked without. The error never repeats
// anything of the URL.
func ParseURL(text string) (Servers, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Servers{}, errURL
	}
	known := schemes()
	i := slices.IndexFunc(known, func(s scheme) bool { return s.name == u.Scheme })
	if i < 0 {
		return Servers{}, errScheme
	}
	if u.Opaque != "" || u.Fragment != "" {
		return Servers{}, errURL
	}
	s := Servers{scheme: known[i], user: u.User.Username()}
	s.password, _ = u.User.Password()
	if s.db, err = parseDatabase(u.Path, s.scheme.kind); err != nil {
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
	hosts := append([]string{host}, params[paramAddr]...)
	for name, values := range params {
		switch {
		case name == paramAddr && s.scheme.kind != oneServer:
		case name == paramMaster && s.scheme.kind == sentinels && len(values) == 1:
			s.master = values[0]
		default:
			return Servers{}, errParam
		}
	}
	if s.scheme.kind == sentinels && s.master == "" {
		return Servers{}, errMaster
	}
	for _, host := range hosts {
		addr, ok := withPort(host, s.scheme.port)
		if !ok {
			return Servers{}, errAddress
		}
		s.addrs = append(s.addrs, addr)
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

// isHost is for names and addresses. What else a name must be the DNS knows.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	foreign := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(".-_", r)
	}
	return s != "" && !strings.ContainsFunc(s, foreign)
}

// WithPassword returns s with the password in the place of the URL's.
func (s Servers) WithPassword(password string) Servers {
	s.password = password
	return s
}

// String returns the URL without the password.
func (s Servers) String() string {
	u := url.URL{Scheme: s.scheme.name, Host: s.addrs[0]}
	if s.user != "" {
		u.User = url.User(s.user)
	}
	if s.db != 0 {
		u.Path = "/" + strconv.Itoa(s.db)
	}
	params := url.Values{}
	if s.master != "" {
		params.Set(paramMaster, s.master)
	}
	for _, addr := range s.addrs[1:] {
		params.Add(paramAddr, addr)
	}
	u.RawQuery = params.Encode()
	return u.String()
}
