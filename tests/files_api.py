"""A Files API on loopback that speaks to three SDKs, and is slow, fails, loses answers and forgets as it is told."""

import contextlib
import email
import email.policy
import http.server
import json
import re
import threading
import time
import uuid
from urllib.parse import parse_qs, urlsplit


class FilesApi:
    """What the server has, and how it misbehaves.

    Attributes:
        files: id -> name of what is stored.
        delay: seconds before an upload is stored.
        delete_delay: seconds before a deletion is done.
        script: what happens to each request that is named so, in order: ``lose`` (do it, and drop the connection),
            a status, ``hang`` (do it late) or ``forget`` (the file is gone before).
    """

    def __init__(self):
        self.files = {}
        self.delay = 0.0
        self.delete_delay = 0.0
        self.script = {"upload": [], "delete": [], "list": []}
        self.requests = []
        self.expiries = []
        self.sizes = []  # of what was sent, its form included
        self.lock = threading.Lock()
        self.stored = threading.Event()
        self.asked = threading.Event()

    def next(self, what):
        with self.lock:
            self.requests.append(what)
            return self.script[what].pop(0) if self.script[what] else None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: FilesApi

    def log_message(self, *_):
        pass

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status, value, **headers):
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")  # no thread of the server waits for a second request
        self.end_headers()
        self.wfile.write(data)

    def fault(self, what):
        """Do what the script says before the request is done; tell whether that was all."""
        self.told = self.api.next(what)
        if isinstance(self.told, int):
            self.answer(self.told, {"error": {"message": "as told", "type": "x", "code": self.told}})
            return True
        return False

    def lost(self):
        """Whether the answer is to be lost."""
        if self.told == "lose":
            self.close_connection = True
            self.connection.shutdown(2)
            return True
        return False

    @property
    def google(self):
        return any(name.lower().startswith("x-goog") for name in self.headers)

    @property
    def anthropic(self):
        return "anthropic-version" in self.headers

    def do_POST(self):
        data = self.body()
        parts = urlsplit(self.path)
        if self.google and "upload_id" not in parts.query:
            name = json.loads(data)["file"]["name"].removeprefix("files/")
            address = f"http://{self.headers['Host']}{parts.path}?upload_id=1&name={name}"
            self.answer(200, {}, X_Goog_Upload_URL=address, X_Goog_Upload_Status="active")
            return
        self.api.asked.set()
        if self.google and "finalize" not in self.headers["X-Goog-Upload-Command"]:  # more of the file follows
            self.api.sizes.append(len(data))
            self.answer(200, {}, X_Goog_Upload_Status="active")
            return
        if self.fault("upload"):
            return
        self.api.sizes.append(len(data))
        time.sleep(self.api.delay)
        if self.google:
            identity = name = parse_qs(parts.query)["name"][0]
        else:
            identity, name = f"file-{uuid.uuid4().hex}", self.filename(data)
        with self.api.lock:
            self.api.files[identity] = name
            self.api.stored.set()
        if self.lost():
            return
        if self.google:
            self.answer(200, {"file": self.facts(identity)}, X_Goog_Upload_Status="final")
        else:
            self.answer(200, self.facts(identity))

    def filename(self, data):
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        message = email.message_from_bytes(head + data, policy=email.policy.HTTP)
        fields = {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}
        self.api.expiries.append(next((int(p.get_content()) for n, p in fields.items() if n and "seconds" in n), None))
        return fields["file"].get_filename()

    def facts(self, identity):
        name = self.api.files.get(identity, "")
        if self.google:
            address = f"http://{self.headers['Host']}/v1/files/{identity}"
            return {"name": f"files/{identity}", "uri": address, "state": "ACTIVE", "mimeType": "image/png"}
        if self.anthropic:
            return {"id": identity, "type": "file", "filename": name, "mime_type": "image/png", "size_bytes": 1,
                    "created_at": "2026-11-01T00:00:00Z", "downloadable": False}  # fmt: skip
        return {"id": identity, "object": "file", "bytes": 1, "created_at": 1, "filename": name,
                "purpose": "user_data", "status": "processed"}  # fmt: skip

    def do_GET(self):
        if self.google:
            self.answer(200, self.facts(self.path.rpartition("/")[2]))
            return
        if self.fault("list"):
            return
        with self.api.lock:
            found = [self.facts(identity) for identity in self.api.files]
        self.answer(200, {"object": "list", "data": found, "has_more": False, "next_page": None})

    def do_DELETE(self):
        identity = re.split("[/?]", self.path.partition("/files/")[2])[0]
        if self.fault("delete"):
            return
        time.sleep(0.5 if self.told == "hang" else self.api.delete_delay)
        with self.api.lock:
            if self.told == "forget":
                self.api.files.pop(identity, None)
            there = self.api.files.pop(identity, None)
        if self.lost():
            return
        if there is None:
            status = 403 if self.google else 404
            self.answer(status, {"error": {"message": "no such file", "code": status, "status": "X"}})
        else:
            self.answer(200, {"id": identity, "object": "file", "type": "file_deleted", "deleted": True})


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 256

    def handle_error(self, *_):
        """Stay silent: clients that go away are what is tested."""


@contextlib.contextmanager
def files_api():
    """Serve all three APIs; yield the address and what the server has."""
    api = FilesApi()
    handler = type("Handler", (Handler,), {"api": api})
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", api
        finally:
            server.shutdown()
            thread.join()
