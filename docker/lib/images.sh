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
    local function=$1 id_file=$work/$1.id
    local -a local_weights=()
    shift
    [[ $weights ]] && local_weights=(--build-context "local-weights=$weights")
    [[ $weights_pvc ]] && set --
    run docker build --load --file "$repository/docker/Dockerfile" --target function --build-arg "DEVICE=$device" \
        --build-arg "NUCLIO_VERSION=$nuclio_version" --build-arg "FUNCTION=$function" --build-arg "MODELS=$*" \
        "${local_weights[@]}" --iidfile "$id_file" "$repository"
    image=$(repository_of "$function"):$device-$(image_tag "$id_file")
    run docker tag "$(cat "$id_file" 2> /dev/null || echo '<image>')" "$image"
    if [[ $platform == kube ]]; then run docker push "$image"; fi
}

image_tag() {
    if [[ $dry_run ]]; then
        echo content
    else
        sed 's/^sha256://' "$1" | cut -c 1-12
    fi
}

# existing_image FUNCTION: sets image to the deployed one, or else to the newest that was built here.
existing_image() {
    image=$(image_in "$(current_of "$1")")
    if [[ ! $image && $platform == local ]]; then
        image=$(docker images --format '{{.Repository}}:{{.Tag}}' "$(repository_of "$1")" 2> /dev/null | grep -m 1 ":$device-") || true
    fi
    [[ $image ]] || problem "there is no image of $1 yet for --no-build" "leave --no-build out once"
}

image_in() { sed -n 's/^  image: //p' "$1" 2> /dev/null || true; }

# Only the deployed image and the one before stay: each further one holds gigabytes.
remove_old_images() {
    local tagged current previous
    [[ $platform == local ]] || return 0
    current=$(image_in "$(current_of "$1")")
    previous=$(image_in "$(previous_of "$1")")
    docker images --format '{{.Repository}}:{{.Tag}}' "$(repository_of "$1")" | while read -r tagged; do
        [[ $tagged == "$current" || $tagged == "$previous" ]] || docker rmi "$tagged" > /dev/null || true
    done
}
