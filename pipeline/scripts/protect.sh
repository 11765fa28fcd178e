# Removes the permission of others to change files, and makes folders sticky that all may write to: nobody can change
# or remove what is another's. Usage: protect.sh ROOT EXPRESSION. EXPRESSION is an expression of `find` for paths to
# leave out. Needs a POSIX shell, find and chmod.
#
# No file is opened: one that is private may be so on purpose, and scripts/inspect.sh reports it. chmod runs only where
# a mode has to change: each file that it touches is written to the layer again.
root=$1
shift
find "$root" -xdev \( "$@" \) -prune \
    -o -type f -perm -002 -exec chmod o-w {} + \
    -o -type d -perm -002 ! -perm -1000 -exec chmod +t {} +
