# Copies a folder's files over the root, so that the same files always give the same layer.
# Usage: tree.sh TREE. Needs a POSIX shell, and cp, rm and touch of coreutils or BusyBox.
#
# Existing folders keep their mode and owner, and may be behind links (/lib), as with `COPY` in a Dockerfile.
# Everything that the copy touches gets one time: files, links, and the folders above them, which change with their
# entries.

place() { # arguments: a folder of the tree, and the target folder of its entries
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

settle() { # argument: a file, or a folder with all its content
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
