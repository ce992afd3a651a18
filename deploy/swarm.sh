#!/usr/bin/env bash
# One run as a job of a Docker Swarm, a task for each part, then merged.
#
#   IMAGE=registry.example/ci/breakeven:1 CONFIG=/srv/ci PARTS_IN=/srv/parts deploy/swarm.sh
#
# Also: PARTS (4), AT_ONCE (as many as there are nodes), NAME, SOCKET, and ENV_FILE, a file with
# variables for the tasks such as those of a storage.
#
# CONFIG and PARTS_IN are folders that every node has at the same place (a network file system);
# CONFIG holds breakeven.toml and its context, PARTS_IN is where run directories are written. The
# image has breakeven and a shell. Each task uses its own node's engine. Prints the folder of the merged
# run, and ends with the exit code of its merge: 4 where some samples failed.
set -euo pipefail

: "${IMAGE:?an image with breakeven in it}"
: "${CONFIG:?the folder with breakeven.toml and its context}"
: "${PARTS_IN:?the folder for the run directories}"
parts=${PARTS:-4}
name=${NAME:-breakeven-$(date +%Y%m%d-%H%M%S)}
# Where each node's engine listens.
socket=${SOCKET:-/var/run/docker.sock}

# Two tasks on one engine disturb each other. The nodes that there are can work at once.
at_once=${AT_ONCE:-$(docker node ls --quiet | wc -l)}

# Swarm gives each task its slot and the id of its service, from which the seed comes.
# The network is the node's own, so that a registry that a run starts is where its engine looks.
# What comes behind the image's name is not expanded by Swarm, but by the shell in the task.
# shellcheck disable=SC2016
docker service create --quiet --detach --name "$name" \
    --mode replicated-job --replicas "$parts" --max-concurrent "$at_once" \
    --restart-condition none --network host \
    --env 'TASK_SLOT={{.Task.Slot}}' --env "TASK_SLOTS=$parts" \
    --env 'SERVICE_ID={{.Service.ID}}' --env "NAME=$name" ${ENV_FILE:+--env-file "$ENV_FILE"} \
    --mount "type=bind,source=$socket,target=/var/run/docker.sock" \
    --mount "type=bind,source=$CONFIG,target=/config,readonly" \
    --mount "type=bind,source=$PARTS_IN,target=/parts" \
    --entrypoint sh "$IMAGE" \
    -ec 'breakeven run /config/breakeven.toml --shard auto --out "/parts/$NAME/$TASK_SLOT" & run=$!
        # What ends the task is for the run, which removes what it made from the engine.
        trap "kill \$run" TERM
        code=0
        wait "$run" || code=$?
        # A signal ends that wait before the run has ended.
        if kill -0 "$run" 2>/dev/null; then code=0; wait "$run" || code=$?; fi
        # 4: done, though some samples failed.
        [ "$code" -eq 4 ] || exit "$code"' \
    >/dev/null

# With restarts switched off a task that failed is not tried again, and may keep others from being
# started. One that ended with 4 has a part with some samples that failed, which is no such task.
states() { docker service ps --format '{{.CurrentState}}' "$name" | cut -d ' ' -f 1; }
while
    seen=$(states)
    complete=$(grep -c '^Complete$' <<<"$seen" || true)
    ended=$(grep -c -E '^(Complete|Failed|Rejected|Shutdown|Orphaned|Remove)$' <<<"$seen" || true)
    failed=$((ended - complete))
    all=$(grep -c . <<<"$seen" || true)
    ((complete < parts && (failed == 0 || ended < all)))
do sleep 1; done
if ((failed > 0)); then
    docker service ps --no-trunc "$name" >&2
    docker service logs --raw "$name" >&2 || true
fi
docker service rm "$name" >/dev/null

# Fails, and says what is missing, where a part is not there or not complete.
code=0
docker run --rm --mount "type=bind,source=$PARTS_IN,target=/parts" --network none \
    --entrypoint sh "$IMAGE" \
    -ec "exec breakeven merge /parts/$name/* --out /parts/$name-whole" || code=$?
((code == 0 || code == 4)) || exit "$code"
echo "$PARTS_IN/$name-whole"
exit "$code"
