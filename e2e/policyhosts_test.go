package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"mta-sts-daemon/resolver/resolvertest"
)

// What domains publish. The MX host of each is "mx." and the domain.

func enforce(domain string) resolvertest.Behaviour {
	return resolvertest.HostPolicy(policy("enforce", "mx."+domain))
}

// enforceHost is the policy of a smart host, which names itself.
func enforceHost(host string) resolvertest.Behaviour {
	return resolvertest.HostPolicy(policy("enforce", host))
}

func onlyTesting(domain string) resolvertest.Behaviour {
	return resolvertest.HostPolicy(policy("testing", "mx."+domain))
}

func none(string) resolvertest.Behaviour { return resolvertest.HostPolicy(policy("none")) }

func wildcard(domain string) resolvertest.Behaviour {
	return resolvertest.HostPolicy(policy("enforce", "*."+domain))
}

func otherHost(domain string) resolvertest.Behaviour {
	return resolvertest.HostPolicy(policy("enforce", "other."+domain))
}

// enforceMany is a policy of n MX host patterns, of which the last is the MX
// host.
func enforceMany(n int) func(domain string) resolvertest.Behaviour {
	return func(domain string) resolvertest.Behaviour {
		return resolvertest.HostPolicy(policy("enforce", manyHosts(domain, n)...))
	}
}

func manyHosts(domain string, n int) (hosts []string) {
	for i := range n - 1 {
		hosts = append(hosts, fmt.Sprintf("mx%03d.%s", i, domain))
	}
	return append(hosts, "mx."+domain)
}

// enforceAfter is the policy of a policy host that takes its time.
func enforceAfter(delay time.Duration) func(domain string) resolvertest.Behaviour {
	return func(domain string) resolvertest.Behaviour {
		return resolvertest.HostDelay(delay, policy("enforce", "mx."+domain))
	}
}

func broken(domain string) resolvertest.Behaviour {
	return resolvertest.HostPolicy(strings.Replace(policy("enforce", "mx."+domain), "version: STSv1\n", "", 1))
}

func redirect(string) resolvertest.Behaviour {
	return resolvertest.HostRedirect(http.StatusFound, redirectTarget)
}

func notFound(domain string) resolvertest.Behaviour {
	return resolvertest.HostStatus(http.StatusNotFound, policy("enforce", "mx."+domain))
}

func hostWrongName(domain string) resolvertest.Behaviour {
	return resolvertest.HostWrongName(policy("enforce", "mx."+domain))
}

func hostExpired(domain string) resolvertest.Behaviour {
	return resolvertest.HostExpired(policy("enforce", "mx."+domain))
}

func hostSelfSigned(domain string) resolvertest.Behaviour {
	return resolvertest.HostSelfSigned(policy("enforce", "mx."+domain))
}

func hostHangs(string) resolvertest.Behaviour { return resolvertest.HostHangsInHandshake() }

// redirectTarget has a valid policy, which would keep mail back if it counted
// for another domain.
const redirectTarget = "enforce.test"
