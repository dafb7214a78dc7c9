#!/bin/sh
# Installs the functions' pinned packages: install-packages.sh gpu|cpu REQUIREMENTS_DIR
# pip takes only files whose SHA-256 is in the lists, except PyTorch's CPU builds: those come as its index serves them.
set -eu
device=$1
requirements=$2
torch=$(mktemp)
trap 'rm "$torch"' EXIT

pip install --require-hashes -r "$requirements/build.txt"
if [ "$device" = cpu ]; then
    # PyTorch's own CPU build of the same versions; without the CUDA libraries the image is some 4 GB smaller.
    grep -oE '^torch(vision)?==[0-9.]+' "$requirements/torch.txt" > "$torch"
    pip install --no-deps --index-url https://download.pytorch.org/whl/cpu -r "$torch"
else
    pip install --require-hashes --no-deps -r "$requirements/torch.txt"
fi
pip install --require-hashes --no-build-isolation -r "$requirements/runtime.txt"
SAM2_BUILD_CUDA=0 pip install --require-hashes --no-deps --no-build-isolation -r "$requirements/models.txt"
