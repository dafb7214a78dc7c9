# The command line: read, and checked for what needs no tool to see. Sourced by deploy.sh.
# shellcheck shell=bash

action=deploy
functions=() tolerations=()
platform=local device='' gpu='' cpu='' build=yes dry_run='' namespace='' port_base='' cvat_url=''
model='' labels='' weights='' registry='' pull_secret='' weights_pvc='' node_selector='' replicas=''
redis='' redis_tls='' redis_password_file='' redis_secret='' named=''

parse_options() {
    case ${1:-} in
        status | logs | rollback | remove) action=$1 && shift ;;
    esac
    while (($#)); do
        case $1 in
            --help | -h) manual && exit 0 ;;
            --gpu) device=gpu gpu=yes ;;
            --cpu) device=cpu cpu=yes ;;
            --no-build) build='' ;;
            --dry-run) dry_run=yes ;;
            --redis-tls) redis_tls=yes ;;
            --toleration) need_value "$@" && tolerations+=("$2") && shift ;;
            --platform | --namespace | --port-base | --cvat-url | --model | --labels | --weights | --redis | \
                --redis-password-file | --redis-secret | --registry | --pull-secret | --weights-pvc | --node-selector | --replicas)
                need_value "$@" && printf -v "$(tr - _ <<< "${1#--}")" %s "$2" && shift ;;
            -*) die "unknown option $1" "./deploy.sh --help" ;;
            *) functions+=("$(folder_name "$1")") ;;
        esac
        shift
    done
    [[ ! ${functions[*]} ]] || named=yes
}

need_value() { [[ ${2:-} && $2 != --* ]] || die "$1 needs a value${2:+, and $2 is the next option}" "./deploy.sh --help"; }

# What the shell completes to, functions/sam2-tracker/, names the function too.
folder_name() {
    local path=${1%/}
    echo "${path#functions/}"
}

# What the options themselves say wrong; no tool is needed to see it.
check_options() {
    local function
    [[ $platform == local || $platform == kube ]] || die "--platform is local or kube, not $platform" "./deploy.sh --help"
    for function in "${functions[@]}"; do
        [[ " ${all_functions[*]} " == *" $function "* ]] ||
            problem "there is no function $function" "one of: ${all_functions[*]}"
    done
    [[ ! $model ]] || ((${#functions[@]} == 1)) || problem "--model needs exactly one FUNCTION" "./deploy.sh FUNCTION --model $model"
    [[ ! $labels || -f $labels ]] || problem "--labels: there is no file $labels" "docs/labels.md shows what it looks like"
    [[ ! $weights || -d $weights ]] || problem "--weights: there is no folder $weights" "promptable download MODEL --weights $weights fills one"
    check_port_base
    check_contradictions
    check_platform_options
    check_redis_options
}

check_port_base() {
    local last=$((65536 - ${#all_functions[@]}))
    [[ $port_base ]] || return 0
    if ! [[ $port_base =~ ^[1-9][0-9]{3,4}$ ]] || ((port_base < 1024 || port_base > last)); then
        problem "--port-base: expected a port number from 1024 to $last, got $port_base" "--port-base 32101"
    fi
}

check_contradictions() {
    [[ ! $gpu || ! $cpu ]] || problem "--gpu and --cpu cannot both be" "give one of them"
    [[ ! $weights || $build ]] || problem "--weights goes into an image, and --no-build makes none" "leave one of the two out"
    [[ ! $weights || ! $weights_pvc ]] || problem "with --weights-pvc the images hold no checkpoints for --weights" "leave one of the two out"
    [[ ! $labels || ! $named || " ${functions[*]} " == *" grounding-dino "* ]] ||
        problem "--labels is for grounding-dino, which is not among: ${functions[*]}" "./deploy.sh grounding-dino --labels $labels"
}

check_platform_options() {
    local option
    for option in registry pull-secret weights-pvc node-selector replicas toleration redis-secret; do
        [[ $platform == kube ]] || refuse "$option" kube
    done
    for option in port-base redis-password-file; do
        [[ $platform == local ]] || refuse "$option" local
    done
}

# refuse OPTION PLATFORM: the other platform's option.
refuse() {
    local value=${1//-/_}
    [[ $value != toleration ]] || value=tolerations
    [[ ! ${!value:-} ]] || problem "--$1 is for --platform $2" "leave it out, or add --platform $2"
}

check_redis_options() {
    local file=$redis_password_file
    [[ ! $redis || $redis =~ ^[A-Za-z0-9._-]+:[0-9]{1,5}$ ]] ||
        problem "--redis: expected HOST:PORT without user or password" \
            "a password on a command line can be read by everyone on the machine: --redis-password-file (local), --redis-secret (kube)"
    [[ $redis || ! $redis_tls$file$redis_secret ]] || problem "--redis-tls, --redis-password-file and --redis-secret need --redis" "--redis HOST:PORT"
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
    # Always named: nuctl's own choice of the platform follows whatever kubeconfig it finds.
    place=(--platform "$platform" --namespace "$namespace")
    state_dir=${XDG_STATE_HOME:-$HOME/.local/state}/promptable/$platform-$namespace
    ((${#functions[@]})) || functions=("${all_functions[@]}")
    [[ ! $labels ]] || labels=$(realpath "$labels")
    [[ ! $weights ]] || weights=$(realpath "$weights")
    [[ ! $redis_password_file ]] || redis_password_file=$(realpath "$redis_password_file")
    if [[ ! $device && $build ]]; then
        device=gpu
        [[ $platform == kube ]] || nvidia-smi > /dev/null 2>&1 || device=cpu
    fi
}
