# Nuclio on this machine's Docker, as CVAT's compose file starts it. Sourced by deploy.sh.
# shellcheck shell=bash

container_of() { echo "nuclio-$namespace-$1"; }

# service_container NAME: the running container of this service of CVAT's compose file.
service_container() {
    local filter
    for filter in "label=com.docker.compose.service=$1" "name=^$1\$"; do
        docker ps --filter "$filter" --format '{{.Names}}' | head -n 1 | grep . && return
    done
    return 1
}

local_reachable() {
    check_tools docker
    ! command -v docker > /dev/null || check_docker || true
}

local_checks() {
    check_tools docker curl
    if command -v docker > /dev/null && check_docker; then
        [[ $build ]] && check_buildx
        check_disks
        find_cvat && check_cvat
        [[ $device != gpu ]] || local_check_gpu
        check_ports
    fi
    check_tools nuctl
    choose_answer_form
}

find_cvat() {
    server=$(service_container cvat_server) || true
    dashboard=$(service_container nuclio) || true
    [[ $server && $dashboard ]] && return
    problem "CVAT with Nuclio does not run here (cvat_server: ${server:-none}, nuclio: ${dashboard:-none})" \
        "in CVAT's folder: docker compose -f docker-compose.yml -f components/serverless/docker-compose.serverless.yml up -d"
    return 1
}

check_cvat() {
    local image
    nuclio_version=$(version_of "$(docker inspect --format '{{.Config.Image}}' "$dashboard")")
    check_nuctl_version
    check_docker_against_dashboard
    find_network
    check_way_back "$server"
    check_way_back "$(service_container cvat_worker_annotation || true)"
    check_dashboard_port
    image=$(docker inspect --format '{{.Config.Image}}' "$server")
    cvat_version=${image##*:}
    cvat_version=${cvat_version#v}
}

check_docker_against_dashboard() {
    if at_least "$docker_version" 29 && ! at_least "$nuclio_version" 1.14; then
        problem "Docker $docker_version refuses the old Docker client in Nuclio's dashboard $nuclio_version" \
            "update CVAT (its compose file brings a newer dashboard), or set \"min-api-version\": \"1.24\" in /etc/docker/daemon.json and restart Docker"
    fi
}

networks_of() { docker inspect --format '{{range $name, $_ := .NetworkSettings.Networks}}{{println $name}}{{end}}' "$1" | sed '/^$/d' | sort; }

find_network() {
    network=$(comm -12 <(networks_of "$server") <(networks_of "$dashboard") | head -n 1)
    [[ $network ]] || problem "$server and $dashboard share no Docker network" "start both from CVAT's compose files"
}

# CVAT calls the functions through the host's ports, unless it is set to call through the dashboard.
check_way_back() {
    local container=$1
    [[ $container ]] || return 0
    [[ $(docker exec "$container" printenv CVAT_NUCLIO_INVOKE_METHOD 2> /dev/null) == dashboard ]] && return
    docker exec "$container" getent hosts host.docker.internal > /dev/null 2>&1 ||
        problem "$container does not know host.docker.internal, and so cannot call the functions" \
            "start it with components/serverless/docker-compose.serverless.yml, which adds extra_hosts: [\"host.docker.internal:host-gateway\"]"
}

check_dashboard_port() {
    if docker port "$dashboard" 8070 2> /dev/null | grep -qE '^(0\.0\.0\.0|\[::\]):'; then
        warn "Nuclio's dashboard is open to every machine that reaches this one, without a password: whoever reaches it runs any code here." \
            "In CVAT's serverless compose file write '127.0.0.1:8070:8070'."
    fi
}

# CUDA 13, which the pinned PyTorch brings, needs the driver 580.
local_check_gpu() {
    local said image=python:3.11-slim-bookworm
    docker image inspect promptable-base:gpu > /dev/null 2>&1 && image=promptable-base:gpu
    set -- docker run --rm --gpus all --entrypoint nvidia-smi "$image" --query-gpu=driver_version --format=csv,noheader
    if [[ $dry_run ]]; then
        run "$@"
    elif ! said=$("$@" 2>&1); then
        problem "containers do not see the GPU: ${said##*$'\n'}" \
            "install the driver and nvidia-container-toolkit, then: sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker; or use --cpu"
    elif said=${said##*$'\n'} && ! at_least "$said" 580; then
        problem "the NVIDIA driver is $said, and PyTorch with CUDA 13 needs 580" "update the driver (ubuntu-drivers install), or use --cpu"
    fi
}

check_ports() {
    local function
    for function in "${functions[@]}"; do
        check_port "$function" "$(port_of "$function")"
    done
}

check_port() {
    local owner
    owner=$(docker ps --filter "publish=$2" --format '{{.Names}}' | head -n 1)
    [[ $owner == "$(container_of "$1")" ]] && return
    if [[ $owner ]] || listens "$2"; then
        problem "port $2, for $1, is taken by ${owner:-another program}" "stop it (sudo ss -ltnp 'sport = :$2' names it), or use --port-base"
    fi
}

listens() { (: <> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }

local_state() { docker inspect --format "{{.Id}} {{.State.Status}} {{.RestartCount}} {{if .State.Health}}{{.State.Health.Status}}{{end}}" "$(container_of "$1")" 2> /dev/null; }

# The container is asked itself: the state that Nuclio has stored lies after a crash.
# local_crashed FUNCTION CONTAINER_ID_BEFORE: has the new container died or been restarted?
local_crashed() {
    local id status restarts _
    read -r id status restarts _ < <(local_state "$1") || return 1
    [[ $id != "$2" ]] && { [[ $status == exited || $status == dead ]] || ((restarts > 0)); }
}

local_ready() { [[ $(local_state "$1") == *" running "*" healthy" ]]; }

local_identity() { local_state "$1" | cut -d ' ' -f 1; }

local_logs() { docker logs --tail "$log_lines" "$(container_of "$1")" 2>&1 || true; }

local_follow_command() { command=(docker logs --tail 100 --follow "$(container_of "$1")"); }

# What the image for --no-build was built with.
local_models() { docker image inspect --format '{{index .Config.Labels "promptable.models"}}' "${images[$1]}" || true; }

# local_open FUNCTION RENDERED
local_open() { function_url="http://127.0.0.1:$(port_in "$2")/"; }

local_close() { :; }

# After the deployment: does the port answer where CVAT calls from?
# local_check_reachable FUNCTION PORT
local_check_reachable() {
    [[ $(docker exec "$server" printenv CVAT_NUCLIO_INVOKE_METHOD 2> /dev/null) == dashboard ]] && return
    docker exec "$server" bash -c ": <> /dev/tcp/host.docker.internal/$2" 2> /dev/null ||
        warn "$server cannot connect to host.docker.internal:$2: a firewall stops it; for ufw: sudo ufw allow from 172.16.0.0/12 to any port $2 proto tcp"
}

local_status_head() { printf '%-16s %-10s %-10s %-9s %s\n' function container health restarts port; }

local_status() {
    local id status restarts health
    read -r id status restarts health < <(local_state "$1") || true
    printf '%-16s %-10s %-10s %-9s %s\n' "$1" "${status:-none}" "${health:--}" "${restarts:--}" \
        "$(docker port "$(container_of "$1")" 8080 2> /dev/null | head -n 1)"
}
