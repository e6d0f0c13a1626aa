// Package web is how a running gateway is looked into and told something from outside MQTT. So far it is the control socket, for
// commands on the same machine: a Unix socket in the data directory, which the owner of the directory alone may use.
//
//	weir reload ──▶ DATA_DIR/control ──"reload\n"──▶ Controls ──▶ {"config":{...}} or {"refused":"weir.toml:3:1: ..."}
//	weir status ──▶                  ──"status\n"──▶          ──▶ {"status":{...}}
//
// One request, one answer in JSON, and the connection ends. It imports nothing of the gateway but the snapshot: what it controls is
// given to it as functions.
package web
