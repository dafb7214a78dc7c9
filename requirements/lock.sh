#!/bin/sh
# lock.sh [OPTION OF uv pip compile]...: pins what the .in files name, and all that it needs, with the index's hashes.
# What is pinned stays as it is; --upgrade-package NAME moves one package, --upgrade all.
set -eu
cd "$(dirname "$0")"

# lock NAME "FILES" OPTION...: NAME.in -> NAME.txt, without the packages that FILES have pinned already.
lock() {
    name=$1
    leave_out=$(for file in $2; do sed -nE 's/^([A-Za-z0-9._-]+)==.*/--no-emit-package \1/p' "$file.txt"; done)
    shift 2
    # shellcheck disable=SC2086 # an option a word
    ../.venv/bin/uv pip compile --quiet --generate-hashes --custom-compile-command "make lock" --python-version 3.11.9 \
        $leave_out "$@" "$name.in" --output-file "$name.txt"
}

image="--python-platform x86_64-manylinux_2_28"
# shellcheck disable=SC2086
{
    lock build "" $image "$@"
    lock torch "build runtime" $image "$@"
    lock runtime "build torch" $image --constraint torch.txt "$@"
    lock models "" $image --no-deps "$@"
    lock cvat "" --universal --constraint build.txt --constraint runtime.txt "$@"
    lock reports "cvat" --universal --constraint runtime.txt --constraint cvat.txt "$@"
    lock deploy "" --universal --constraint runtime.txt "$@"
    lock dev "build torch runtime models cvat deploy" $image --no-emit-package pip \
        --constraint runtime.txt --constraint cvat.txt "$@"
}
