#!/bin/sh
# Makes weir a service on a Debian or Raspberry Pi OS board. Run it as root from the folder above this one, with the
# program "weir" lying beside the folder "systemd":
#
#     sudo sh systemd/install.sh
#
# It may be run again, to update: the configuration is left alone. With DESTDIR set it only places the files there.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
program=$here/../weir
root=${DESTDIR:-}

[ -f "$program" ] || { echo "install.sh: there is no program $program; build it with: go build -o weir ./cmd/weir" >&2; exit 1; }
[ -n "$root" ] || [ "$(id -u)" = 0 ] || { echo "install.sh: needs root; run: sudo sh systemd/install.sh" >&2; exit 1; }

install -D -m 0755 "$program" "$root/usr/local/bin/weir"
install -D -m 0644 "$here/weir.service" "$root/etc/systemd/system/weir.service"
install -D -m 0644 "$here/weir.sysusers" "$root/usr/lib/sysusers.d/weir.conf"
install -D -m 0644 "$here/weir.tmpfiles" "$root/usr/lib/tmpfiles.d/weir.conf"
install -D -m 0644 "$here/weir.modules" "$root/usr/lib/modules-load.d/weir.conf"
install -D -m 0644 "$here/60-weir.rules" "$root/usr/lib/udev/rules.d/60-weir.rules"
mkdir -p "$root/etc/weir"
if [ ! -e "$root/etc/weir/weir.toml" ]; then
	printf '# weir: everything has a default; an empty file publishes every sensor it can identify.\n# See: weir check, weir scan\n' >"$root/etc/weir/weir.toml"
	chmod 0640 "$root/etc/weir/weir.toml"
fi
[ -z "$root" ] || exit 0

systemd-sysusers weir.conf
systemd-tmpfiles --create weir.conf
for module in i2c-dev usbserial cdc_acm; do modprobe "$module" 2>/dev/null || true; done
udevadm control --reload && udevadm trigger --subsystem-match=i2c-dev --subsystem-match=tty || true
systemctl daemon-reload
systemctl enable weir.service
systemctl restart weir.service
systemctl --no-pager --lines=0 status weir.service
