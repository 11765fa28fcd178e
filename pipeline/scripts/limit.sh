# Runs a command with a time limit, in any image with a shell. Usage: limit.sh SECONDS EXIT-CODE COMMAND...
# Exits with 0 when the command has the expected exit code. Otherwise it exits with 1, and its last line has the actual
# exit code or "time": so the engine caches no failure, whichever exit code is expected.
seconds=$1 expected=$2
shift 2
trap 'printf "\nlimit: time\n" >&2; exit 1' USR1
"$@" &
command=$!
# Processes that still run when this script ends are killed with its container.
(sleep "$seconds"; kill -USR1 $$) >/dev/null 2>&1 &
wait "$command"
code=$?
[ "$code" != "$expected" ] || exit 0
printf '\nlimit: %s\n' "$code" >&2
exit 1
