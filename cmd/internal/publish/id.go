package publish

import "time"

// NewID returns an id made of the time that differs from the published one: senders
// compare ids for equality alone (RFC 8461 section 3.1).
func NewID(now time.Time, published string) string {
	const form = "20060102T150405Z"
	id := now.UTC().Format(form)
	if id == published {
		id = now.Add(time.Second).UTC().Format(form)
	}
	return id
}
