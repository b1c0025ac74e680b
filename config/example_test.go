package config

import (
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The installed file is the output of Example; "make generate" writes it.
func TestExampleIsGenerated(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../packaging/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Example(), string(text)); d != "" {
		t.Errorf("packaging/config.yaml is not what the schema makes (-want +got):\n%s", d)
	}
}

func TestExampleIsDefault(t *testing.T) {
	t.Parallel()
	got, err := Parse("config.yaml", []byte(Example()), nil)
	if d := diff(Default(), got); err != nil || d != "" {
		t.Errorf("as it stands: %v (-want +got):\n%s", err, d)
	}
	// The file after an administrator has removed every # before a key.
	set := regexp.MustCompile(`(?m)^#((  )*[a-z_]+:)`).ReplaceAllString(Example(), "$1")
	got, err = Parse("config.yaml", []byte(set), nil)
	if d := diff(Default(), got); err != nil || d != "" {
		t.Errorf("with every key set: %v (-want +got):\n%s\n%s", err, d, set)
	}
}

// Each override in the example's prose is one that the daemon takes.
func TestExampleOverrides(t *testing.T) {
	t.Parallel()
	shown := regexp.MustCompile(`(?m)^#   ((  )?\S+:.*)$`).FindAllStringSubmatch(Example(), -1)
	var text string
	for _, line := range shown {
		text += line[1] + "\n"
	}
	c, err := Parse("config.yaml", []byte(text), nil)
	if err != nil || len(c.Overrides) != 3 {
		t.Errorf("got %v, %v, want three overrides from:\n%s", c.Overrides, err, text)
	}
}

func TestExampleIsNarrow(t *testing.T) {
	t.Parallel()
	for _, line := range regexp.MustCompile(`(?m)^.{81,}$|^.*[^\n -~].*$`).FindAllString(Example(), -1) {
		t.Errorf("more than 80 characters, or not of printable ASCII: %q", line)
	}
}
