#!/bin/bash
# Does Nuclio's processor say that the function is ready? ready.sh [PORT]
# Only status 200 counts: while the model loads, /ready answers 503.
exec 3<> "/dev/tcp/127.0.0.1/${1:-8082}" || exit 1
printf 'GET /ready HTTP/1.0\r\n\r\n' >&3
read -r -t 2 _ status _ <&3
[[ $status == 200 ]]
