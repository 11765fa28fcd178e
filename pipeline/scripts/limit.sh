# Runs a command with a time limit, in whatever image has a shell: limit.sh SECONDS EXIT-CODE COMMAND...
# Ends with 0 when the command exited as it should. Otherwise it ends with 1, and its last line says how the command
# ended: so the engine takes it for a failure, does not keep it, and yet the exit code that was expected may be any.
seconds=$1 expected=$2
shift 2
trap 'printf "\nlimit: time\n" >&2; exit 1' USR1
"$@" &
command=$!
# Whatever is still running when this script ends is killed with its container.
(sleep "$seconds"; kill -USR1 $$) >/dev/null 2>&1 &
wait "$command"
code=$?
[ "$code" != "$expected" ] || exit 0
printf '\nlimit: %s\n' "$code" >&2
exit 1
