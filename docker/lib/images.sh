# The images: one base, one thin image per function, tagged by what they hold. Sourced by deploy.sh.
# shellcheck shell=bash

# Attestations carry the time: with them the same content would get another id.
export BUILDX_NO_DEFAULT_ATTESTATIONS=1

repository_of() { echo "${registry:+$registry/}promptable-$1"; }

build_base() {
    run docker build --load --file "$repository/docker/Dockerfile" --target base --build-arg "DEVICE=$device" \
        --build-arg "NUCLIO_VERSION=$nuclio_version" --tag "promptable-base:$device" "$repository"
}

# build_function FUNCTION MODELS...: sets image. The tag is the content's, so building the same twice changes nothing.
build_function() {
    local function=$1 built=promptable-$1:unchecked
    local -a local_weights=()
    shift
    [[ $weights ]] && local_weights=(--build-context "local-weights=$weights")
    [[ $weights_pvc ]] && set --
    run docker build --load --file "$repository/docker/Dockerfile" --target function --build-arg "DEVICE=$device" \
        --build-arg "NUCLIO_VERSION=$nuclio_version" --build-arg "FUNCTION=$function" --build-arg "MODELS=$*" \
        "${local_weights[@]}" --tag "$built" "$repository"
    image=$(repository_of "$function"):$device-$(content_of "$built")
    run docker tag "$built" "$image"
    run docker rmi "$built"
    if [[ $platform == kube ]]; then run docker push "$image"; fi
}

# content_of IMAGE: the id that Docker itself resolves; the builder's own (--iidfile) is another one in containerd's store.
content_of() {
    local id
    if [[ $dry_run ]]; then
        echo content
    else
        id=$(docker image inspect --format '{{.Id}}' "$1") || return
        cut -c 1-12 <<< "${id#sha256:}"
    fi
}

# find_image FUNCTION: for --no-build, keeps the deployed image, or else the newest that was built here, in images.
find_image() {
    local found
    found=$(image_in "$(current_of "$1")")
    if [[ ! $found && $platform == local ]]; then
        found=$(docker images --format '{{.Repository}}:{{.Tag}}' "$(repository_of "$1")" 2> /dev/null | grep -m 1 -E ":${device:-(gpu|cpu)}-") || true
    fi
    images[$1]=$found
    if [[ ! $found ]]; then
        problem "there is no image of $1 yet for --no-build" "leave --no-build out once"
    elif [[ $device && $device != "$(image_device "$found")" ]]; then
        problem "--$device: $found was built for $(image_device "$found")" "leave --no-build out, so that one for $device is built"
    fi
}

# image_device IMAGE: gpu of promptable-sam2-tracker:gpu-0123456789ab
image_device() {
    local tag=${1##*:}
    echo "${tag%%-*}"
}

# device_of FUNCTION: with --no-build its image decides.
device_of() {
    if [[ ${images[$1]:-} ]]; then
        image_device "${images[$1]}"
    else
        echo "$device"
    fi
}

# check_models FUNCTION: does the image that --no-build deploys hold the checkpoints of the rendered function.yaml?
check_models() {
    local model held
    [[ ${images[$1]:-} && ! $weights_pvc ]] || return 0
    held=" $("${platform}_models" "$1") "
    for model in $(models_in "$work/$1.yaml"); do
        [[ $held == *" $model "* ]] ||
            problem "${images[$1]} does not hold $model, but:${held% }" "leave --no-build out, so that an image with it is built"
    done
}

image_in() { sed -n 's/^  image: //p' "$1" 2> /dev/null || true; }

# drop_image IMAGE KEPT...: an image that this user deployed holds gigabytes. What a container uses stays, whoever's it is.
drop_image() {
    local dropped=$1 kept
    shift
    [[ $dropped && $platform == local ]] || return 0
    for kept in "$@" $(docker ps --all --format '{{.Image}}'); do
        [[ $kept != "$dropped" ]] || return 0
    done
    docker rmi "$dropped" > /dev/null || warn "$dropped stays: docker rmi says why above"
}
