# Prints the state of an image as its files show it, one fact a line: its class, a tab, and a path or value.
# Usage: inspect.sh EXPRESSION. EXPRESSION is an expression of `find` for paths to leave out.
set -f

report() {
    while IFS= read -r path; do printf '%s\t%s\n' "$1" "$path"; done
}

find / -xdev \( "$@" \) -prune -o -type f ! -perm -444 -print -o -type d ! -perm -555 -print 2>/dev/null | report closed
find / -xdev \( "$@" \) -prune -o -type f -perm -002 -print -o -type d -perm -002 ! -perm -1000 -print 2>/dev/null | report open
find /root/.cache /root/.conda /root/.npm /root/.cargo /root/.local/share/rattler /home /var/cache/apt /var/cache/apk \
    /var/cache/dnf /var/cache/yum /var/cache/pixi /var/lib/apt/lists /opt/conda/pkgs -xdev -type f \
    ! -name lock -print 2>/dev/null | report cache
find /tmp /var/tmp -xdev ! -type d -print 2>/dev/null | report left
find /root /home /etc /run /tmp /workspace /app -xdev -type f \( -name .netrc -o -name .git-credentials -o -name .pypirc \
    -o -name .npmrc -o -name 'id_*' ! -name '*.pub' -path '*/.ssh/*' -o -path '*/.docker/config.json' \
    -o -path '*/.aws/credentials' -o -path '/run/secrets/*' \) -print 2>/dev/null | report secret
for script in /.singularity.d/env/91-environment.sh /etc/profile.d/91-environment.sh; do
    # shellcheck disable=SC2016 # the shell that it is for puts in its own variables
    printf 'active\t%s\n' "$(env -i sh -c '. "$1"; echo "$1 $CONDA_PREFIX $PATH"' sh "$script" 2>&1 | tail -n 1)"
done
printf 'size\t%s\n' "$(du -skx / 2>/dev/null | cut -f 1)"
