// Package bench measures the built daemon as it runs; docs/performance.md has what
// that found and what it means. What is measured here in Go benchmarks is storage:
//
//	make bench-storage
//	make bench-scale        # 10,000,000 policies and absences: 5 GB and two hours
//	BENCH_POLICIES=10000 go -C e2e/bench test -run '^$' -bench Storage -benchtime 5x .
//
// They use loopback and a temporary directory alone, and need no root. The
// directory should be on a disk like the one that holds the state directory
// later: TMPDIR says where. A million policies take half a gigabyte there and
// some minutes. Without BENCH_POLICIES there are so few that nothing can be read
// from the figures, but that the benchmark works. BENCH_NEGATIVES says how many
// domains without a policy are asked for, BENCH_DUE=1 makes all policies due to be
// fetched again, and BENCH_DAEMON names another build of the daemon that is measured,
// of a version with the same file format.
//
// Command bench, in cmd/bench, puts loads on the daemon beside a null server that
// does as little as can be done, and prints tables with the ratios:
//
//	make bench                                    # all parts; minutes
//	make bench BENCH='warm --rounds 9 --time 2s'  # what memory answers
//	make bench BENCH='warm --only "unix, 64"'     # that load alone
//	make bench BENCH='cold --peers peers.yaml'    # what must be discovered
//	make bench BENCH='first --peers peers.yaml'   # first lookups, with all servers 25 ms away
//	make bench BENCH='grow --sizes 1000,1000000'  # more domains, more connections
//	make bench BENCH='grow --chart docs/cost.svg --sizes 1000000 --peers peers.yaml --rounds 9 --absences 2000'
//	make bench BENCH='postfix --peers peers.yaml' # mail that a real Postfix sends; as root
//	make bench BENCH=profile                      # perf(1) of the daemon; needs perf
//	make bench BENCH=fleet                        # many daemons on a Valkey cluster; 10 minutes
//	make bench BENCH='fleet --nodes 3 --domains 1000 --life 10s'
//	build/bench load --tcp 127.0.0.1:8461 --connections 8
//
// It works in namespaces of its own, where ports 53 and 443 are free and every
// program finds its resolver, and needs no root where users may make namespaces.
// Servers are pinned to one processor, the load and the world around it to another.
// Rounds are interleaved: in each, every server gets every load, and ratios are
// those of one round.
//
// The part first needs /dev/net/tun: packets to policy hosts go through a device that
// holds them for half of the round trip each way, so that the handshakes of TCP and TLS
// count. Each of its cells has the round trips of the shortest lookup and the median time.
//
// The part fleet is not among all parts: it counts questions, fetches and traffic
// instead of comparing times, and uses both processors for everything. It needs
// valkey-server, installed or unpacked by the end-to-end tests (make test). --life is
// when the TTLs of the first answers end, at least a minute before the second lookups
// begin: choose it longer than the first lookups and the restarts take.
//
// The postfix part runs the Postfix of unpacked Debian trees, which
// "E2E_UNPACK=1 go test ./e2e" makes, and is not among those that "make bench" runs by
// default. --suites, --messages, --only and --variants shorten it, --main-cf adds a line to
// main.cf:
//
//	make bench BENCH='postfix --suites trixie --only "5 domains" --variants "daemon, warm" --rounds 9'
//	make bench BENCH='postfix --main-cf "smtp_tls_connection_reuse = yes"'
//
// It fails if a message is deferred, or sent without the expected TLS.
//
// Peers are other daemons, listed in a YAML file:
//
//   - name: some daemon 1.0
//     command: [/opt/some/daemon, --config, "{dir}/config"]
//     files: {config: "listen = 127.0.0.1:9000\n"}  # written to {dir}
//     env: [NAME=VALUE]
//     tcp: 127.0.0.1:9000                           # also unix: and tcp_table:
//     map: postfix                                  # the socketmap's name
//
// A program in a tree of its own, such as one that a package was unpacked to, needs a
// shell that makes the directory, /etc/resolv.conf and the authority visible there:
//
//	command: [sh, -c, 'mount --bind "$(dirname {dir})" /tree/tmp && mount --bind /etc/resolv.conf /tree/etc/resolv.conf &&
//	  SSL_CERT_FILE=/tmp/ca.pem exec chroot /tree /usr/bin/daemon -c "/tmp/$(basename {dir})/config.yml"']
//
// They find the bed's resolver in /etc/resolv.conf, at 127.0.0.1:53, and the
// authority that certifies its policy hosts in the file that SSL_CERT_FILE names.
package bench
