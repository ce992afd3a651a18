#!/usr/bin/env bash
# Compiles the tests and runs them in lanes, several at once. Each lane has an engine to itself, since
# many tests compare what is on it before and after. A lane's engine is started for the time of the
# tests: this machine's dockerd once more, with a storage and a network namespace of its own. The lane's
# tests run in that namespace too, so that 127.0.0.1 is the same for both. The machine's own engine
# gives its images and is otherwise left alone.
#
# Where such engines cannot be had (no root, an engine elsewhere or of another version) there is one
# lane, with the machine's engine; BREAKEVEN_TEST_LANES=1 asks for that. Arguments are texts: only
# what has one of them in its name is run.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
readonly script=test
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
cd "$here/.."
readonly cargo=${CARGO:-cargo}
# Tests that take long and leave processors idle are handed out one by one. Of other programs one
# program is one piece of work.
readonly one_by_one=" real private "
readonly longest="every_strategy_hits|four_tasks|each_commit_is_built|killed_in_any_phase|layers_in_a_repo"
readonly images=(breakeven-fixture-base:1 breakeven-engine:modern)
readonly wait_s=60

dir=""     # of the queue, the logs and the engines
names=()   # the engines' network namespaces
daemons=() # the engines' processes, in the order in which they are ended
lanes=()   # the lanes' processes

clean_up() {
    local pid name place
    for pid in "${lanes[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${daemons[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    for name in "${names[@]}"; do ip netns delete "$name" || true; done
    [[ -n $dir ]] || return 0
    # What an engine that was ended in the middle of a build left.
    pkill -KILL -f -- "-address $dir/" || true
    while read -r place; do umount --lazy "$place" || true; done < \
        <(awk -v dir="$dir/" 'index($2, dir) == 1 { print $2 }' /proc/mounts | tac)
    rm -rf --one-file-system "$dir"
}

# ------------------------------------------------------------------- engines

# Why there is nothing but the machine's engine; empty if others can be started.
only_one_because() {
    local program server
    if [[ ${BREAKEVEN_TEST_LANES-} = 1 ]]; then echo "as asked for" && return; fi
    if ! is_root; then echo "not root" && return; fi
    for program in dockerd containerd ip nsenter setpriv python3; do
        have "$program" || { echo "no $program here" && return; }
    done
    if [[ -n ${DOCKER_HOST-} || $(docker context show 2>/dev/null || echo default) != default ]]; then
        echo "the engine is one that was chosen" && return
    fi
    [[ -d $(docker info --format '{{.DockerRootDir}}') ]] ||
        { echo "the engine's storage is not on this machine" && return; }
    server=$(docker version --format '{{.Server.Version}}')
    # Tests hold what an engine of this version does against snapshots.
    [[ $(dockerd --version) = *" $server,"* ]] || echo "the engine is $server, dockerd here is another"
}

# Starts a lane's engine; its socket is $dir/LANE/docker.sock.
start_engine() {
    local at=$dir/$1 name=breakeven-test-$$-$1 enter server servers names_pid containerd deadline=$((SECONDS + wait_s))
    mkdir "$at"
    ip netns add "$name"
    names+=("$name")
    # In a session of their own, so that Ctrl-C leaves them to clean_up, which ends them in order; and
    # they end with this script, however it ends. GOGC: each step of a build is a new process of
    # dockerd's, which sweeps its memory again and again while it starts, a fifth of its time.
    enter=(nsenter "--net=/run/netns/$name" setsid setpriv --pdeathsig TERM env GOGC=400)
    "${enter[@]}" ip link set lo up
    # In the place of the machine's name servers, and of those that dockerd falls back on.
    mapfile -t servers < <({
        sed -n 's/^nameserver  *\([0-9.]*\)$/\1/p' /etc/resolv.conf /run/systemd/resolve/resolv.conf 2>/dev/null
        printf '%s\n' 8.8.8.8 8.8.4.4
    } | grep -v '^127\.' | sort -u)
    for server in "${servers[@]}"; do "${enter[@]}" ip address replace "$server" dev lo; done
    "${enter[@]}" "$here/no-names.py" "${servers[@]}" &
    names_pid=$!
    cat >"$at/containerd.toml" <<TOML
version = 2
root = "$at/containerd"
state = "$at/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "$at/containerd.sock"
TOML
    echo '{}' >"$at/daemon.json"
    "${enter[@]}" containerd --config "$at/containerd.toml" >"$at/containerd.log" 2>&1 &
    containerd=$!
    until [[ -S $at/containerd.sock ]] || ((SECONDS >= deadline)); do sleep 0.05; done
    "${enter[@]}" dockerd --config-file "$at/daemon.json" --containerd "$at/containerd.sock" \
        --data-root "$at/data" --exec-root "$at/exec" --pidfile "$at/pid" \
        --storage-driver "$(docker info --format '{{.Driver}}')" --host "unix://$at/docker.sock" \
        >"$at/dockerd.log" 2>&1 &
    daemons+=("$!" "$containerd" "$names_pid")
    until docker --host "unix://$at/docker.sock" version >/dev/null 2>&1; do
        if ((SECONDS >= deadline)); then
            tail -n 20 "$at/containerd.log" "$at/dockerd.log" >&2
            die "an engine for tests does not start" "with the machine's alone: BREAKEVEN_TEST_LANES=1"
        fi
        sleep 0.1
    done
    docker save "${images[@]}" | docker --host "unix://$at/docker.sock" load --quiet >/dev/null
}

# ---------------------------------------------------------------------- work

# The programs with tests, one a line.
programs() {
    "$cargo" test --locked --all-features --lib --bins --tests --no-run \
        --message-format=json-render-diagnostics |
        sed -n '/"profile":{[^}]*"test":true}/s/.*"executable":"\([^"]*\)".*/\1/p'
}

# What is to be done, one a line: a program and, of those that take long, one of its tests.
queue() {
    local program name
    while read -r program; do
        name=${program##*/}
        if [[ $one_by_one = *" ${name%-*} "* ]]; then
            "$program" --list --format terse | sed -n "s|\(.*\): test$|$program \1|p"
        else
            echo "$program"
        fi
    done
}

# The same in the order in which it is begun: what is short comes last, so that lanes end together.
in_order() {
    awk -v longest="$longest" '{ print ($0 ~ longest ? 1 : NF > 1 ? 2 : 3) " " $0 }' |
        sort --stable --key 1,1n | cut -d ' ' -f 2-
}

# Of the queue's lines those that were asked for.
chosen() {
    local text texts=()
    for text; do texts+=(-e "$text"); done
    if (($#)); then grep -F "${texts[@]}"; else cat; fi
}

# Does work until there is none. What fails says all of its output.
lane() {
    local number=$1 began log program test shown taken
    shift
    exec 8>"$dir/turn"
    while {
        flock 8
        read -r program test <&7 && taken=yes || taken=no
        flock --unlock 8
        [[ $taken = yes ]]
    }; do
        shown=${program##*/}
        shown="${shown%-*}${test:+ $test}"
        # Two programs are called breakeven; what follows the name tells them apart.
        log="$dir/logs/${program##*-}${test:+_${test//:/_}}"
        began=$SECONDS
        if "$@" "$program" ${test:+--exact "$test"} >"$log" 2>&1 </dev/null 7<&- 8>&-; then
            # What a test wrote beside it is for whoever looks at a failure.
            printf 'ok %4d s  %s  (lane %s)\n%s\n' \
                $((SECONDS - began)) "$shown" "$number" "$(grep -E '^(running|test) ' "$log")"
        else
            echo "$shown" >>"$dir/failed"
            printf 'FAILED after %d s: %s (lane %s)\n%s\n' \
                $((SECONDS - began)) "$shown" "$number" "$(<"$log")"
        fi
    done
}

main() {
    local count number enter reason passed
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    reason=$(only_one_because)
    # A layer's place is beside the machine's own layers: not every file system can hold them.
    if [[ -z $reason ]]; then
        count=${BREAKEVEN_TEST_LANES:-$(nproc)}
        dir=$(mktemp -d "$(dirname "$(docker info --format '{{.DockerRootDir}}')")/breakeven-test.XXXXXX")
    else
        say "one lane, with the machine's engine: $reason"
        count=1
        dir=$(mktemp -d)
    fi
    mkdir "$dir/logs"
    programs >"$dir/programs"
    queue <"$dir/programs" | in_order | chosen "$@" >"$dir/queue" || die "no test is called so: $*"
    # All lanes read from one place in one file.
    exec 7<"$dir/queue"
    # As cargo has it for programs that it runs.
    export CARGO_MANIFEST_DIR=$PWD
    for ((number = 1; number <= count; number++)); do
        enter=(env)
        if [[ -z $reason ]]; then
            start_engine "$number"
            enter=(nsenter "--net=/run/netns/${names[-1]}" setpriv --pdeathsig TERM
                env "DOCKER_HOST=unix://$dir/$number/docker.sock")
        fi
        lane "$number" "${enter[@]}" &
        lanes+=("$!")
    done
    wait "${lanes[@]}"
    lanes=()
    [[ ! -e $dir/failed ]] || die "failed:" "$(<"$dir/failed")"
    passed=$(awk '/^test result: ok/ { passed += $4 } END { print passed }' "$dir"/logs/*)
    say "$passed tests passed in $SECONDS s, $count lane(s)"
}

main "$@"
