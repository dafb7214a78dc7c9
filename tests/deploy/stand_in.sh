#!/bin/bash
# Stands in for docker, nuctl, kubectl and others: records its command line, and answers as the newest rule says whose
# pattern matches. A rule is a folder: pattern, stdout, stderr, status, seconds (to hang), container (what a deployment
# leaves: id, status, restarts, health), state (what Nuclio has stored then).
PATH=/usr/bin:/bin # of its own: the machine under test has only its stand-ins
tool=${0##*/}
line="$tool $*"
echo "$line" >> "$STAND_INS/calls"
[[ ! ${KUBECONFIG:-} ]] || echo "$(< "$KUBECONFIG") $line" >> "$STAND_INS/contexts"

shopt -s nullglob
for rule in "$STAND_INS"/{rules,healthy}/*; do
    read -r pattern < "$rule/pattern"
    [[ $line =~ $pattern ]] && break
    rule=
done
[[ $rule ]] || { echo "stand-in: nothing is said about: $line" >&2; exit 99; }

read -r seconds < "$rule/seconds"
read -r status < "$rule/status"
read -r state < "$rule/state"
[[ $line =~ ^nuctl\ (deploy|get\ function|delete\ function)\ ([^ ]+)\  ]] && function=${BASH_REMATCH[2]}

# As nuctl, whose default builder is Docker: in a cluster too it asks for its version first.
if [[ $line == "nuctl deploy "*" --platform kube "* && ${NUCLIO_CONTAINER_BUILDER_KIND:-docker} == docker && ! -x ${0%/*}/docker ]]; then
    printf '\nError - exit status 127\n    .../cmdrunner/shellrunner.go:114\n/bin/sh: 1: docker: not found\n' >&2
    exit 1
fi

# What a deployment leaves behind: the container, and what Nuclio has stored, with what it fills in and the port that CVAT
# reads there.
if [[ $line == "nuctl deploy "* ]]; then
    file=${line#* --file } file=${file%% --run-image *}
    cp "$file" "$STAND_INS/deployed.${EPOCHREALTIME/./}.yaml"
    [[ $state || $status$seconds != 00 ]] || state=ready
    port=$(sed -nE 's/^ +port: ([0-9]+)$/\1/p' "$file")
    [[ $state == ready ]] || port=
    filled="  build: {functionConfigPath: ${file//\//\\/}}\n  disableDefaultHTTPTrigger: false\n  targetCPU: 75"
    grep -q '^  resources:' "$file" || filled+="\n  resources: {requests: {cpu: 25m, memory: 1Mi}}"
    { sed "s/^spec:$/&\n$filled/" "$file" && printf 'status:\n  state: %s\n  httpPort: %s\n' "${state:-error}" "${port:-0}"; } > "$STAND_INS/nuclio.$function"
    [[ $status != 0 ]] || printf '  internalInvocationUrls: ["%s:8080"]\n' "nuclio-$function" >> "$STAND_INS/nuclio.$function"
    sed "s/NEW/${EPOCHREALTIME/./}/" "$rule/container" > "$STAND_INS/container.$function"
fi
[[ $line != "nuctl delete "* ]] || rm -f "$STAND_INS/nuclio.$function" "$STAND_INS/container.$function"

# A forwarded port is open for as long as kubectl runs.
if [[ $line == *" port-forward "* && $status == 0 ]]; then
    echo "$$" >> "$STAND_INS/forwarding"
    exec python3 "$FORWARDING" "$(cat "$rule/stdout")"
fi

[[ $seconds == 0 ]] || exec sleep "$seconds"
mapfile out < "$rule/stdout"
mapfile err < "$rule/stderr"
deployed=("" "$STAND_INS"/deployed.*)
out=("${out[@]//LATEST/${deployed[-1]##*/}}") # in a pod's name: each deployment has a pod of its own

# As Docker: there is no log without a container.
if [[ $line == "docker logs "* && ! -s $STAND_INS/container.${line##*nuclio-nuclio-} ]]; then
    echo "Error response from daemon: No such container: ${line##* }" >&2 && exit 1
fi
printf %s "${out[@]}"
printf %s "${err[@]}" >&2

# Where no rule says otherwise, Docker and Nuclio tell what the last deployment left.
if [[ $status == 0 && ! ${out[*]} ]]; then
    case $line in
        "docker inspect "*RestartCount*)
            file=$STAND_INS/container.${line##*nuclio-nuclio-}
            [[ -s $file ]] && exec cat "$file"
            echo "Error: No such object: ${line##* }" >&2 && exit 1 ;;
        "nuctl get function "*"--output yaml"*) [[ ! -f $STAND_INS/nuclio.$function ]] || exec cat "$STAND_INS/nuclio.$function" ;;
        "docker exec --interactive "*" python3 - "*) # what CVAT reads of the dashboard
            said=
            for file in "$STAND_INS"/nuclio.*; do
                [[ -f $file ]] || continue
                said+=", \"${file##*/nuclio.}\": {\"state\": \"$(sed -n 's/^  state: //p' "$file")\","
                said+=" \"port\": $(sed -n 's/^  httpPort: //p' "$file"), \"error\": \"\"}"
            done
            echo "{\"functions\": {${said#, }}}" && exit ;;
    esac
    if [[ $line == "nuctl get function "* ]]; then
        echo "No functions found" && exit 1
    fi
fi
exit "$status"
