# Tells what an image is like from inside, a line each: what is told, a tab, and where it is or how much.
# Usage: inspect.sh EXPRESSION. EXPRESSION is words of `find` that are true of what is not looked into.
set -f

tell() {
    while IFS= read -r found; do printf '%s\t%s\n' "$1" "$found"; done
}

find / -xdev \( "$@" \) -prune -o -type f ! -perm -444 -print -o -type d ! -perm -555 -print 2>/dev/null | tell closed
find / -xdev \( "$@" \) -prune -o -type f -perm -002 -print -o -type d -perm -002 ! -perm -1000 -print 2>/dev/null | tell open
find /root/.cache /root/.conda /root/.npm /root/.cargo /root/.local/share/rattler /home /var/cache/apt /var/cache/apk \
    /var/cache/dnf /var/cache/yum /var/cache/pixi /var/lib/apt/lists /opt/conda/pkgs -xdev -type f \
    ! -name lock -print 2>/dev/null | tell cache
find /tmp /var/tmp -xdev ! -type d -print 2>/dev/null | tell left
find /root /home /etc /run /tmp /workspace /app -xdev -type f \( -name .netrc -o -name .git-credentials -o -name .pypirc \
    -o -name .npmrc -o -name 'id_*' ! -name '*.pub' -path '*/.ssh/*' -o -path '*/.docker/config.json' \
    -o -path '*/.aws/credentials' -o -path '/run/secrets/*' \) -print 2>/dev/null | tell secret
for script in /.singularity.d/env/91-environment.sh /etc/profile.d/91-environment.sh; do
    # shellcheck disable=SC2016 # the shell that it is for puts in its own variables
    printf 'active\t%s\n' "$(env -i sh -c '. "$1"; echo "$1 $CONDA_PREFIX $PATH"' sh "$script" 2>&1 | tail -n 1)"
done
printf 'size\t%s\n' "$(du -skx / 2>/dev/null | cut -f 1)"
