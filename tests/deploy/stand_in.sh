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

read -r seconds < "$rule/seconds"
read -r status < "$rule/status"
function=$(sed -nE 's/^nuctl (deploy|get function|delete function) ([^ ]+) .*/\2/p' <<< "$line")

# What a deployment leaves behind: the container, and what Nuclio has stored.
if [[ $line == "nuctl deploy "* ]]; then
    file=${line#* --file } file=${file%% --run-image *}
    cp "$file" "$STAND_INS/deployed.${EPOCHREALTIME/./}.yaml"
    state=ready
    [[ $status$seconds == 00 ]] || state=error
    { cat "$file" && printf 'status:\n  state: %s\n' "$state"; } > "$STAND_INS/nuclio.$function"
    sed "s/NEW/${EPOCHREALTIME/./}/" "$rule/container" > "$STAND_INS/container.$function"
fi
[[ $line != "nuctl delete "* ]] || rm -f "$STAND_INS/nuclio.$function" "$STAND_INS/container.$function"

# A forwarded port is open for as long as kubectl runs.
if [[ $line == *" port-forward "* && $status == 0 ]]; then
    echo "$$" >> "$STAND_INS/forwarding"
    exec python3 "$FORWARDING" "$(cat "$rule/stdout")"
fi

[[ $seconds == 0 ]] || exec /bin/sleep "$seconds"
mapfile out < "$rule/stdout"
mapfile err < "$rule/stderr"
printf %s "${out[@]}"
printf %s "${err[@]}" >&2

# Where no rule says otherwise, Docker and Nuclio tell what the last deployment left.
if [[ $status == 0 && ! ${out[*]} ]]; then
    case $line in
        "docker inspect "*RestartCount*) exec cat "$STAND_INS/container.${line##*nuclio-nuclio-}" ;;
        "nuctl get function "*"--output yaml"*) [[ ! -f $STAND_INS/nuclio.$function ]] || exec cat "$STAND_INS/nuclio.$function" ;;
    esac
    if [[ $line == "nuctl get function "* ]]; then
        echo "Error - No functions found" >&2 && exit 1
    fi
fi
exit "$status"
