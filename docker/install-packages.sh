#!/bin/sh
# Installs the functions' pinned packages: install-packages.sh gpu|cpu REQUIREMENTS_DIR
set -eu
device=$1
requirements=$2
runtime=$requirements/runtime.txt
lists=$(mktemp -d)
trap 'rm -r "$lists"' EXIT

if [ "$device" = cpu ]; then
    # PyTorch's own CPU build of the same versions; without the CUDA libraries the image is some 4 GB smaller.
    grep -E '^torch(vision)?==' "$runtime" > "$lists/torch.txt"
    pip install --no-deps --index-url https://download.pytorch.org/whl/cpu -r "$lists/torch.txt"
    grep -vE '^(torch|torchvision|triton|cuda-[a-z]+|nvidia-[a-z0-9-]+)==' "$runtime" > "$lists/runtime.txt"
    runtime=$lists/runtime.txt
fi
pip install -r "$runtime"
grep -E '^(setuptools|wheel)==' "$requirements/dev.txt" > "$lists/build.txt"
pip install -r "$lists/build.txt"
SAM2_BUILD_CUDA=0 pip install --no-deps --no-build-isolation -r "$requirements/models.txt"
