# shellcheck shell=bash
# The virtual machine of the tests, as `build` makes it and `run` starts it. Sourced by both.
#
# QEMU emulates it in software: it runs where there is no /dev/kvm, and some ten to twenty times slower than the machine. Ratios of
# commands in one run are good, times are not.
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
STORE=${SBX_GUEST_STORE:-${XDG_CACHE_HOME:-$HOME/.cache}/sbx-guest}
# 6.12 of Debian 12's backports, or its own 6.1.
KERNEL=${KERNEL:-6.12}
CPUS=${CPUS:-2} MEMORY=${MEMORY:-1024} BOOT_ARGUMENTS=${BOOT_ARGUMENTS:-}
QEMU=$STORE/qemu.run
IMAGE=$STORE/root.ext4
# Of this kernel: the kernel, its initrd, and the machine booted up to a user's session, memory and disk.
BOOTED=$STORE/$KERNEL

# qemu DIR DISK CONTROL: the arguments, in QARGS. DIR holds what is exchanged: payload.tar and result.tar are raw disks, 1 and 2 the
# standard streams, 3 what the agent says; CONTROL is where it is told to go.
qemu() {
  local dir=$1 disk=$2 control=$3
  QARGS=(-machine "q35,hpet=off,smbus=off,sata=off,usb=off" -accel "tcg,thread=multi,tb-size=256" -cpu Nehalem
    -smp "$CPUS" -m "$MEMORY" -nodefaults -no-user-config -display none -no-reboot -serial "file:$dir/console"
    -kernel "$BOOTED/kernel" -initrd "$BOOTED/initrd"
    -append "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off tsc=reliable no_timer_check cryptomgr.notests random.trust_cpu=on systemd.show_status=0 selinux=0 $BOOT_ARGUMENTS"
    -drive "if=none,id=root,$disk,format=raw,cache=unsafe" -device virtio-blk-pci,drive=root
    -drive "if=none,id=in,file=$dir/payload.tar,format=raw,readonly=on" -device virtio-blk-pci,drive=in
    -drive "if=none,id=out,file=$dir/result.tar,format=raw,cache=unsafe" -device virtio-blk-pci,drive=out
    -device virtio-rng-pci -device "virtio-serial-pci,max_ports=8"
    -chardev "file,id=stdout,path=$dir/1" -device virtserialport,chardev=stdout,nr=1
    -chardev "file,id=stderr,path=$dir/2" -device virtserialport,chardev=stderr,nr=2
    -chardev "file,id=said,path=$dir/3" -device virtserialport,chardev=said,nr=3
    -chardev "$control,id=control" -device virtserialport,chardev=control,nr=4)
}

# Disks have one size, whatever is in them: a machine that is resumed has to find what it left.
exchange() { truncate -s 1G "$1/payload.tar" "$1/result.tar"; : >"$1/1"; : >"$1/2"; : >"$1/3"; }
