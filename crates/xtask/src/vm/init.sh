#!/bin/busybox sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# The first process of the guest, or, as `/init run`, what systemd starts. Reads /guest/settings,
# /guest/modules, /guest/requirements and /guest/command, all written by the host. Speaks to the host through three virtio ports: "out" and
# "err" carry the command's output, "control" one line: "status N" or "refused REASON". A guest that
# ends without that line has no verdict.

# The first root file system cannot be pivoted away from; a bind mount of it can.
if [ "$1" != run ] && [ "$GUEST_ROOT" != mounted ]; then
    /bin/busybox mount --bind / /guest/root
    cd /guest/root || exit
    /bin/busybox mount --move . /
    GUEST_ROOT=mounted exec /bin/busybox chroot . /init
fi
cd /

unset GUEST_ROOT
export PATH=/test:/bin
/bin/busybox --install -s /bin

refuse() {
    echo "guest: refused: $*" > /dev/console
    [ -z "$CONTROL" ] || echo "refused $*" > "$CONTROL"
    reboot -f
}

mount_all() {
    mount -t devtmpfs dev /dev
    mkdir -p /dev/pts /dev/shm
    mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
    mount -t tmpfs -o mode=1777 shm /dev/shm
    mount -t proc proc /proc
    mount -t sysfs sys /sys
    mount -t securityfs security /sys/kernel/security
    mount -t debugfs debug /sys/kernel/debug
    mount -t tracefs tracing /sys/kernel/tracing
    mount -t bpf bpf /sys/fs/bpf
    mount -t cgroup2 cgroup /sys/fs/cgroup
    mount -t tmpfs -o mode=755 run /run
    mount -t tmpfs -o mode=1777 tmp /tmp
    ln -s /proc/self/fd /dev/fd
    ln -s /proc/self/fd/0 /dev/stdin
    ln -s /proc/self/fd/1 /dev/stdout
    ln -s /proc/self/fd/2 /dev/stderr
}

# The device of a virtio port. Ports appear some time after their driver, on a busy host a long one.
port() {
    for _ in $(seq 600); do
        for candidate in /sys/class/virtio-ports/*; do
            [ "$(cat "$candidate/name")" != "$1" ] || { echo "/dev/${candidate##*/}"; return; }
        done 2> /dev/null
        sleep 0.1
    done
}

require_lsm() {
    grep -q -w "$1" /sys/kernel/security/lsm || refuse "lsm=$1: the list is $(cat /sys/kernel/security/lsm)"
}

require_no_lsm() {
    ! grep -q -w "$1" /sys/kernel/security/lsm || refuse "no-lsm=$1: the list is $(cat /sys/kernel/security/lsm)"
}

require_preempt() {
    modes=$(cat /sys/kernel/debug/sched/preempt) || refuse "preempt=$*: the kernel does not say its mode"
    for mode in "$@"; do
        case $modes in *"($mode)"*) return ;; esac
    done
    refuse "preempt=$*: the modes are $modes"
}

require_btf() {
    [ -r /sys/kernel/btf/vmlinux ] || refuse "btf: there is no /sys/kernel/btf/vmlinux"
}

# Ends what the command left behind, so that its output ends too. Kernel threads do not mind.
end_leftovers() {
    for process in /proc/[0-9]*; do
        case ${process#/proc/} in 1 | $$ | "$OUT_PUMP" | "$ERR_PUMP") ;; *) kill -9 "${process#/proc/}" ;; esac
    done 2> /dev/null
}

load_modules() {
    for module in /guest/modules/*.ko; do
        [ ! -e "$module" ] || insmod "$module" || refuse "cannot load $module"
    done
}

. /guest/settings
if [ "$1" != run ]; then
    chmod 755 / # a tmpfs begins as 1777
    mount_all
    load_modules
fi
CONTROL=$(port control)
OUT=$(port out)
ERR=$(port err)
[ -c "$CONTROL" ] && [ -c "$OUT" ] && [ -c "$ERR" ] || refuse "the virtio ports are missing"

if [ "$1" != run ]; then
    [ "$(uname -r)" = "$RELEASE" ] || refuse "the kernel is $(uname -r), not $RELEASE"
    [ "$(nproc)" = "$PROCESSORS" ] || refuse "$(nproc) processors came up, not $PROCESSORS"
    [ "$DISK" = no ] || mount -t ext4 /dev/vda /mnt || refuse "cannot mount the disk"
    . /guest/requirements
    ip link set lo up
    [ "$SYSTEMD" = no ] || exec /usr/lib/systemd/systemd --unit=guest.service
fi

# Pipes, so that /dev/stdout can be opened again and nothing takes the ports for a terminal.
mkfifo -m 666 /run/out /run/err
cat < /run/out > "$OUT" &
OUT_PUMP=$!
cat < /run/err > "$ERR" &
ERR_PUMP=$!
cd /test
su "$RUN_AS" /guest/command < /dev/null > /run/out 2> /run/err
status=$?
end_leftovers
end_leftovers # what one that is ended by now had just started
wait "$OUT_PUMP" "$ERR_PUMP"
sync
echo "status $status" > "$CONTROL"
reboot -f
