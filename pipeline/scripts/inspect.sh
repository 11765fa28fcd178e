# Prints the state of an image as its files show it, one fact a line: its class, a tab, and a path or value.
# Usage: inspect.sh ROOT WORK EXPRESSION. ROOT is empty for the whole file system; WORK is an empty folder for lists of
# paths. EXPRESSION is an expression of `find` for paths to leave out. Needs a POSIX shell, find, and grep.
set -f
root=$1 work=$2
shift 2

report() {
    while IFS= read -r path; do printf '%s\t%s\n' "$1" "$path"; done
}

# A search that cannot run must not look like one that found nothing.
command -v find grep >/dev/null || { echo "the image has no find or no grep" >&2; exit 1; }

# What others cannot read or enter: mode, owner, group, path.
find "$root/" -xdev \( "$@" \) -prune -o -type f ! -perm -444 -exec stat -c '%a %U %G %n' {} + \
    -o -type d ! -perm -555 -exec stat -c '%a %U %G %n' {} + 2>/dev/null > "$work/closed"
report closed < "$work/closed"

find "$root/" -xdev \( "$@" \) -prune -o -type f -perm -002 -print -o -type d -perm -002 ! -perm -1000 -print \
    2>/dev/null | report open

# Private keys, by their names or lines. What packages of Python, Node and conda bring is public, and keys of tests are.
find "$root/" -xdev \( -name site-packages -o -name dist-packages -o -name node_modules -o -path "$root/app/.pixi/envs" \
    -o -name test -o -name tests -o -name testdata -o -path "$root/usr/share/doc" \) -prune -o -type f \( -name '*.keytab' -o -name munge.key -o -name '*.p12' \
    -o -name '*.pfx' -o -name 'ssh_host_*_key' -o -path '*/.ssh/id_*' ! -name '*.pub' \
    -o -path '*/private-keys-v1.d/*' \) -print \
    -o -type f -size -64 -exec grep -lE -e '^-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY( BLOCK)?-----' \
    -e '"private_key": *"-----BEGIN' -e '^PuTTY-User-Key-File-[0-9]+:' -e '^AGE-SECRET-KEY-1' {} + 2>/dev/null > "$work/keys"
report key < "$work/keys"

# Which of these files the system's packages brought, with the modes and contents that everybody gets. The lists of dpkg
# have the paths from before /bin and /lib became links to folders below /usr.
{ cut -d ' ' -f 4- "$work/closed"; cat "$work/keys"; } | sed "s,^$root/,/," > "$work/paths"
sed -n 's,^/usr/,/,p' "$work/paths" > "$work/merged"
cat "$work/merged" >> "$work/paths"
if [ -s "$work/paths" ]; then
    {
        find "$root/var/lib/dpkg/info" -name '*.list' -exec cat {} +
        rpm --root "$root/" -qal
        # shellcheck disable=SC2046 # names of packages are words
        apk --root "$root/" info -qL $(apk --root "$root/" info -q) | sed 's,^,/,'
    } 2>/dev/null | grep -Fx -f "$work/paths" | report packaged
fi

find "$root/root/.cache" "$root/root/.conda" "$root/root/.npm" "$root/root/.cargo" "$root/root/.local/share/rattler" \
    "$root/home" "$root/var/cache/apt" "$root/var/cache/apk" "$root/var/cache/dnf" "$root/var/cache/yum" \
    "$root/var/cache/pixi" "$root/var/lib/apt/lists" "$root/opt/conda/pkgs" -xdev -type f \
    ! -name lock -print 2>/dev/null | report cache
find "$root/tmp" "$root/var/tmp" -xdev ! -type d -print 2>/dev/null | report left
find "$root/root" "$root/home" "$root/etc" "$root/run" "$root/tmp" "$root/workspace" "$root/app" -xdev -type f \
    \( -name .netrc -o -name .git-credentials -o -name .pypirc -o -name .npmrc -o -path '*/.docker/config.json' \
    -o -path '*/.aws/credentials' -o -path '*/run/secrets/*' \) -print 2>/dev/null | report secret
for script in "$root/.singularity.d/env/91-environment.sh" "$root/etc/profile.d/91-environment.sh"; do
    # shellcheck disable=SC2016 # the shell that it is for puts in its own variables
    printf 'active\t%s\n' "$(env -i sh -c '. "$1"; echo "$1 $CONDA_PREFIX $PATH"' sh "$script" 2>&1 | tail -n 1)"
done
printf 'size\t%s\n' "$(du -skx "$root/" 2>/dev/null | cut -f 1)"
