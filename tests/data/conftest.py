"""Memory-mapped copies out of the user's cache; a server on this machine for downloads."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import datasets
import pytest


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


class Server:
    """What the server does and what it was asked for.

    Attributes:
        body: the file.
        breaks: bytes after which each of the next answers breaks off.
        ranges: whether it resumes.
        etag: its mark of the file, None for none.
        status: of every answer, or None for the usual ones.
        kind: content type.
        length: whether it says how long the file is.
        asked: the Range header of every request.
    """

    def __init__(self):
        self.body, self.breaks, self.ranges, self.etag = b"PK" + bytes(range(256)) * 4000, [], True, '"1"'
        self.status, self.kind, self.length, self.asked = None, "application/zip", True, []

    def handler(server):
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):
                server.asked.append(self.headers.get("Range"))
                if server.status is not None:
                    self.send_response(server.status)
                    self.end_headers()
                    return
                first, wanted = 0, re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
                fresh = self.headers.get("If-Range") in (None, server.etag)
                if wanted and server.ranges and fresh:
                    first = int(wanted[1])
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {first}-{len(server.body) - 1}/{len(server.body)}")
                else:
                    self.send_response(200)
                self.send_header("Content-Type", server.kind)
                if server.length:
                    self.send_header("Content-Length", str(len(server.body) - first))
                if server.etag:
                    self.send_header("ETag", server.etag)
                self.end_headers()
                stop = first + server.breaks.pop(0) if server.breaks else len(server.body)
                self.wfile.write(server.body[first:stop])

        return Handler


@pytest.fixture
def server():
    state = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), state.handler())
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    state.address = f"http://127.0.0.1:{http.server_port}/file.zip"
    yield state
    http.shutdown()
    http.server_close()
    thread.join()
