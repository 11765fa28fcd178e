#!/bin/sh
# The first process of the machine: mounts its root, sets up its loopback interface, and becomes its init.
# Runs in mount, process, network, IPC and host name namespaces of its own: nothing here is seen outside.
#
#   LOWER    read-only folders of the root, colon-separated, the topmost first
#   STATE    state folder; CACHE: the cache, which holds it. Both keep their paths.
#   CONTENT  blobs of the built-in SDKs
#   CHANNEL  the folder served as conda.anaconda.org/conda-forge
#   ADDRESSES  for the loopback interface, separated by spaces
set -eu

# The engine keeps its images as overlays, too, and an overlay cannot lie on another one.
probe=$STATE/engine/.probe
mkdir -p "$probe/lower" "$probe/upper" "$probe/work" "$probe/merged"
if ! mount -t overlay -o "lowerdir=$probe/lower,upperdir=$probe/upper,workdir=$probe/work" overlay "$probe/merged"; then
    echo "The file system of $STATE cannot hold overlays; set XDG_CACHE_HOME to a folder on a disk of its own."
    exit 1
fi
umount "$probe/merged"
rm -rf "$probe"

root=$STATE/root
# In memory: what services write outside of their own folders goes when they go.
mount -t tmpfs -o mode=0755 tmpfs "$root"
mkdir "$root/upper" "$root/work" "$root/merged"
mount -t overlay -o "lowerdir=$LOWER,upperdir=$root/upper,workdir=$root/work" overlay "$root/merged"
cd "$root/merged"

mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp

bind() { # SOURCE TARGET
    mkdir -p ".$2"
    mount --bind "$1" ".$2"
}
bind "$CACHE" "$CACHE"
bind "$STATE/engine" /var/lib/dagger
bind "$STATE/run" /run/dagger
bind "$CONTENT" /usr/local/share/dagger/content
bind "$CHANNEL" /srv/conda.anaconda.org/conda-forge

mkdir -p etc/dagger etc/ssl/certs usr/local/share/ca-certificates
cp "$STATE/config/hosts" etc/hosts
cp "$STATE/config/engine.json" etc/dagger/engine.json
cp "$STATE/config/ca-certificates.crt" etc/ssl/certs/ca-certificates.crt
cp "$STATE"/config/ca-certificates/*.crt usr/local/share/ca-certificates/
# A copy, and no link to it: the engine mounts its own over this path. The address is slirp4netns' name server.
rm -f etc/resolv.conf
echo "nameserver 10.0.2.3" >etc/resolv.conf

hostname sandbox
mkdir -p .old
pivot_root . .old
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd /
umount --lazy /.old
rmdir /.old

ip link set lo up
for address in $ADDRESSES; do
    ip address add "$address/32" dev lo
done

: >"$STATE/run/booted"
exec tini -- sleep infinity
