// Package topic holds MQTT topic names and topic filters, and the two
// collections that match them: Tree, filters searched by name (who wants this
// message?), and Names, names searched by filter (which retained messages does
// this subscriber get?).
//
// # Levels
//
// A name or filter is a list of levels joined by "/". Every slash separates, so
// empty levels count:
//
//	/Home/Room1     three levels: "", "Home", "Room1"
//	Home/Room1/     three levels: "Home", "Room1", ""
//	/               two empty levels
//
// Levels are compared byte by byte; nothing is normalised (MQTT 5.0 and 3.1.1,
// [MQTT-4.7.3-4]).
//
// # Filters
//
//	#                     zero or more levels; the last level, alone or after "/"
//	+                     exactly one level, also an empty one; fills its whole level
//	$share/GROUP/FILTER   a shared subscription (MQTT 5.0, 4.8.2)
//
// A filter whose first level is + or # does not match a name that begins
// with "$" [MQTT-4.7.2-1]. For a shared filter FILTER decides that, not the text
// in front of it.
//
// With the option InnerWildcard a # may also stand before the last level, as
// many introductions to MQTT write it; the standard forbids that
// (v5 [MQTT-4.7.1-1], 3.1.1 [MQTT-4.7.1-2]), so it is off by default.
// It also means zero or more levels:
//
//	/Home/#/Temperature   matches /Home/Temperature
//	                      and     /Home/Floor1/Room1/Temperature
//
// The same text is understood whichever protocol version a client speaks: a
// 3.1.1 client may use $share as well, as with other brokers.
//
// Filter.Covers compares two filters: it is how a right, written as a filter, is
// held against what somebody asks for.
//
// # Limits
//
// Names and filters have 1 to 65535 bytes of UTF-8 without U+0000. Names may
// have any number of levels. Filters have at most MaxLevels levels, a
// departure from the standard (4.7.3 sets no limit of its own) because each
// stored filter costs the matching of every message. Two # may not stand side
// by side, and a filter with an inner # matches only names of at most MaxLevels
// levels: both are rules of our own extension.
//
// # Memory
//
// Levels that nothing branches between share a node, and no node holds a whole
// name or filter. The children of a node stand in a list while they are few, and
// in a hash table of pointers when they are many: among 100,000 names each takes
// about 60 bytes beside its value and the bytes of its last levels.
//
// Matching never takes exponential time. A tree visits each of its nodes at
// most once for a name, and the nodes below an inner # at most once for each
// level of the name.
package topic
