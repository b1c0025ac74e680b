// Package store keeps policies in a file, so that a restart, a crash or an
// eviction forgets none: forgetting one would be a downgrade.
//
// It knows nothing of discovery; it keeps entries and tells which need
// attention. What is put is read back at once and is on disk within a second.
// A file that cannot be used is set aside and begun anew, one that cannot be
// written is tried again until it can; meanwhile memory serves what it has.
// Neither keeps the daemon from its work.
package store
