#!/usr/bin/env bash
# Brings the functions into CVAT's model list: ./deploy.sh --help is the manual. All of it is `promptable deploy`; this
# finds the Python environment of the checkout, or makes .venv-deploy with the packages of requirements/deploy.txt.
set -euo pipefail
script=$(readlink -f -- "${BASH_SOURCE[0]}")  # through a symlink too
repository=${script%/*}
own=$repository/.venv-deploy packages=$repository/requirements/deploy.txt
export PYTHONPATH=$repository/src PYTHONSAFEPATH=1  # or Python would run a yaml.py of the working directory

die() { printf '   PROBLEM: %s\n   remedy:  %s\n' "$1" "$2" >&2 && exit 1; }
has() { "$1" -c "import sys; sys.version_info >= (3, 11) or sys.exit(1); import $2" 2> /dev/null; }

make_environment() {
    local base offline=()
    for base in python3.13 python3.12 python3.11 python3 none; do ! has "$base" "ensurepip, venv" || break; done
    [[ $base != none ]] || die "no Python from 3.11 on, with venv" "sudo apt install python3-venv (older systems: python3.11-venv)"
    while (($#)); do
        case $1 in
            --wheels) offline=(--no-index --find-links "${2:-}") ;;
            --wheels=*) offline=(--no-index --find-links "${1#*=}") ;;
        esac
        shift
    done
    "$base" -m venv "$own" || die "$own cannot be made" "see above"
    "$own/bin/python" -m pip install --quiet --require-hashes "${offline[@]}" -r "$packages" || die "$packages cannot be installed" \
        "see above; without internet: pip download --require-hashes -r $packages -d wheels elsewhere, and --wheels wheels here"
    : > "$own/installed"
}

python=$repository/.venv/bin/python
has "$python" "pydantic, rich, yaml" || python=$own/bin/python
[[ $python != "$own"/* || $own/installed -nt $packages ]] || make_environment "$@"
exec "$python" -m promptable deploy "$@"
