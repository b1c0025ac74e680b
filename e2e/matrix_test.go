package e2e

import (
	"fmt"
	"strings"
	"sync"
	"text/tabwriter"
)

// matrix is what every version of Postfix does in every case.
type matrix struct {
	mu       sync.Mutex // guards what follows, and the rows
	rows     []*row
	versions map[suite]string
}

// row is one case.
type row struct {
	matrix *matrix
	name   string
	said   map[column]string
}

// column is a version of Postfix and a kind of answers.
type column struct {
	suite   suite
	answers answers
}

func newMatrix() *matrix { return &matrix{versions: make(map[suite]string)} }

// row adds a case to the table.
func (m *matrix) row(name string) *row {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := &row{matrix: m, name: name, said: make(map[column]string)}
	m.rows = append(m.rows, r)
	return r
}

func (r *row) record(p instance, said outcome) {
	r.matrix.mu.Lock()
	defer r.matrix.mu.Unlock()
	r.said[column{p.suite, p.answers}] = said.brief()
	r.matrix.versions[p.suite] = p.version
}

// String is the table. Cases that -run has left out, or that failed before they
// had an outcome, are not in it.
func (m *matrix) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var columns []column
	for _, kind := range []answers{plain, withAttributes} {
		for _, s := range suites() {
			if m.versions[s] != "" || s.leftOut() != "" {
				columns = append(columns, column{s, kind})
			}
		}
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 1, ' ', 0)
	fmt.Fprint(w, "\ncase")
	for _, c := range columns {
		heading := string(c.suite)
		if c.suite.leftOut() == "" {
			heading = m.versions[c.suite]
		}
		fmt.Fprintf(w, "\t| %s %s", heading, c.answers)
	}
	for _, r := range m.rows {
		if len(r.said) == 0 {
			continue
		}
		fmt.Fprint(w, "\n"+r.name)
		for _, c := range columns {
			said := r.said[c]
			if c.suite.leftOut() != "" {
				said = "left out"
			}
			fmt.Fprintf(w, "\t| %s", said)
		}
	}
	fmt.Fprintln(w)
	w.Flush()
	return b.String()
}
