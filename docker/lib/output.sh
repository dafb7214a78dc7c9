# Talking to the admin. Sourced by deploy.sh.
# shellcheck shell=bash

problems=0

step() { printf '\n== %s\n' "$*"; }

say() { printf '   %s\n' "$*"; }

warn() { printf '   warning: %s\n' "$*" >&2; }

# problem WHAT REMEDY: something is wrong; stop_on_problems ends the run once all checks are through.
problem() {
    printf '   PROBLEM: %s\n   remedy:  %s\n' "$1" "$2" >&2
    problems=$((problems + 1))
}

# die WHAT REMEDY: the run ends here.
die() {
    problem "$1" "$2"
    exit 1
}

stop_on_problems() {
    ((problems == 0)) && return
    if [[ $dry_run ]]; then
        say "$problems problem(s): without --dry-run nothing below would happen"
        problems=0
    else
        die "$problems problem(s) found, nothing was changed" "see above, then run the same command again"
    fi
}

show() {
    printf '   +'
    printf ' %q' "$@"
    printf '\n'
}

# run COMMAND...: shows the command; runs it unless this is a dry run.
run() {
    show "$@"
    [[ $dry_run ]] || "$@"
}
