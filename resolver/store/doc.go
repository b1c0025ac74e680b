// Package store keeps policies in a file, so that a restart, a crash or an eviction
// from memory loses none: while a policy is lost, mail to its domain can be downgraded.
//
// It knows nothing of discovery. Package policies decides what an Entry has in it and
// when it is due; store keeps it.
//
// # The file
//
// The file is a bbolt database: a B+ tree of pages in which a transaction is committed
// by writing one of two meta pages. It has five buckets:
//
//	entries  "example.com" -> checksum, fields of the Entry, boot stamp
//	next     wall time of Entry.Next, "example.com" -> nothing; entries without failures
//	failing  the same for entries with failures
//	history  kind, number -> checksum, fields of the Change; a limit for each kind
//	meta     the schema, the count of entries, the number of this boot, purge numbers
//
// Due reads next or failing from the front, so it costs as much as the entries that it
// yields. codec.go has the layout of a value, schema.go the keys of meta.
//
// # How a change becomes durable
//
// Put and Delete add a change to Store.pending, from where it can be read at once, and
// wake the writer, the one goroutine that writes the file. It gathers changes for 200
// ms, writes up to 1,000 of them in a transaction, and drops those that have not been
// replaced meanwhile from pending. A reader looks at pending first, then at the file,
// so it finds a change at every moment. If the file cannot be written, changes wait,
// up to 64 MiB, and the writer retries. See Put for what happens at that limit.
//
// PurgeAll writes one number, not a removal for each entry: entries with a lower
// number of their own are void from then on, and the writer removes them in pieces.
//
// # What a restart does
//
// Open locks the file, compares its size with its meta pages and reads its numbers.
// Entries can be read at once. A check in the background reads every page and then
// every entry, and takes a quarter of one processor at most: for ten million entries,
// minutes. A corrupt entry is removed alone. A file with a corrupt page is set
// aside under another name and a new one is created. The same happens if a read
// fails later, for example because the file was truncated. Replaced notifies the owner,
// which may still have entries in memory. A file that was deleted or replaced is
// noticed before a write, and its entries are copied to the new one.
//
// # Times
//
// Times in memory are clock.Moments. The file has wall times in whole seconds, and
// with them a stamp: the boot in which a value was written and the wall time at which
// that boot began. In the same boot a wall time becomes the Moment that it was,
// whatever the wall clock says now. After another boot, on another host, or after
// the restore of a backup, the stamps do not match, and the wall clock decides.
// After a step of the wall clock the writer stamps the values of this boot again.
//
// docs/decisions has the reasons for bbolt, the format and the clock.
package store
