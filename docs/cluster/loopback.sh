#!/usr/bin/env bash
# Trains with several processes on this machine, as if each were a machine of its own.
#   NUM_WORKERS=2 PORT=12000 docs/cluster/loopback.sh tfav-train --config=FILE:VARIANT --workdir=DIR ...
# SIGTERM is handed on to all of them. The exit code is that of the first worker that failed, or 0.
set -u
num=${NUM_WORKERS:-2}
port=${PORT:-12000}

workers=$(seq -s, "$port" $((port + num - 1)) | sed 's/\([0-9]*\)/"localhost:\1"/g')
pids=()
for ((i = 0; i < num; i++)); do
  TF_CONFIG="{\"cluster\": {\"worker\": [$workers]}, \"task\": {\"type\": \"worker\", \"index\": $i}}" \
    "$@" --strategy=multi_worker &
  pids+=($!)
done
trap 'kill -TERM "${pids[@]}" 2>/dev/null' TERM INT

code=0
for pid in "${pids[@]}"; do
  wait "$pid"
  ended=$?
  while kill -0 "$pid" 2>/dev/null; do # a signal came while we waited
    wait "$pid"
    ended=$?
  done
  [ "$code" -ne 0 ] || code=$ended
done
exit "$code"
