# Compares two SIF files. Usage: compare_sif.sh GIVEN BUILT. Needs Apptainer, unsquashfs and diffutils.
#
# Prints a line with the SHA-256 of each, and where they differ a line for each difference: "given" or "built", a tab,
# and a line of `unsquashfs -lln`; or "object" and the number of an object of the format, or "content" and a path.
given=$1 built=$2
sha256sum "$given" "$built"
cmp -s "$given" "$built" && exit

place() { # prints where the file system begins
    apptainer sif list "$1" | sed -n 's/.*|\([0-9]*\)-[0-9]* *|FS (Squashfs.*/\1/p'
}

for number in 1 2 3; do
    apptainer sif dump "$number" "$given" > /object.given 2> /dev/null || : > /object.given
    apptainer sif dump "$number" "$built" > /object.built 2> /dev/null || : > /object.built
    cmp -s /object.given /object.built || printf 'object\t%s\n' "$number"
done
unsquashfs -lln -d '' -o "$(place "$given")" "$given" | sort > /given
unsquashfs -lln -d '' -o "$(place "$built")" "$built" | sort > /built
comm -23 /given /built | sed 's/^/given\t/'
comm -13 /given /built | sed 's/^/built\t/'
if cmp -s /given /built; then
    # The same names, sizes and times: the content is read only then.
    unsquashfs -quiet -no-progress -no-xattrs -d /root.given -o "$(place "$given")" "$given" > /dev/null
    unsquashfs -quiet -no-progress -no-xattrs -d /root.built -o "$(place "$built")" "$built" > /dev/null
    diff -rq --no-dereference /root.given /root.built |
        sed -n 's,^Files /root.given\(.*\) and /root.built.* differ$,content\t\1,p'
fi
