# Nuclio in a Kubernetes cluster, as CVAT's helm chart installs it. Sourced by deploy.sh.
# shellcheck shell=bash

kube() { kubectl --namespace "$namespace" "$@"; }

kube_checks() {
    check_tools kubectl curl
    [[ ! $build ]] || check_tools docker
    [[ $registry ]] || problem "no registry" "--registry HOST/PATH, from which the cluster pulls the images"
    if [[ $build ]] && command -v docker > /dev/null && check_docker; then
        check_buildx
        check_disks
    fi
    if command -v kubectl > /dev/null && check_cluster; then
        check_nuclio_in_cluster
        check_named pvc "$weights_pvc" "--weights-pvc"
        check_named secret "$pull_secret" "--pull-secret"
        check_named secret "$redis_secret" "--redis-secret"
        [[ $device != gpu ]] || kube_check_gpu
    fi
    check_tools nuctl
    choose_answer_form
}

kube_reachable() {
    check_tools kubectl
    ! command -v kubectl > /dev/null || check_cluster || true
}

check_cluster() {
    local said
    if said=$(kubectl get namespace "$namespace" 2>&1); then
        say "cluster: $(kubectl config current-context)"
        return
    fi
    problem "namespace $namespace is not reachable: ${said##*$'\n'}" "kubectl config get-contexts shows the clusters; --namespace is the one of CVAT's helm release"
    return 1
}

check_nuclio_in_cluster() {
    local image
    image=$(kube get pods -l nuclio.io/app=dashboard -o 'jsonpath={.items[0].spec.containers[0].image}' 2> /dev/null) || image=
    if [[ ! $image ]]; then
        problem "no Nuclio dashboard runs in namespace $namespace" "helm upgrade CVAT with nuclio.enabled=true (docs/kubernetes.md)"
        return
    fi
    nuclio_version=$(version_of "$image")
    check_nuctl_version
    if kube get services -o 'jsonpath={range .items[*]}{.metadata.name} {.spec.type}{"\n"}{end}' | grep -qE 'nuclio-dashboard (NodePort|LoadBalancer)'; then
        warn "Nuclio's dashboard is reachable from outside the cluster, without a password: leave nuclio.dashboard.nodePort unset in the helm values"
    fi
}

# check_named KIND NAME OPTION
check_named() {
    [[ ! $2 ]] || kube get "$1" "$2" > /dev/null 2>&1 ||
        problem "namespace $namespace has no $1 $2 ($3)" "kubectl --namespace $namespace get $1"
}

kube_check_gpu() {
    kubectl get nodes -o 'jsonpath={range .items[*]}{.status.allocatable.nvidia\.com/gpu}{"\n"}{end}' | grep -q '[1-9]' ||
        problem "no node offers nvidia.com/gpu" "install NVIDIA's device plugin or GPU operator (docs/kubernetes.md), or use --cpu"
}

deployment_of() { echo "nuclio-$1"; }

kube_identity() { :; }

# nuctl itself gives up on pods that crash, cannot be scheduled or cannot pull their image.
kube_crashed() { return 1; }

kube_ready() { kube rollout status "deployment/$(deployment_of "$1")" --timeout=60s > /dev/null 2>&1; }

kube_logs() { kube logs -l "nuclio.io/function-name=$1" --tail "$log_lines" 2>&1 || true; }

kube_follow_command() { command=(kubectl --namespace "$namespace" logs -l "nuclio.io/function-name=$1" --tail 100 --follow); }

# What --no-build deploys ran with these before; on a claim they are not the image's.
kube_models() {
    local current
    current=$(current_of "$1")
    grep -q claimName: "$current" || models_in "$current" | tr '\n' ' '
}

# The smoke test goes through a forwarded port: nothing is opened on the nodes, and kubectl chooses a free one here.
# kube_open FUNCTION RENDERED
kube_open() {
    local said=$work/$1.forward port=
    # Not through a function: what is in the background must be kubectl itself, or stopping it would leave kubectl.
    kubectl --namespace "$namespace" port-forward --address 127.0.0.1 "service/$(deployment_of "$1")" :8080 > "$said" 2>&1 &
    forward=$!
    for _ in {1..300}; do
        port=$(sed -n 's/^Forwarding from 127\.0\.0\.1:\([0-9]*\) .*/\1/p' "$said")
        [[ ! $port ]] || break
        kill -0 "$forward" 2> /dev/null || break
        sleep 0.1
    done
    function_url="http://127.0.0.1:$port/"
    [[ $port ]] && return
    kube_close
    warn "no port could be forwarded to $1: $(tail -n 1 "$said")"
    return 1
}

kube_close() {
    [[ $forward ]] || return 0
    kill "$forward" 2> /dev/null || true
    wait "$forward" 2> /dev/null || true
    forward=
}

kube_check_reachable() { :; }

kube_status_head() { printf '%-16s %s\n' function "pods (name, ready, status, restarts, age)"; }

kube_status() {
    printf '%-16s %s\n' "$1" "$(kube get pods -l "nuclio.io/function-name=$1" --no-headers 2> /dev/null | tr '\n' ';')"
}
