# Runs groups of tests one after the other: `group NAME SECONDS COMMAND` for each, then $failed says whether one failed, and
# $state can go. One that takes longer is told with what runs, and ended, and those after it are not run: what it leaves
# would be in their way. libtest has named by then which tests take long.
failed=0
state=$(mktemp -d)

# Tells and ends a group that takes too long, until it is ended itself.
watch() {
    trap 'kill $sleep; exit' TERM
    sleep "$2" > /dev/null 2>&1 &
    sleep=$!
    wait
    : > "$state/over"
    echo "guest-test: group $1 did not end within $2 s; processes are:"
    ps -e -o pid,ppid,stat,args | grep -v '\]$' | cut -c 1-150
    kill -9 "$(cat "$state/group")"
}

group() {
    if [ -e "$state/over" ]; then
        echo "guest-test: group $1 was not run"
        return
    fi
    echo "guest-test: group $1"
    begin=$(date +%s)
    watch "$1" "$2" &
    watch=$!
    (
        sh -c 'echo $PPID' > "$state/group"
        eval "$3"
    )
    status=$?
    kill "$watch" 2> /dev/null
    echo "guest-test: group $1 ended with $status after $(($(date +%s) - begin)) s"
    [ "$status" = 0 ] || failed=1
}
