#!/bin/sh
# mmdebstrap's customize hook: makes app01 of a bare Debian. Runs on the host as root; $1 is the new root folder.
# The two UUIDs come from the builder (APP01_ROOT_UUID, APP01_DATA_UUID), which also makes the file systems.
set -eu
root=$1
here=$(dirname "$(readlink -f "$0")")

cp -R --no-preserve=ownership "$here/files/." "$root/"
# The checkout's umask must not decide who may read a server's files.
(cd "$here/files" && find . -type d -exec chmod 755 "$root/{}" \; -o -type f -perm -u+x -exec chmod 755 "$root/{}" \; -o -type f -exec chmod 644 "$root/{}" \;)

echo app01 >"$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 app01\n::1 localhost ip6-localhost ip6-loopback\n' >"$root/etc/hosts"

# The data volume is named by device on purpose: on a controller with other device names (virtio's vda) the server
# stops in emergency mode unless inoculation rewrites this line.
cat >"$root/etc/fstab" <<FSTAB
UUID=$APP01_ROOT_UUID / ext4 errors=remount-ro 0 1
/dev/sda2 /var/lib/counter ext4 defaults 0 2
FSTAB

chroot "$root" useradd --system --home-dir /var/lib/counter --shell /usr/sbin/nologin counter
chroot "$root" passwd --lock root >/dev/null
chroot "$root" systemctl --quiet enable counter.service systemd-networkd.service qemu-guest-agent.service
chroot "$root" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
  e2scrub_reap.service fstrim.timer
# An empty machine-id is made up at first boot, as on any installed server.
: >"$root/etc/machine-id"

# The initramfs an installer makes with "targeted" drivers: exactly this server's disk controller (AHCI), nothing else.
# MODULES=dep cannot be run here, it would look at the build host's disks; the list gives what it finds on AHCI.
printf 'ahci\nsd_mod\next4\n' >>"$root/etc/initramfs-tools/modules"
echo MODULES=list >"$root/etc/initramfs-tools/conf.d/driver-policy"
chroot "$root" update-initramfs -u -k all
sed -i '/^ahci$/,$d' "$root/etc/initramfs-tools/modules"
echo MODULES=dep >"$root/etc/initramfs-tools/conf.d/driver-policy"

for image in $(cd "$root" && ls boot/initrd.img-*); do
  contents=$(chroot "$root" lsinitramfs "/$image")
  case $contents in */ahci.ko*) ;; *) echo "There is no ahci driver in $image." >&2; exit 1 ;; esac
  case $contents in
    *virtio_blk* | *virtio_scsi* | *vmw_pvscsi*)
      echo "$image has drivers for other controllers: it would boot without inoculation." >&2
      exit 1
      ;;
  esac
done
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin
