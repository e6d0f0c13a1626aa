// Package mosquitto turns a configuration of mosquitto (mosquitto.conf(5), version 2.0) into one of weir: what weir import
// mosquitto does. It reads files and writes none; what it makes is text.
//
//	mosquitto.conf ─ lines ─▶ settings, each by the table ─▶ listeners, bridges, limits ─▶ weir.toml, commented
//	 include_dir ──┘                     │                                                    secrets, for files beside it
//	                                     └▶ what could not be carried, line by line, with the reason
//
// # What becomes what
//
//	listener, port, bind_address      [listener.NAME] address
//	allow_anonymous                   anonymous; its default of mosquitto 2.0 included
//	password_file, acl_file           passwords, acl: the files stay where they are and are read as they are
//	per_listener_settings             the three lines above, for each listener or for all of them
//	protocol, certfile, keyfile, ...  the TLS and WebSocket keys of [listener.NAME]
//	max_queued_messages, ..._bytes,   [broker] queue_messages, queue_bytes, max_packet
//	max_packet_size
//	max_inflight_messages, memory_limit, max_keepalive, sys_interval, retain_available
//	                                  [broker] inflight, memory, max_keep_alive, sys_interval, retain
//	max_connections                   [listener.NAME] max_connections
//	connection, address, ...          [bridge.NAME]
//	topic PATTERN out QOS L R         [[bridge.NAME.forward]] filter = L+PATTERN, strip = L, prefix = R
//	topic PATTERN in QOS L R          [[bridge.NAME.receive]] filter = R+PATTERN, strip = R, prefix = L
//	remote_password                   a file NAME.password, named by password = { file = "NAME.password" }
//
// # What is decided here
//
//   - Every line is accounted for: carried, needless in weir, or not carried. The last two stand at the end of the result
//     with their place and the reason. A line that restricts who may do what and is not carried is told as a danger.
//   - Nothing becomes more open. A listener that nobody can use, as there are no users and no anonymous clients, is
//     written as a comment; so is one that needs what this weir does not have.
//   - Prefixes of topics are texts in mosquitto and whole levels in weir. A rule that cannot be written so is a comment;
//     one that makes other topics of names with empty levels says so.
//   - Values are never guessed: what a line means that mosquitto itself would refuse is not carried.
package mosquitto
