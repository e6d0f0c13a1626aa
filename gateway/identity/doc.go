// Package identity finds the name by which a gateway is known upstream, and keeps
// it: two gateways must not have the same, and one gateway must not change its
// own when its software is installed anew.
//
// # Where the id comes from
//
// The first of these that the machine has, behind "weir-":
//
//	pi-serial    last 8 characters of the board's serial number, from
//	             /proc/device-tree/serial-number or the Serial line of /proc/cpuinfo
//	machine-id   first 8 hex digits of an HMAC-SHA256 of a fixed text under
//	             /etc/machine-id, which itself must not be shown (machine-id(5))
//	mac          last 8 hex digits of the first burnt-in Ethernet or Wi-Fi address
//	random       8 hex digits
//
// Characters that are awkward in topics become "-": an id consists of 1 to 64 of
// A-Z a-z 0-9 _ and -.
//
// # The file
//
// At the first start the id is pinned in the file "id" of the data directory,
// written beside it, synced, renamed, directory synced:
//
//	weir-id 1
//	id weir-89abcdef
//	source pi-serial
//	serial 28482575e798fa66
//
// From then on the file decides, so a disk keeps its id when it moves to a
// replacement board. The last line, there only if the machine has a serial
// number, is the first 8 bytes of the SHA-256 of it. When it does not fit the
// machine, the disk has moved or its card was cloned: Identity.Cloned says so,
// and nothing stops, since only a person can tell the two apart. To give a cloned
// gateway an id of its own, delete the file.
//
// The number in the first line is the version of the format. A file of a newer one
// is left alone: Load returns an error with the id that the machine would get. A
// damaged file is renamed to "id.damaged", reported in Identity.Damaged and made
// anew, which gives the same id on the same machine.
package identity
