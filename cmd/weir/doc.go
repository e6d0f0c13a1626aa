// Weir is an IoT edge gateway: it reads temperature and pressure sensors, serves them on its own MQTT broker, and carries
// chosen topics to an upstream broker, keeping everything on disk while that is away.
//
// Usage:
//
//	weir COMMAND [flags]
//
// "weir help" lists the commands, "weir help COMMAND" the flags of one. Data goes to standard output, everything else to
// standard error.
//
// Exit status:
//
//	0   done
//	1   failed: a sensor does not answer, a broker does not take the message, something was lost,
//	    the store is damaged
//	2   the command line is wrong
//	69  no usable listener: a port is in use or must not be used
//	73  the data directory is in use by another weir
//	76  the store was written by a newer weir
//	78  the configuration is wrong
package main
