#!/usr/bin/env bash
# Builds, deploys, checks and smoke-tests the functions: ./deploy.sh --help is the manual.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=docker/lib/output.sh
source "$repository/docker/lib/output.sh"
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
  ./deploy.sh rollback [FUNCTION...]         back to what was deployed before; once more: forward again
  ./deploy.sh remove   [FUNCTION...]         out of CVAT's model list; the images stay

FUNCTION is a folder of functions/: grounding-dino, sam-interactor, sam2-tracker; none means all three.

What to run
  --gpu, --cpu            where the models run; default: the GPU if this machine has one (kube: GPU)
  --model MODEL           official model for the one FUNCTION named; default: its function.yaml's
                          (the interactor's: sam2.1-large with --gpu, sam2.1-tiny with --cpu)
  --labels FILE           labels.yaml for the detector; default: the labels in its function.yaml
  --weights DIR           folder with checkpoints; what is missing there is downloaded. SHA-256 is always checked.
  --no-build              use the image that is deployed (or was built last): new labels or settings in seconds
  --port-base PORT        ports PORT, PORT+1, PORT+2 in alphabetical order; default: those in function.yaml
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
not come up or answers wrongly, its log is printed and the one before is brought back. Running the same command twice
changes nothing; after an interruption, run it again.

Examples
  ./deploy.sh --dry-run
  ./deploy.sh --gpu --labels labels.yaml --cvat-url http://localhost:8080
  ./deploy.sh grounding-dino --labels labels.yaml --no-build
  ./deploy.sh sam-interactor --model sam2.1-tiny --cpu
  ./deploy.sh --platform kube --registry registry.example.com/cvat --toleration nvidia.com/gpu:NoSchedule

Files: what is deployed, and what was before, is kept in ${XDG_STATE_HOME:-~/.local/state}/promptable/.
MANUAL
}

action=deploy
functions=() tolerations=()
platform=local device='' build=yes dry_run='' namespace='' port_base='' cvat_url=''
model='' labels='' weights='' registry='' pull_secret='' weights_pvc='' node_selector='' replicas=''
redis='' redis_tls='' redis_password_file='' redis_secret=''
# Found out by the checks.
python='' docker_version='' nuclio_version='' cvat_version='' network='' server='' dashboard='' answer_form=''
# Of the function at hand.
image='' timing='' restored='' function_url='' forward='' nuctl_job=''
table=()
log_lines=50

parse_options() {
    case ${1:-} in
        status | logs | rollback | remove) action=$1 && shift ;;
    esac
    while (($#)); do
        case $1 in
            --help | -h) manual && exit 0 ;;
            --gpu) device=gpu ;;
            --cpu) device=cpu ;;
            --no-build) build='' ;;
            --dry-run) dry_run=yes ;;
            --redis-tls) redis_tls=yes ;;
            --toleration) tolerations+=("$(value_of "$@")") && shift ;;
            --platform | --namespace | --port-base | --cvat-url | --model | --labels | --weights | --redis | \
                --redis-password-file | --redis-secret | --registry | --pull-secret | --weights-pvc | --node-selector | --replicas)
                printf -v "$(tr - _ <<< "${1#--}")" %s "$(value_of "$@")" && shift ;;
            -*) die "unknown option $1" "./deploy.sh --help" ;;
            *) functions+=("$1") ;;
        esac
        shift
    done
}

value_of() {
    [[ ${2:-} ]] || die "$1 needs a value" "./deploy.sh --help"
    echo "$2"
}

# What the options themselves say wrong; no tool is needed to see it.
check_options() {
    local function
    [[ $platform == local || $platform == kube ]] || die "--platform is local or kube, not $platform" "./deploy.sh --help"
    for function in "${functions[@]}"; do
        [[ -f $repository/functions/$function/function.yaml ]] ||
            problem "there is no function $function" "one of: ${all_functions[*]}"
    done
    [[ ! $model ]] || ((${#functions[@]} == 1)) || problem "--model needs exactly one FUNCTION" "./deploy.sh FUNCTION --model $model"
    [[ ! $labels || -f $labels ]] || problem "--labels: there is no file $labels" "README.md shows what it looks like"
    [[ ! $weights || -d $weights ]] || problem "--weights: there is no folder $weights" "promptable download MODEL --weights $weights fills one"
    [[ ! $port_base || $port_base =~ ^[0-9]{4,5}$ ]] || problem "--port-base: expected a port number, got $port_base" "--port-base 32101"
    check_redis_options
}

check_redis_options() {
    local file=$redis_password_file
    [[ ! $redis || $redis =~ ^[A-Za-z0-9._-]+:[0-9]{1,5}$ ]] ||
        problem "--redis: expected HOST:PORT without user or password" \
            "a password on a command line can be read by everyone on the machine: --redis-password-file (local), --redis-secret (kube)"
    [[ $redis || ! $redis_tls$file$redis_secret ]] || problem "--redis-tls, --redis-password-file and --redis-secret need --redis" "--redis HOST:PORT"
    [[ ! $file || $platform == local ]] || problem "--redis-password-file is for --platform local" "kubectl create secret, then --redis-secret NAME"
    [[ ! $redis_secret || $platform == kube ]] || problem "--redis-secret is for --platform kube" "--redis-password-file FILE"
    [[ ! $file || -f $file ]] || problem "--redis-password-file: there is no file $file" "write the password, and nothing else, into one"
    [[ ! -f $file ]] || readable_in_container "$file" ||
        problem "--redis-password-file: the containers run as user 1000, which cannot read $file" "sudo chown 1000 $file && sudo chmod 400 $file"
}

# readable_in_container FILE: may user or group 1000, or everyone, read it?
readable_in_container() {
    local owner group mode
    read -r owner group mode < <(stat --format '%u %g %a' "$1")
    ((owner == 1000 && 8#$mode & 8#400)) || ((group == 1000 && 8#$mode & 8#040)) || ((8#$mode & 8#004))
}

set_defaults() {
    namespace=${namespace:-$([[ $platform == kube ]] && echo cvat || echo nuclio)}
    state_dir=${XDG_STATE_HOME:-$HOME/.local/state}/promptable/$platform-$namespace
    ((${#functions[@]})) || functions=("${all_functions[@]}")
    [[ ! $labels ]] || labels=$(realpath "$labels")
    [[ ! $weights ]] || weights=$(realpath "$weights")
    [[ ! $redis_password_file ]] || redis_password_file=$(realpath "$redis_password_file")
    if [[ ! $device ]]; then
        device=gpu
        [[ $platform == kube ]] || nvidia-smi > /dev/null 2>&1 || device=cpu
    fi
}

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
    step "checks"
    find_python
    "${platform}_checks"
    stop_on_problems
    [[ ! $dry_run ]] || fill_unknowns
    print_plan
    for function in "${functions[@]}"; do
        render "$function" > "$work/$function.yaml" || problem "$function cannot be rendered" "see the line above"
    done
    stop_on_problems
    step "images"
    [[ ! $build ]] || build_base
    for function in "${functions[@]}"; do
        prepare "$function"
    done
    stop_on_problems
    deploy_all
}

deploy_all() {
    local function failed=''
    local -a command
    step "deployment"
    [[ $dry_run ]] || mkdir -p "$state_dir"
    ensure_project
    for function in "${functions[@]}"; do
        if [[ $dry_run ]]; then
            read_deploy_command "$function" "$work/$function.yaml"
            show nuctl "${command[@]}"
        else
            deploy_function "$function" || failed+=" $function"
        fi
    done
    [[ $dry_run ]] && return
    print_table
    [[ ! $failed ]] || die "not deployed:$failed" "the logs above say why; what ran before was brought back where there was something"
}

status() {
    local function
    "${platform}_status_head"
    for function in "${functions[@]}"; do
        "${platform}_status" "$function"
    done
}

logs() {
    ((${#functions[@]} == 1)) || die "logs shows one function at a time" "./deploy.sh logs ${functions[0]}"
    "${platform}_follow_logs" "${functions[0]}"
}

rollback() {
    local function
    find_python
    stop_on_problems
    for function in "${functions[@]}"; do
        roll_back "$function"
    done
    [[ $dry_run ]] || print_table
}

remove() {
    local function
    for function in "${functions[@]}"; do
        remove_function "$function"
    done
}

clean_up() {
    stop_nuctl
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
