// Package store keeps policies in a file, so that a restart, a crash or an
// eviction from memory loses none: losing one would be a downgrade.
//
// It knows nothing of discovery. It keeps entries, finds those that need
// attention, and keeps the history of changes. A new entry can be read at once and
// is on disk within a second. A file that cannot be used is set aside and a new
// one is created. If a file cannot be written, entries wait in memory, from where
// they can be read, and writing is retried. Neither stops the daemon.
//
// # Times
//
// Times in memory are clock.Moments. The file has wall times in whole seconds, and
// with them the boot in which a value was written and the wall time at which that
// boot began. In the same boot a wall time becomes the Moment that it was,
// whatever the wall clock says now. After another boot, on another host, or after
// the restore of a backup, the stamps do not match, and the wall clock decides.
// After a step of the wall clock the writer stamps the values of this boot again.
package store
