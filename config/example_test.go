package config

import (
	"os"
	"regexp"
	"testing"

	"gopkg.in/yaml.v3"
)

// The file that is installed shows every key with its default.
func TestExampleIsDefault(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../packaging/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse("config.yaml", text)
	if d := diff(Default(), got); err != nil || d != "" {
		t.Errorf("as it stands: %v (-want +got):\n%s", err, d)
	}

	// A key is a comment without a blank, or with two where it is nested.
	set := regexp.MustCompile(`(?m)^#((  )?[a-z_]+: ?\S*.*|[a-z_]+:)$`).ReplaceAll(text, []byte("$1"))
	got, err = parse("config.yaml", set, nil)
	if err != nil {
		t.Fatalf("with every key set: %v\n%s", err, set)
	}
	if d := diff(Default(), got); d != "" {
		t.Errorf("with every key set (-want +got):\n%s", d)
	}
	var keys map[string]any
	if err := yaml.Unmarshal(set, &keys); err != nil {
		t.Fatal(err)
	}
	for _, e := range schema(&got) {
		value, ok := keys[e.key]
		if !ok {
			t.Errorf("%s is missing", e.key)
		}
		inner, _ := e.field.(section)
		for _, e := range inner {
			if _, ok := value.(map[string]any)[e.key]; !ok {
				t.Errorf("%s is missing", e.key)
			}
		}
	}
}
