#!/bin/sh
# Installs the functions' pinned packages: install-packages.sh gpu|cpu REQUIREMENTS_DIR
# pip takes only files whose SHA-256 is in the lists, except PyTorch's CPU builds: those come as their index serves them.
# With deploy.sh --pip-config FILE that file names every index, the one of the CPU builds too; --ca FILE is pip's authority.
set -eu
device=$1
requirements=$2
secrets=${SECRETS:-/run/secrets}
torch=$(mktemp)
trap 'rm "$torch"' EXIT

set -- --index-url https://download.pytorch.org/whl/cpu
if [ -f "$secrets/pip-config" ]; then
    export PIP_CONFIG_FILE="$secrets/pip-config"
    set --
fi
if [ -f "$secrets/ca" ]; then export PIP_CERT="$secrets/ca"; fi

pip install --require-hashes -r "$requirements/build.txt"
if [ "$device" = cpu ]; then
    # PyTorch's own CPU build of the same versions; without the CUDA libraries the image is some 4 GB smaller.
    grep -oE '^torch(vision)?==[0-9.]+' "$requirements/torch.txt" | while read -r pin; do echo "$pin+cpu"; done > "$torch"
    pip install --no-deps "$@" -r "$torch"
else
    pip install --require-hashes --no-deps -r "$requirements/torch.txt"
fi
pip install --require-hashes --no-build-isolation -r "$requirements/runtime.txt"
SAM2_BUILD_CUDA=0 pip install --require-hashes --no-deps --no-build-isolation -r "$requirements/models.txt"
# PyTorch asks for the compiler behind torch.compile, which nothing here uses: 0.6 GB.
if [ "$device" = gpu ]; then pip uninstall --yes triton; fi
