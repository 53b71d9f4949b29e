#!/bin/bash
# A recovery as a careful administrator scripts it: overlay, drivers by update-initramfs, machine, boot, one question to the guest.
#   recovery.sh REPLICA.qcow2 MACHINE FOLDER
set -euo pipefail
replica=$1 machine=$2 folder=$3
overlay=$folder/$machine.qcow2
export LIBGUESTFS_BACKEND=direct
grep -qE '\b(vmx|svm)\b' /proc/cpuinfo || export LIBGUESTFS_BACKEND_SETTINGS=force_tcg

qemu-img create -q -f qcow2 -b "$replica" -F qcow2 "$overlay"

guestfish --format=qcow2 -a "$overlay" <<'END'
run
mount /dev/sda1 /
write-append /etc/initramfs-tools/modules "vmw_pvscsi\nvmxnet3\nsd_mod\n"
command "update-initramfs -u -k all"
umount-all
END

virsh -c qemu:///system --quiet define /dev/stdin <<END
<domain type='$(grep -qE '\b(vmx|svm)\b' /proc/cpuinfo && echo kvm || echo qemu)'>
  <name>$machine</name><memory unit='MiB'>768</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>
  <devices>
    <controller type='scsi' index='0' model='vmpvscsi'/>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2' discard='unmap'/><source file='$overlay'/><target dev='sda' bus='scsi'/></disk>
    <interface type='user'><model type='vmxnet3'/></interface>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <serial type='pty'/><video><model type='vga'/></video><rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
</domain>
END
virsh -c qemu:///system --quiet start "$machine"
until virsh -c qemu:///system qemu-agent-command "$machine" '{"execute":"guest-ping"}' >/dev/null 2>&1; do sleep 0.5; done
virsh -c qemu:///system qemu-agent-command "$machine" \
  '{"execute":"guest-exec","arguments":{"path":"/usr/local/bin/counter-status","capture-output":true}}' >/dev/null
virsh -c qemu:///system screenshot "$machine" "$folder/$machine.ppm" >/dev/null
