# Copies a folder's files over the root, so that the same files are the same layer whenever that is done.
# Usage: tree.sh TREE. Needs a POSIX shell, and cp, rm and touch of coreutils or BusyBox.
#
# What is there already keeps its mode and owner, and folders may be behind links (/lib), as in `COPY` of a Dockerfile.
# Whatever the copying touched gets one time: files, links, and the folders above them, which change with their entries.

place() { # a folder of the tree, the folder that its entries go into
    for from in "$1"/* "$1"/.[!.]* "$1"/..?*; do
        to=$2/${from##*/}
        if [ -d "$from" ] && [ ! -L "$from" ] && [ -d "$to" ]; then
            (place "$from" "$to")
        elif [ -e "$from" ] || [ -L "$from" ]; then
            rm -f "$to"
            cp -a "$from" "$to"
            settle "$to"
        fi
    done
    touch -d @0 "${2:-/}"
}

settle() { # a file or a folder with all that is in it
    if [ -d "$1" ] && [ ! -L "$1" ]; then
        for path in "$1"/* "$1"/.[!.]* "$1"/..?*; do
            if [ -e "$path" ] || [ -L "$path" ]; then
                (settle "$path")
            fi
        done
    fi
    touch -h -d @0 "$1"
}

place "$1" ""
