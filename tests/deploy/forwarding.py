"""kubectl port-forward's stand-in: forwarding.py PORT passes requests to a free port of its own on to PORT."""

import sys
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        connection = HTTPConnection("127.0.0.1", int(sys.argv[1]))
        connection.request("POST", "/", self.rfile.read(int(self.headers["Content-Length"])))
        answer = connection.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    server = HTTPServer(("127.0.0.1", 0), _Handler)
    print(f"Forwarding from 127.0.0.1:{server.server_port} -> 8080", flush=True)
    server.serve_forever()
