#!/bin/sh
# The first process of a login node: mounts its root and becomes its init. It is in the machine's network, and in mount,
# process and IPC namespaces of its own.
#
#   ROOT     read-only folder of the root; NODE: an empty folder to mount it on, beside the user's "home"
#   CONFIG   folder with the machine's "hosts" and "ca-certificates.crt"
set -eu

mkdir "$NODE/root" "$NODE/home"
mount -t tmpfs -o mode=0755 tmpfs "$NODE/root"
mkdir "$NODE/root/upper" "$NODE/root/work" "$NODE/root/merged"
mount -t overlay -o "lowerdir=$ROOT,upperdir=$NODE/root/upper,workdir=$NODE/root/work" overlay "$NODE/root/merged"
cd "$NODE/root/merged"

mount -t proc proc proc
mount --rbind /sys sys
# Alone, as on every system of today: crun refuses a mixture of both versions.
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=0755 tmpfs dev
mkdir dev/net dev/pts dev/shm
# Those of the host stay as they are: who may open fuse there is another matter.
while read -r name major minor; do
    mknod -m 0666 "dev/$name" c "$major" "$minor"
done <<END
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
fuse 10 229
net/tun 10 200
END
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=0755 tmpfs run
# Apptainer unpacks images there.
mount -t tmpfs -o mode=1777,size=8g tmpfs tmp

cp "$CONFIG/hosts" etc/hosts
cp "$CONFIG/ca-certificates.crt" etc/ssl/certs/ca-certificates.crt
rm -f etc/resolv.conf
echo "nameserver 10.0.2.3" >etc/resolv.conf
echo "user:x:1000:1000:An ordinary user:/home/user:/bin/bash" >>etc/passwd
echo "user:x:1000:" >>etc/group
# For the users of its containers.
echo "user:100000:65536" | tee -a etc/subuid >>etc/subgid
install -d -o 1000 -g 1000 home/user run/user/1000
chown 1000:1000 "$NODE/home"
mount --bind "$NODE/home" home/user

mkdir .old
pivot_root . .old
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd /
umount --lazy /.old
rmdir /.old
# As an init system does it; Podman warns where it is not so.
mount --make-rshared /
: >/run/ready
exec tini -- sleep infinity
