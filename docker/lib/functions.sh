# One function's deployment, and the way back. Sourced by deploy.sh.
# shellcheck shell=bash

# What is deployed, and what was before: rendered function.yaml files, each naming its image.
state_of() { echo "$state_dir/$1.current.yaml"; }
previous_of() { echo "$state_dir/$1.previous.yaml"; }

# What Nuclio reports counts where it differs from what this user deployed last.
current_of() {
    if [[ -f $work/$1.reported.yaml ]]; then
        echo "$work/$1.reported.yaml"
    else
        state_of "$1"
    fi
}

# find_deployed FUNCTION: asks Nuclio what it runs. Somebody else, or another machine, may have deployed it.
find_deployed() {
    local said=$work/$1.said reported=$work/$1.reported.yaml
    if nuctl get function "$1" --output yaml "${place[@]}" > "$said" 2> "$said.err"; then
        "$python" -m promptable.deploy reported "$said" --known "$(state_of "$1")" > "$reported" ||
            problem "what Nuclio says about $1 cannot be read" "see the line above"
        [[ -s $reported ]] || rm "$reported"
    elif ! grep -q "No functions found" "$said" "$said.err"; then
        problem "Nuclio does not say whether $1 is deployed: $(tail -n 1 "$said.err")" "nuctl get function $1 ${place[*]}"
    fi
}

port_of() {
    local function number=0
    for function in "${all_functions[@]}"; do
        [[ $function == "$1" ]] && break
        number=$((number + 1))
    done
    if [[ $port_base ]]; then
        echo $((port_base + number))
    else
        sed -n 's/^ *port: \([0-9]*\).*/\1/p' "$repository/functions/$1/function.yaml"
    fi
}

# port_in RENDERED: the port it is deployed on; in Kubernetes it has none.
port_in() { sed -n 's/^ *port: //p' "$1"; }

# render FUNCTION: prints the function.yaml to deploy; prepare puts the image's name in.
render() {
    local -a options=(--platform "$platform" --namespace "$namespace" --image not-built-yet --device "$(device_of "$1")")
    local toleration
    [[ $platform == local ]] && options+=(--network "$network" --port "$(port_of "$1")")
    [[ $model ]] && options+=(--model "$model")
    [[ $labels ]] && options+=(--labels "$labels")
    [[ $answer_form ]] && options+=(--answer-form "$answer_form")
    [[ $redis ]] && options+=(--redis "$redis")
    [[ $redis_tls ]] && options+=(--redis-tls)
    [[ $redis_password_file ]] && options+=(--redis-password-file "$redis_password_file")
    [[ $redis_secret ]] && options+=(--redis-secret "$redis_secret")
    [[ $node_selector ]] && options+=(--node-selector "$node_selector")
    [[ $replicas ]] && options+=(--replicas "$replicas")
    [[ $pull_secret ]] && options+=(--pull-secret "$pull_secret")
    [[ $weights_pvc ]] && options+=(--weights-pvc "$weights_pvc")
    for toleration in "${tolerations[@]}"; do
        options+=(--toleration "$toleration")
    done
    "$python" -m promptable.deploy render "$repository/functions/$1/function.yaml" "${options[@]}"
}

# models_in RENDERED: one a line, the function's own first.
models_in() { awk '/name: PROMPTABLE_(MASK_)?MODEL$/ { getline; print $2 }' "$1"; }

# prepare FUNCTION: its image, and the rendered file with it. Nothing of Nuclio's is touched yet.
prepare() {
    local rendered=$work/$1.yaml
    local -a models
    if [[ $build ]]; then
        mapfile -t models < <(models_in "$rendered")
        build_function "$1" "${models[@]}"
    else
        image=${images[$1]:-}
    fi
    sed -i "s|^  image: .*|  image: $image|" "$rendered"
    if [[ $dry_run ]]; then
        say "the function.yaml that is deployed:"
        cat "$rendered"
    fi
}

remove_function() { run nuctl delete function "$1" --force "${place[@]}"; }

ensure_project() {
    if [[ $dry_run ]] || ! nuctl get project cvat "${place[@]}" 2> /dev/null | grep -qw cvat; then
        run nuctl create project cvat "${place[@]}"
    fi
}

# A run that was interrupted leaves a function that Nuclio takes for being built, and refuses to deploy.
clear_stuck() {
    if nuctl get function "$1" --output json "${place[@]}" 2> /dev/null | grep -qE '"state": *"(building|waitingForBuild|waitingForResourceConfiguration|configuringResources)"'; then
        say "$1 is stuck in an earlier deployment: cleared"
        remove_function "$1"
    fi
}

# read_deploy_command FUNCTION RENDERED: sets command. Without build keys and path nuctl builds nothing.
read_deploy_command() {
    command=(nuctl deploy "$1" --project-name cvat --file "$2" --run-image "$(image_in "$2")" "${place[@]}")
}

# start FUNCTION RENDERED: deploys the rendered file and waits. Fails with the container's log.
start() {
    clear_stuck "$1"
    if run_nuctl "$1" "$2" && "${platform}_ready" "$1"; then return; fi
    say "$1 did not come up; its log:"
    "${platform}_logs" "$1" | sed 's/^/     | /'
    return 1
}

# run_nuctl FUNCTION RENDERED: waits for nuctl, but no longer once the new container has crashed.
run_nuctl() {
    local before status=0
    local -a command
    read_deploy_command "$1" "$2"
    before=$("${platform}_identity" "$1") || true
    show "${command[@]}"
    # nuctl writes a temporary file where it runs.
    (cd "$work" && exec "${command[@]}") &
    nuctl_job=$!
    while kill -0 "$nuctl_job" 2> /dev/null; do
        if "${platform}_crashed" "$1" "$before"; then
            stop_nuctl
            break
        fi
        sleep 1
    done
    wait "$nuctl_job" || status=$?
    nuctl_job=
    return "$status"
}

stop_nuctl() { [[ ! $nuctl_job ]] || kill "$nuctl_job" 2> /dev/null || true; }

# smoke FUNCTION RENDERED: two real requests; sets timing to their milliseconds.
smoke() {
    local status=0
    "${platform}_open" "$1" "$2" || return
    timing=$("$python" -m promptable.deploy smoke "$2" "$function_url") || status=$?
    "${platform}_close"
    return "$status"
}

# deploy_function FUNCTION: deploys what prepare has rendered, unless that runs already.
deploy_function() {
    local rendered=$work/$1.yaml
    step "$1"
    if cmp -s "$rendered" "$(current_of "$1")" && "${platform}_ready" "$1" && smoke "$1" "$rendered"; then
        say "unchanged and ready: left alone"
        report "$1" "$rendered" unchanged
    else
        replace "$1" "$rendered"
    fi
}

# replace FUNCTION RENDERED: deploys it, checks it and remembers it; if it does not work, brings back what ran before.
# What fails is in the table and in failures.
replace() {
    local started=$SECONDS
    if ! { start "$1" "$2" && smoke "$1" "$2"; }; then
        drop_image "$(image_in "$2")" "$(image_in "$(current_of "$1")")" "$(image_in "$(previous_of "$1")")"
        restore "$1" "$2"
    elif ! remember "$1" "$2"; then
        failed "$1" "$2" unrecorded "it runs, but $state_dir cannot be written: rollback would not know it"
    else
        "${platform}_check_reachable" "$1" "$(port_in "$2")"
        report "$1" "$2" "$((SECONDS - started)) s"
    fi
}

# remember FUNCTION RENDERED: what was current becomes the previous one, and the image of the one before that goes.
remember() {
    local current forgotten
    current=$(current_of "$1")
    forgotten=$(image_in "$(previous_of "$1")")
    if [[ -f $current ]] && ! cmp -s "$2" "$current"; then # the same once more, if its container was lost
        put "$current" "$(previous_of "$1")" || return
    fi
    put "$2" "$(state_of "$1")" || return
    rm -f "$work/$1.reported.yaml"
    drop_image "$forgotten" "$(image_in "$2")" "$(image_in "$(previous_of "$1")")"
}

# put FILE PLACE: all of it or nothing.
put() { cp "$1" "$2.new" && mv "$2.new" "$2"; }

# restore FUNCTION RENDERED: brings back what was deployed before this run; a function that never ran is removed, or it
# would restart for ever.
restore() {
    local before
    before=$(current_of "$1")
    timing="- -"
    if [[ ! -f $before ]]; then
        remove_function "$1" || true
        failed "$1" "$2" removed "nothing ran before"
    elif say "bringing back $(image_in "$before")" && start "$1" "$before"; then
        failed "$1" "$before" restored "the one before runs again"
    else
        failed "$1" "$before" down "the one before does not come up either: nothing runs now"
    fi
}

# failed FUNCTION RENDERED HOW WHY
failed() {
    report "$1" "$2" "$3"
    failures+=("$1: $4")
}

# Those of the functions that have a previous version; a function that was named must have one.
choose_rollbacks() {
    local function
    local -a chosen=()
    for function in "${functions[@]}"; do
        if [[ -f $(previous_of "$function") ]]; then
            chosen+=("$function")
        elif [[ $named ]]; then
            problem "nothing was deployed before the present $function" "deploy the version you want with ./deploy.sh"
        fi
    done
    functions=("${chosen[@]}")
    ((${#functions[@]})) || [[ $named ]] ||
        problem "no function has a previous version in $state_dir" "deploy the version you want with ./deploy.sh"
}

roll_back() {
    step "$1"
    say "back to $(image_in "$(previous_of "$1")")"
    [[ $dry_run ]] && return
    cp "$(previous_of "$1")" "$work/$1.yaml"
    replace "$1" "$work/$1.yaml"
}

# report FUNCTION RENDERED HOW: a row of the table; timing holds the two calls.
report() {
    local first second model port
    read -r first second <<< "$timing"
    model=$(models_in "$2" | head -n 1)
    port=$(port_in "$2")
    table+=("$(printf '%-16s %-16s %-6s %-6s %-11s %10s %10s' "$1" "$model" "$(image_device "$(image_in "$2")")" "${port:--}" "$3" "$first" "$second")")
}

print_table() {
    step "deployed"
    printf '%-16s %-16s %-6s %-6s %-11s %10s %10s\n' function model device port ready "first ms" "second ms"
    printf '%s\n' "${table[@]}"
}

stop_on_failures() {
    local failure
    ((${#failures[@]})) || return 0
    for failure in "${failures[@]}"; do
        problem "not deployed: $failure" "the log above says why; ./deploy.sh logs ${failure%%:*}"
    done
    exit 1
}
