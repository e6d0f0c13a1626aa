// Package configs holds configuration files to start from, embedded so that the
// program can show and use them:
//
//	demo.toml              what weir demo runs
//	bme280.toml            the five-minute start with one chip
//	weather.toml           corrections, derived values, and what is worth publishing
//	chips.toml             chips on the pins of the board, two of them behind a multiplexer
//	modbus.toml            transmitters on an RS-485 line, one register map
//	instruments.toml       a scale, a polled meter, a weather station, barometers
//	cloud-mosquitto.toml   an upstream broker, both ways
//	lan-listener.toml      devices on the local network, with users
//	home-assistant.toml    sensors that Home Assistant finds by itself, one behind a multiplexer
//	secure-listener.toml   TLS with client certificates, WebSocket, a Unix socket
//
// A test of cmd/weir loads every one of them.
package configs

import "embed"

// Files are all of them, at the root.
//
//go:embed *.toml
var Files embed.FS

// Demo is what "weir demo" runs.
//
//go:embed demo.toml
var Demo []byte
