"""Stands for an image: a small HTTP server that drains on SIGTERM."""

import http.server
import os
import pathlib
import signal
import sys
import threading
import time


def is_there(variable):
    return variable in os.environ and pathlib.Path(os.environ[variable]).exists()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        code = 200
        if self.path == "/ready" and is_there("UNREADY_FILE"):
            code = 503
        if self.path == "/live" and is_there("DEAD_FILE"):
            code = 500
        if self.path == "/slow":
            time.sleep(1)
        body = f"{os.environ.get('ANSWER', '')} {os.getpid()}".encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 256


if os.environ.get("CRASH"):
    print("about to fail", flush=True)
    print("no such model", flush=True)
    sys.exit(7)
time.sleep(float(os.environ.get("START_SECONDS", "0")))
server = Server((os.environ["SLIPWAY_BIND"], int(os.environ["SLIPWAY_REST_PORT"])), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print("serving", os.environ.get("ANSWER", ""), flush=True)
server.serve_forever(poll_interval=0.05)
server.server_close()
print("drained", flush=True)
