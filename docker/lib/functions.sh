# One function's deployment, and the way back. Sourced by deploy.sh.
# shellcheck shell=bash

# What is deployed, and what was before: rendered function.yaml files, each naming its image.
current_of() { echo "$state_dir/$1.current.yaml"; }
previous_of() { echo "$state_dir/$1.previous.yaml"; }

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

# port_in FUNCTION RENDERED: the port it is deployed on; in Kubernetes, where it has none, a free one for the smoke test.
port_in() {
    sed -n 's/^ *port: //p' "$2" | grep . || port_of "$1"
}

# render FUNCTION: prints the function.yaml to deploy; prepare puts the image's name in.
render() {
    local -a options=(--platform "$platform" --namespace "$namespace" --image not-built-yet --device "$device")
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
        existing_image "$1"
    fi
    sed -i "s|^  image: .*|  image: $image|" "$rendered"
    if [[ $dry_run ]]; then
        say "the function.yaml that is deployed:"
        cat "$rendered"
    fi
}

# The platform is always named: nuctl's own choice follows whatever kubeconfig it finds.
nuctl_here() { nuctl "$@" --platform "$platform" --namespace "$namespace"; }

remove_function() { run nuctl delete function "$1" --force --platform "$platform" --namespace "$namespace"; }

ensure_project() {
    if [[ $dry_run ]] || ! nuctl_here get project cvat 2> /dev/null | grep -qw cvat; then
        run nuctl create project cvat --platform "$platform" --namespace "$namespace"
    fi
}

# A run that was interrupted leaves a function that Nuclio takes for being built, and refuses to deploy.
clear_stuck() {
    if nuctl_here get function "$1" --output json 2> /dev/null | grep -qE '"state": *"(building|waitingForBuild|waitingForResourceConfiguration|configuringResources)"'; then
        say "$1 is stuck in an earlier deployment: cleared"
        remove_function "$1"
    fi
}

# read_deploy_command FUNCTION RENDERED: sets command. Without build keys and path nuctl builds nothing.
read_deploy_command() {
    command=(deploy "$1" --project-name cvat --file "$2" --run-image "$(image_in "$2")" --platform "$platform" --namespace "$namespace")
}

# start FUNCTION RENDERED: deploys the rendered file and waits. Fails with the container's log.
start() {
    local identity status=0
    local -a command
    read_deploy_command "$1" "$2"
    clear_stuck "$1"
    identity=$("${platform}_identity" "$1")
    # nuctl writes a temporary file where it runs.
    show nuctl "${command[@]}"
    (cd "$work" && exec nuctl "${command[@]}") &
    nuctl_job=$!
    while kill -0 "$nuctl_job" 2> /dev/null; do
        if "${platform}_crashed" "$1" "$identity"; then
            stop_nuctl
            break
        fi
        sleep 1
    done
    wait "$nuctl_job" || status=$?
    nuctl_job=
    if ((status == 0)) && "${platform}_ready" "$1"; then return; fi
    say "$1 did not come up; its log:"
    "${platform}_logs" "$1" | sed 's/^/     | /'
    return 1
}

stop_nuctl() { [[ ! $nuctl_job ]] || kill "$nuctl_job" 2> /dev/null || true; }

# smoke FUNCTION RENDERED: two real requests; sets timing to their milliseconds.
smoke() {
    local status=0
    "${platform}_open" "$1" "$(port_in "$1" "$2")"
    timing=$("$python" -m promptable.deploy smoke "$2" "$function_url") || status=$?
    "${platform}_close"
    return "$status"
}

# deploy_function FUNCTION: deploys what prepare has rendered, checks it, and goes back if that fails.
deploy_function() {
    local rendered=$work/$1.yaml started=$SECONDS
    step "$1"
    if cmp -s "$rendered" "$(current_of "$1")" && "${platform}_ready" "$1" && smoke "$1" "$rendered"; then
        say "unchanged and ready: left alone"
        report "$1" "$rendered" unchanged
        return
    fi
    if start "$1" "$rendered" && smoke "$1" "$rendered"; then
        remember "$1" "$rendered"
        "${platform}_check_reachable" "$1" "$(port_in "$1" "$rendered")"
        report "$1" "$rendered" "$((SECONDS - started)) s"
        return
    fi
    timing="- -"
    restore "$1"
    report "$1" "$rendered" "$restored"
    return 1
}

remember() {
    local current
    current=$(current_of "$1")
    cmp -s "$2" "$current" && return # the same once more, after its container was lost
    [[ ! -f $current ]] || mv "$current" "$(previous_of "$1")"
    cp "$2" "$current"
    remove_old_images "$1"
}

# Brings back what was deployed before this run; a function that never ran is removed, or it would restart for ever.
restore() {
    local current
    current=$(current_of "$1")
    restored=failed
    if [[ -f $current ]]; then
        say "bringing back $(image_in "$current")"
        start "$1" "$current" && restored=restored
    else
        remove_function "$1" || true
    fi
}

roll_back() {
    local previous current
    previous=$(previous_of "$1")
    current=$(current_of "$1")
    step "$1"
    [[ -f $previous ]] || die "nothing was deployed before the present $1" "deploy the version you want with ./deploy.sh"
    say "back to $(image_in "$previous")"
    [[ $dry_run ]] && return
    cp "$previous" "$work/$1.yaml"
    if ! { start "$1" "$work/$1.yaml" && smoke "$1" "$work/$1.yaml"; }; then
        restore "$1"
        die "the previous $1 does not come up: the present one is $restored" "./deploy.sh logs $1"
    fi
    mv "$current" "$previous"
    cp "$work/$1.yaml" "$current"
    report "$1" "$current" rolled-back
}

# report FUNCTION RENDERED HOW: a row of the table; timing holds the two calls.
report() {
    local first second model tag
    read -r first second <<< "$timing"
    model=$(models_in "$2" | head -n 1)
    tag=$(image_in "$2")
    tag=${tag##*:} # gpu-0123456789ab
    table+=("$(printf '%-16s %-16s %-6s %-6s %-11s %10s %10s' "$1" "$model" "${tag%%-*}" "$(port_in "$1" "$2")" "$3" "$first" "$second")")
}

print_table() {
    step "deployed"
    printf '%-16s %-16s %-6s %-6s %-11s %10s %10s\n' function model device port ready "first ms" "second ms"
    printf '%s\n' "${table[@]}"
}
