# Prints the state of files. Usage: files.sh [TEXT PATH]..., with "yes" as TEXT to print the file's text as well.
# For each path it prints its kind, its mode and owner, and its text; a zero byte ends each of the three.
while [ $# -gt 0 ]; do
    with_text=$1 path=$2
    shift 2
    if [ -d "$path" ]; then kind=folder; elif [ -f "$path" ]; then kind='file'; elif [ -e "$path" ]; then kind=other; else kind=; fi
    printf '%s\0%s\0' "$kind" "$([ -z "$kind" ] || stat -L -c '%a %U %u' "$path")"
    if [ "$with_text $kind" = "yes file" ]; then
        head -c 1000000 "$path" | tr -d '\000'
    fi
    printf '\0'
done
