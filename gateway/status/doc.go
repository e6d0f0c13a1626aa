// Package status is the one picture of a running gateway: a plain value, taken at one moment, that the terminal view,
// systemd's status line and every other reader share. It imports nothing of ours; the gateway fills it in.
package status
