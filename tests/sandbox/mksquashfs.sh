#!/bin/sh
# mksquashfs for a login node of the sandbox: it compresses in seconds, with lz4 where gzip is asked for.
for word; do
    shift
    if [ "$word" = gzip ]; then word=lz4; fi
    set -- "$@" "$word"
done
exec /usr/bin/mksquashfs "$@"
