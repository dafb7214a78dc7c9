#!/usr/bin/env bash
# Stands in for docker, nuctl, kubectl and others: records its command line, and answers as the newest rule says whose
# pattern matches. A rule is a folder: pattern, stdout, stderr, status, seconds (to hang), container (what a deployment
# leaves: id, status, restarts, health).
tool=${0##*/}
line="$tool $*"
echo "$line" >> "$STAND_INS/calls"

for rule in "$STAND_INS"/rules/*; do
    read -r pattern < "$rule/pattern"
    [[ $line =~ $pattern ]] && break
    rule=
done
[[ $rule ]] || { echo "stand-in: nothing is said about: $line" >&2; exit 99; }

# What a build and a deployment leave behind.
if [[ $line =~ --iidfile\ ([^ ]+) ]]; then
    echo "sha256:$(cat "$STAND_INS/image_id")" > "${BASH_REMATCH[1]}"
fi
if [[ $line =~ ^nuctl\ deploy\ ([^ ]+).*--file\ ([^ ]+) ]]; then
    cp "${BASH_REMATCH[2]}" "$STAND_INS/deployed.${EPOCHREALTIME/./}.yaml"
    sed "s/NEW/${EPOCHREALTIME/./}/" "$rule/container" > "$STAND_INS/container.${BASH_REMATCH[1]}"
fi
[[ $line =~ ^docker\ inspect\ .*RestartCount.*\ nuclio-nuclio-(.*)$ ]] && exec cat "$STAND_INS/container.${BASH_REMATCH[1]}"

read -r seconds < "$rule/seconds"
[[ $seconds == 0 ]] || exec /bin/sleep "$seconds"
mapfile out < "$rule/stdout"
mapfile err < "$rule/stderr"
printf %s "${out[@]}"
printf %s "${err[@]}" >&2
read -r status < "$rule/status"
exit "$status"
