package publish

import (
	"testing"
)

func TestGood(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(t, "enforce.example", text("enforce", "enforce.example"))
	w.publish(t, "testing.example", text("testing", "testing.example"))
	reports := w.check(t, "enforce.example", "testing.example")
	if got := show(reports...); got != "" {
		t.Errorf("found:\n%s", got)
	}
}
