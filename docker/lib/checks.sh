# What both platforms need before anything is touched. Sourced by deploy.sh.
# shellcheck shell=bash

gigabyte_blocks=1048576 # of 1 KiB, as df -Pk counts

check_tools() {
    local tool
    for tool in "$@"; do
        command -v "$tool" > /dev/null || problem "$tool is not installed" "$(install_hint "$tool")"
    done
}

install_hint() {
    case $1 in
        nuctl) nuctl_hint "${nuclio_version:-VERSION}" ;;
        docker) echo "https://docs.docker.com/engine/install/" ;;
        kubectl) echo "https://kubernetes.io/docs/tasks/tools/" ;;
        *) echo "sudo apt install $1" ;;
    esac
}

nuctl_hint() {
    local url=https://github.com/nuclio/nuclio/releases/download/$1/nuctl-$1-linux-amd64
    echo "sudo curl -fLo /usr/local/bin/nuctl $url && sudo chmod +x /usr/local/bin/nuctl"
}

# The rendering needs Python 3.11 with PyYAML: a virtual environment here, or the machine's own.
find_python() {
    local candidate
    export PYTHONPATH=$repository/src
    for candidate in "$repository/.venv/bin/python" python3.13 python3.12 python3.11 python3; do
        if "$candidate" -c 'import sys, yaml; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
            python=$candidate
            return
        fi
    done
    problem "no Python from 3.11 on with PyYAML" \
        "sudo apt install python3-yaml, or for an older system: sudo apt install python3.11-venv && python3.11 -m venv .venv && .venv/bin/pip install PyYAML"
}

check_docker() {
    local said
    if said=$(docker info --format '{{.ServerVersion}}' 2>&1); then
        docker_version=$said
        return
    fi
    case $said in
        *"permission denied"*) problem "this user may not use Docker" "sudo usermod -aG docker $(id -un), then log in again" ;;
        *) problem "Docker is not reachable: ${said##*$'\n'}" "sudo systemctl start docker (docker context ls shows which engine is used)" ;;
    esac
    return 1
}

check_buildx() {
    docker buildx version > /dev/null 2>&1 ||
        problem "docker buildx is missing, and the images need BuildKit" "sudo apt install docker-buildx-plugin (Debian's own Docker: docker-buildx)"
}

# check_disk FOLDER GIGABYTES WHAT
check_disk() {
    local free
    [[ -d $1 ]] || return 0
    free=$(df -Pk "$1" | awk 'NR == 2 { print $4 }')
    ((free >= $2 * gigabyte_blocks)) ||
        problem "$1 has $((free / gigabyte_blocks)) GB free, and $3 needs $2" "docker builder prune and docker image prune free what old builds left"
}

check_disks() {
    local image_gigabytes=12
    [[ $device == gpu ]] && image_gigabytes=30
    check_disk /tmp 1 "nuctl"
    [[ $build ]] || return 0
    check_disk "$(docker info --format '{{.DockerRootDir}}')" "$image_gigabytes" "building the images"
}

check_nuctl_version() {
    local client
    command -v nuctl > /dev/null || return 0
    client=$(nuctl version 2> /dev/null | sed -n 's/.*Label: \([^,]*\),.*/\1/p')
    [[ $client == "$nuclio_version" ]] ||
        problem "nuctl is ${client:-of an unknown version} and the Nuclio dashboard is $nuclio_version" "$(nuctl_hint "$nuclio_version")"
}

# version_of IMAGE: 1.15.9 of quay.io/nuclio/dashboard:1.15.9-amd64
version_of() {
    local tag=${1##*:}
    echo "${tag%%-*}"
}

# at_least VERSION LEAST
at_least() { [[ $(printf '%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }

# The form of the interactor's answers: CVAT 2.62 brought the one with shapes.
choose_answer_form() {
    find_cvat_version
    case $cvat_version in
        [0-9]*) answer_form=mask && at_least "$cvat_version" 2.62 && answer_form=shapes ;;
        *) warn "CVAT's version is not known: the interactor answers for 2.62 and later; --cvat-url lets me ask" ;;
    esac
    return 0
}

find_cvat_version() {
    local said
    [[ $cvat_url ]] || return 0
    if said=$(curl -fsS --max-time 10 -H 'Accept: application/json' "${cvat_url%/}/api/server/about" 2>&1); then
        cvat_version=$(sed -n 's/.*"version": *"\([^"]*\)".*/\1/p' <<< "$said")
    else
        problem "CVAT does not answer at $cvat_url: $said" "--cvat-url takes the address that you open CVAT at"
    fi
}
