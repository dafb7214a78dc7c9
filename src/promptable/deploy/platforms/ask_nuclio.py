"""Runs in CVAT's container: asks Nuclio for its functions and opens their ports, as CVAT's lambda manager does.

Reads host:port of the dashboard from the arguments where CVAT's own settings do not say it; prints JSON.
"""

import json
import os
import socket
import sys
import urllib.request

env = os.environ.get
namespace = env("CVAT_NUCLIO_FUNCTION_NAMESPACE", "nuclio")
address = f"{env('CVAT_NUCLIO_HOST', sys.argv[1])}:{env('CVAT_NUCLIO_PORT', '8070')}"
url = f"{env('CVAT_NUCLIO_SCHEME', 'http')}://{address}/api/functions"
headers = {"x-nuclio-project-name": "cvat", "x-nuclio-function-namespace": namespace}


def refused(port: int) -> str:
    """Why nobody answers there; empty if somebody does."""
    try:
        socket.create_connection(("host.docker.internal", port), timeout=5).close()
    except OSError as error:
        return str(error)
    return ""


try:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, headers=headers), timeout=20) as response:
        functions = json.load(response)
except (OSError, ValueError) as error:
    print(json.dumps({"error": f"{url}: {error}"}))
    sys.exit()
direct = env("CVAT_NUCLIO_INVOKE_METHOD", "direct") != "dashboard"
said = {}
for name, function in functions.items():
    status = function.get("status", {})
    port = status.get("httpPort") or 0
    said[name] = {"state": status.get("state", ""), "port": port, "error": refused(port) if direct and port else ""}
print(json.dumps({"functions": said}))
