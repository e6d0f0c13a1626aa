// Package crashfs is a disk in memory that forgets what was not synced. Tests
// of everything that keeps data run on it.
//
// A Disk implements buffer.FS. It counts the operations that change something
// and remembers which of them a power cut could undo: writes to a file since
// its last Sync, and creations, renames, exchanges and removals since the last
// SyncDir.
// CrashAt stops it at an operation; After gives the disks that may be found
// when power is back:
//
//	            files                          directory
//	LoseAll     no write since the last Sync   as of the last SyncDir
//	KeepAll     every write                    as it was
//	KeepOne     one of the writes, alone       every prefix of the changes in turn
//	TornPages   each 4 KiB page of the writes  random prefix
//	            by the toss of a coin
//	TornSectors the same with 512 bytes        random prefix
//	Random      each write by a coin           random prefix
//
// Faults without a crash: FullAt (no new file, no growth: ENOSPC), FailSyncAt
// (Sync fails once and what it should have written will never reach the disk,
// while reads still show it), FailWriteAt (EIO, half of the data written).
//
// The model is harsher than a journalling file system: a write that is lost
// leaves older pages of the same write in place, in any order.
package crashfs
