// Package systemd holds what makes weir a service: the hardened unit, the user, the directories and the device rules.
//
//	weir.service    the unit: own user, groups i2c and dialout, state directory, readiness and watchdog notifications
//	weir.socket     an example: systemd opens a listener's port, so that no client is refused while weir restarts
//	weir.sysusers   the user and its groups
//	weir.tmpfiles   /etc/weir and its mode
//	weir.modules    drivers loaded at boot, so that the unit's device classes exist
//	60-weir.rules   groups of I2C buses and serial ports
//	install.sh      places them and starts the service
package systemd
