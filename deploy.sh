#!/usr/bin/env bash
# Builds, deploys, checks and smoke-tests the functions: ./deploy.sh --help is the manual.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=docker/lib/output.sh
source "$repository/docker/lib/output.sh"
# shellcheck source=docker/lib/options.sh
source "$repository/docker/lib/options.sh"
# shellcheck source=docker/lib/checks.sh
source "$repository/docker/lib/checks.sh"
# shellcheck source=docker/lib/local.sh
source "$repository/docker/lib/local.sh"
# shellcheck source=docker/lib/kube.sh
source "$repository/docker/lib/kube.sh"
# shellcheck source=docker/lib/images.sh
source "$repository/docker/lib/images.sh"
# shellcheck source=docker/lib/functions.sh
source "$repository/docker/lib/functions.sh"

manual() {
    cat << 'MANUAL'
deploy.sh - bring the functions into CVAT's model list, on Docker or on Kubernetes

  ./deploy.sh [FUNCTION...] [OPTION...]      build, deploy, check, send two real requests, print a table
  ./deploy.sh status   [FUNCTION...]         what runs
  ./deploy.sh logs     [FUNCTION...]         follow a function's log
  ./deploy.sh rollback [FUNCTION...]         back to what was deployed before; once more: forward again;
                                             no name: each function that has a version before
  ./deploy.sh remove   [FUNCTION...]         out of CVAT's model list; the images stay

FUNCTION is a folder of functions/: grounding-dino, sam-interactor, sam2-tracker; none means all three.

What to run
  --gpu, --cpu            where the models run; default: the GPU if this machine has one (kube: GPU; --no-build: the image's)
  --model MODEL           official model for the one FUNCTION named; default: its function.yaml's
                          (the interactor's: sam2.1-large with --gpu, sam2.1-tiny with --cpu)
  --labels FILE           labels.yaml for the detector; default: the labels in its function.yaml
  --weights DIR           folder with checkpoints; what is missing there is downloaded. SHA-256 is always checked.
  --no-build              use the image that is deployed (or was built last): new labels or settings in seconds
  --port-base PORT        local: ports PORT, PORT+1, PORT+2 in alphabetical order; default: those in function.yaml
  --redis HOST:PORT       a Redis in which tracker and interactor share what they remember; CVAT's own: cvat_redis_ondisk:6666
  --redis-tls             speak TLS to it
  --redis-password-file FILE    local: its password, in a file that the containers' user 1000 can read

Where
  --platform local|kube   Docker on this machine (default), or the cluster of kubectl's current context
  --namespace NAME        Nuclio's namespace; default: nuclio (local), cvat (kube)
  --cvat-url URL          CVAT's address; its version decides the form of the interactor's answers

Kubernetes only
  --registry HOST/PATH    where images are pushed and pulled
  --pull-secret NAME      secret with the registry's password
  --weights-pvc NAME      PersistentVolumeClaim with the checkpoints; the images then hold none
  --node-selector K=V[,K=V]
  --toleration KEY[=VALUE][:EFFECT]       may be given several times
  --redis-secret NAME     secret that keeps Redis's password under the key "password"
  --replicas MIN[:MAX]    default 1; the tracker has one unless there is --redis

  --dry-run               print problems, plan, commands and the rendered function.yaml; change nothing
  --help                  this

Each run deploys exactly what its options say: repeat --labels and --model with every deployment that should keep them.
Before anything is touched the machine is checked, and every problem is printed with its remedy. If the new version does
not come up or answers wrongly, its log is printed and the one before is brought back, whoever deployed it. Running the
same command twice changes nothing; after an interruption, run it again.

Examples
  ./deploy.sh --dry-run
  ./deploy.sh --gpu --labels labels.yaml --cvat-url http://localhost:8080
  ./deploy.sh grounding-dino --labels labels.yaml --no-build
  ./deploy.sh sam-interactor --model sam2.1-tiny --cpu
  ./deploy.sh --platform kube --registry registry.example.com/cvat --toleration nvidia.com/gpu:NoSchedule

Files: what is deployed, and what was before, is kept in ${XDG_STATE_HOME:-~/.local/state}/promptable/.
MANUAL
}

# Found out by the checks.
python='' docker_version='' nuclio_version='' cvat_version='' network='' server='' dashboard='' answer_form=''
# Of the function at hand.
image='' timing='' function_url='' forward='' nuctl_job=''
declare -A images=() # of --no-build, by function
table=() failures=() followers=()
log_lines=50

# A dry run goes on without what only a running CVAT could tell.
fill_unknowns() {
    nuclio_version=${nuclio_version:-1.15.9}
    [[ $platform == kube ]] || network=${network:-cvat_cvat}
}

print_plan() {
    step "plan"
    say "functions:   ${functions[*]}"
    say "platform:    $platform, namespace $namespace${network:+, network $network}"
    say "device:      $device"
    say "Nuclio:      ${nuclio_version:-unknown}; CVAT: ${cvat_version:-unknown}${answer_form:+, interactor answers as $answer_form}"
    say "labels:      ${labels:-those in function.yaml}"
    say "weights:     $(weights_plan)"
    say "images:      $([[ $build ]] && echo "built here${registry:+, pushed to $registry}" || echo "as they are (--no-build)")"
    say "Redis:       ${redis:-none: each function remembers alone}"
    [[ ! $replicas ]] || say "replicas:    $replicas$([[ $redis ]] || echo "; the tracker: 1")"
}

weights_plan() {
    if [[ $weights_pvc ]]; then
        echo "on the claim $weights_pvc"
    elif [[ $build ]]; then
        echo "in the images, ${weights:+from $weights or }downloaded, SHA-256 checked"
    else
        echo "in the images"
    fi
}

deploy() {
    local function
    lock
    step "checks"
    find_python
    [[ ! $labels || ! $python ]] || "$python" -m promptable.deploy labels "$labels" || problem "--labels: see the line above" "docs/labels.md shows what it looks like"
    "${platform}_checks"
    stop_on_problems
    [[ ! $dry_run ]] || fill_unknowns
    find_all_deployed
    [[ $build ]] || find_images
    stop_on_problems
    print_plan
    for function in "${functions[@]}"; do
        render "$function" > "$work/$function.yaml" || problem "$function cannot be rendered" "see the line above"
        check_models "$function"
    done
    stop_on_problems
    step "images"
    [[ ! $build ]] || build_base
    for function in "${functions[@]}"; do
        prepare "$function"
    done
    deploy_all
}

find_all_deployed() {
    local function
    command -v nuctl > /dev/null || return 0 # a dry run has said so
    for function in "${functions[@]}"; do
        find_deployed "$function"
    done
}

# Without a build the images decide the device.
find_images() {
    local function
    for function in "${functions[@]}"; do
        find_image "$function"
    done
    [[ ! $device ]] || return 0
    device=cpu
    [[ " ${images[*]}" != *:gpu-* ]] || device=gpu
    [[ $device == cpu ]] || "${platform}_check_gpu"
}

deploy_all() {
    local function
    local -a command
    step "deployment"
    ensure_project
    for function in "${functions[@]}"; do
        if [[ $dry_run ]]; then
            read_deploy_command "$function" "$work/$function.yaml"
            show "${command[@]}"
        else
            deploy_function "$function"
        fi
    done
    [[ $dry_run ]] && return
    print_table
    stop_on_failures
}

status() {
    local function
    "${platform}_reachable"
    stop_on_problems
    "${platform}_status_head"
    for function in "${functions[@]}"; do
        "${platform}_status" "$function"
    done
}

# One function's log as it is; several, each line with its function's name.
logs() {
    local function
    local -a command
    "${platform}_reachable"
    stop_on_problems
    trap 'exit 130' INT TERM
    for function in "${functions[@]}"; do
        "${platform}_follow_command" "$function"
        "${command[@]}" > >(sed -u "s/^/$function | /") 2>&1 &
        followers+=($!)
    done
    wait
}

rollback() {
    local function
    lock
    find_python
    check_tools nuctl
    "${platform}_reachable"
    choose_rollbacks
    stop_on_problems
    find_all_deployed
    stop_on_problems
    for function in "${functions[@]}"; do
        roll_back "$function"
    done
    [[ $dry_run ]] && return
    print_table
    stop_on_failures
}

remove() {
    local function
    lock
    check_tools nuctl
    "${platform}_reachable"
    stop_on_problems
    for function in "${functions[@]}"; do
        remove_function "$function"
    done
}

# Two runs at once would take each other's functions for their own.
lock() {
    local file=$state_dir/lock descriptor
    [[ ! $dry_run ]] || return 0
    mkdir -p "$state_dir"
    exec {descriptor}> "$file"
    flock --nonblock "$descriptor" || die "another deploy.sh is at work on $platform, namespace $namespace" "wait until it has ended"
}

clean_up() {
    stop_nuctl
    ((${#followers[@]} == 0)) || kill "${followers[@]}" 2> /dev/null || true
    kube_close
    rm -rf "$work"
}

interrupted() {
    warn "interrupted: run the same command again; a function that is half deployed is cleared then"
    exit 130
}

all_functions=()
for folder in "$repository"/functions/*/function.yaml; do
    all_functions+=("$(basename "$(dirname "$folder")")")
done
parse_options "$@"
check_options
((problems == 0)) || die "the command cannot be run" "./deploy.sh --help"
set_defaults
work=$(mktemp -d)
trap clean_up EXIT
trap interrupted INT TERM
"$action"
