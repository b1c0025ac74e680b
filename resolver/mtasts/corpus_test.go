package mtasts_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/resolver/mtasts"
)

// The corpus is a set of real policies of real publishers. It is not part of this
// project; the test needs it in a directory next to the checkout.
const (
	corpusDir   = "../../../shared/corpus"
	corpusFiles = 208
)

// TestCorpus parses each policy of the corpus as its expected.tsv says: file,
// verdict, mode, max_age and the patterns, separated by tabs, the patterns by
// colons.
func TestCorpus(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(corpusDir); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no corpus at %s beside the project: its %d real policies were not tried; testdata/policies has a case of each quirk",
			corpusDir, corpusFiles)
	}
	rows := strings.Split(strings.TrimSuffix(readFile(t, filepath.Join(corpusDir, "expected.tsv")), "\n"), "\n")
	if header := "file\tverdict\tmode\tmax_age\tmx"; rows[0] != header {
		t.Fatalf("expected.tsv begins with %q, want %q", rows[0], header)
	}
	rows = rows[1:]
	files := glob(t, filepath.Join(corpusDir, "policies", "*.txt"))
	if len(rows) != corpusFiles || len(files) != corpusFiles {
		t.Errorf("%d expectations and %d policies, want %d of both", len(rows), len(files), corpusFiles)
	}
	for _, row := range rows {
		columns := strings.Split(row, "\t")
		if len(columns) != 5 {
			t.Fatalf("%q: want 5 columns", row)
		}
		t.Run(columns[0], func(t *testing.T) {
			t.Parallel()
			p, err := mtasts.ParsePolicy(readFile(t, filepath.Join(corpusDir, "policies", columns[0]+".txt")))
			switch verdict := columns[1]; verdict {
			case "accept":
				want := "mode " + columns[2] + "\nmax_age " + columns[3] + "\n"
				if columns[4] != "" {
					want += "mx " + strings.ReplaceAll(columns[4], ":", "\nmx ") + "\n"
				}
				if diff := cmp.Diff(want, outcome(p, err)); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				checkPatterns(t, p)
				checkLines(t, p)
			case "reject":
				if err == nil {
					t.Fatalf("accepted, want it rejected:\n%s", outcome(p, nil))
				}
				checkPrintable(t, err)
			default:
				t.Fatalf("verdict %q is neither accept nor reject", verdict)
			}
		})
	}
}
