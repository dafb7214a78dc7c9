#!/usr/bin/env bash
# Builds, deploys, checks and smoke-tests the functions: ./deploy.sh --help is the manual.
# All of it is `promptable deploy`; this finds or makes a Python environment for it, .venv-deploy (requirements/deploy.txt).
set -euo pipefail
repository=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
export PYTHONPATH=$repository/src PYTHONDONTWRITEBYTECODE=1
own=$repository/.venv-deploy packages=$repository/requirements/deploy.txt
works() { "$1" -c 'import sys, pydantic, rich, yaml; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; }
python=$repository/.venv/bin/python
if ! works "$python"; then
    python=$own/bin/python
    if [[ $packages -nt $own/installed ]] || ! works "$python"; then
        for base in python3.13 python3.12 python3.11 python3; do
            "$base" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2> /dev/null && break || base=
        done
        [[ $base ]] || { echo "PROBLEM: no Python from 3.11 on; remedy: sudo apt install python3-venv (older systems: python3.11-venv)" >&2; exit 1; }
        wheels=() && for ((i = 1; i < $#; i++)); do [[ ${!i} == --wheels ]] && j=$((i + 1)) && wheels=(--no-index --find-links "${!j}"); done
        "$base" -m venv "$own" && "$python" -m pip install --quiet --require-hashes "${wheels[@]}" -r "$packages" && : > "$own/installed" ||
            { echo "PROBLEM: $packages cannot be installed; remedy: see above; without internet: pip download -r $packages -d wheels on another machine, and --wheels wheels here" >&2; exit 1; }
    fi
fi
exec "$python" -m promptable deploy "$@"
