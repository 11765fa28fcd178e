# Makes the parts of a SIF file from an image's root file system.
# Usage: squash.sh NAME ARCHITECTURE CREATED PREFIX. /image is the root file system, /empty/NAME an OCI layout with the
# image's configuration and the descriptor of an empty layer. CREATED is the time of the image in seconds since 1970,
# PREFIX the path of its environment, or empty. Needs Apptainer, mksquashfs and coreutils.
#
# Writes to /parts: root.squashfs, Singularity (the definition file) and inspect-metadata.json.
name=$1 architecture=$2 created=$3 prefix=$4
umask 022
mkdir /parts

# Apptainer's own files for this configuration. It mounts and starts nothing for it.
cd /empty || exit
head -c 1024 /dev/zero > "$name/blobs/sha256/$(head -c 1024 /dev/zero | sha256sum | cut -d ' ' -f 1)"
apptainer --quiet build --disable-cache --arch "$architecture" --sandbox /added "oci:$name"
cd /added || exit
date=$(date -u -d "@$created" +%A_%-d_%B_%Y_%-H:%-M:%-S_UTC)
sed -i "s/\(\"org.label-schema.build-date\": \"\)[^\"]*/\1$date/" .singularity.d/labels.json

# As Apptainer adds them: existing folders and links stay, files are replaced. Each path keeps its time or gets the
# image's.
find . -exec touch -h -d "@$created" {} +
find . -mindepth 1 | while IFS= read -r path; do
    to=/image/${path#./}
    if [ -d "$path" ] && [ ! -L "$path" ]; then
        if [ -d "$to" ]; then touch -r "$to" "$path"; elif [ ! -L "$to" ]; then mkdir "$to"; fi
    elif [ -L "$path" ]; then
        [ -e "$to" ] || [ -L "$to" ] || cp -d --preserve=all "$path" "$to"
    elif [ ! -L "$to" ]; then
        rm -f "$to"
        cp --preserve=all "$path" "$to"
    fi
done
find . -type d | while IFS= read -r path; do
    [ -L "/image/$path" ] || touch -r "$path" "/image/$path"
done
# The engine makes the folders above an environment at the time of the build.
while [ -n "$prefix" ] && [ "$prefix" != / ]; do
    touch -d "@$created" "/image/$(dirname "$prefix")"
    prefix=$(dirname "$prefix")
done

apptainer inspect --all /image > /parts/inspect-metadata.json
cp .singularity.d/Singularity /parts/
# gzip, since not every site's kernel and Apptainer read another. Attributes are those of the engine's file system, such
# as labels of SELinux: layers have none of them, and a runtime that mounts with nosuid needs none.
mksquashfs /image /parts/root.squashfs -noappend -comp gzip -no-xattrs -mkfs-time "$created" -quiet -no-progress
