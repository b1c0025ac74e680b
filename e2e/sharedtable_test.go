package e2e

import (
	"os"
	"strings"
	"testing"
)

// envSharedTable names a file to which the tables of TestShared and its like
// are added.
const envSharedTable = "SHARED_TABLE"

// sharedTable is what became of lookups while something happened to the shared
// store.
type sharedTable struct{ lines []string }

func newSharedTable() *sharedTable {
	return &sharedTable{[]string{
		"| what happens | lookups, known + new | lost | slowest, known | slowest, new | TXT + fetches a new domain | shared again after | new id everywhere | purge everywhere |",
		"|---|--:|--:|--:|--:|--:|--:|--:|--:|",
	}}
}

func (s *sharedTable) add(row []string) {
	s.lines = append(s.lines, "| "+strings.Join(row, " | ")+" |")
}

func (s *sharedTable) log(t *testing.T, what string) {
	t.Helper()
	text := what + "\n\n" + strings.Join(s.lines, "\n") + "\n\n"
	t.Log("\n" + text)
	name := os.Getenv(envSharedTable)
	if name == "" {
		return
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Error(err)
	}
}
