#!/bin/sh
# Installs the functions' pinned packages: install-packages.sh gpu|cpu REQUIREMENTS_DIR
set -eu
device=$1
requirements=$2
runtime=$requirements/runtime.txt

if [ "$device" = cpu ]; then
    # PyTorch's own CPU build of the same versions; without the CUDA libraries the image is some 4 GB smaller.
    grep -E '^torch(vision)?==' "$runtime" > /tmp/torch.txt
    pip install --no-deps --index-url https://download.pytorch.org/whl/cpu -r /tmp/torch.txt
    grep -vE '^(torch|torchvision|triton|cuda-[a-z]+|nvidia-[a-z0-9-]+)==' "$runtime" > /tmp/runtime.txt
    runtime=/tmp/runtime.txt
fi
pip install -r "$runtime"
grep -E '^(setuptools|wheel)==' "$requirements/dev.txt" > /tmp/build.txt
pip install -r /tmp/build.txt
SAM2_BUILD_CUDA=0 pip install --no-deps --no-build-isolation -r "$requirements/models.txt"
rm -f /tmp/*.txt
