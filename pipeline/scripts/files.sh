# Tells what files are like: files.sh TEXT PATH..., where TEXT is yes for a file whose text is wanted.
# For each it prints what it is, its mode and owner, and its text, each ended by a zero byte.
while [ $# -gt 0 ]; do
    wanted=$1 path=$2
    shift 2
    if [ -d "$path" ]; then kind=folder; elif [ -f "$path" ]; then kind='file'; elif [ -e "$path" ]; then kind=other; else kind=; fi
    printf '%s\0%s\0' "$kind" "$([ -z "$kind" ] || stat -L -c '%a %U %u' "$path")"
    if [ "$wanted $kind" = "yes file" ]; then
        head -c 1000000 "$path" | tr -d '\000'
    fi
    printf '\0'
done
