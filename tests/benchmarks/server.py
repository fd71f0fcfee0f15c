"""The other side: an nginx of our own on loopback with throw-away certificates, and the long way to it."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
CONFIG = """
{user}
daemon off;
worker_processes 1;
pid {place}/nginx.pid;
error_log {place}/error.log;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    default_type application/octet-stream;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 300s;
    keepalive_requests 1000000;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    ssl_certificate {place}/server.pem;
    ssl_certificate_key {place}/server.pem;
    ssl_protocols TLSv1.3;
    root {place}/files;
    server {{
        {listen}
        location /drip/ {{
            alias {place}/files/;
            limit_rate {drip};
        }}
    }}
    server {{
        listen 127.0.0.1:{silent} ssl backlog=1024;
        location / {{
            proxy_pass http://127.0.0.1:{nobody};
            proxy_read_timeout 600s;
        }}
    }}
}}
"""
SERVERS = 10  # ports that answer; to a client, each is a server of its own
DRIP = 20  # bytes a second


def find_nginx() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")


class Server:
    """Files of the wanted sizes under ``https://localhost:port``, while `running`.

    Attributes:
        ports: they all serve the same files, those under ``/drip/`` a few bytes a second.
        silent: a port that takes every request and never answers.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        *self.ports, self.silent = free_ports(SERVERS + 1)
        self.port = self.ports[0]
        self.ca = place / "ca.pem"

    def urls(self, count: int, size: int, port: int | None = None, under: str = "") -> list[str]:
        """Return so many URLs of files of so many bytes: many names of one file, which is not what is measured."""
        folder = self.place / "files" / str(size)
        first = folder / "0.bin"
        if not first.exists():
            folder.mkdir(parents=True)
            write_noise(first, size)
        for number in range(1, count):
            with contextlib.suppress(FileExistsError):
                os.link(first, folder / f"{number}.bin")
        return [f"https://localhost:{port or self.port}/{under}{size}/{number}.bin" for number in range(count)]

    @contextlib.contextmanager
    def running(self, nginx: str) -> Iterator[None]:
        import trustme

        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca))
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(self.place / "server.pem"))
        # a worker that drops root's rights could not enter our private directory
        user = "user root;" if hasattr(os, "geteuid") and os.geteuid() == 0 else ""
        config = self.place / "nginx.conf"
        listen = " ".join(f"listen 127.0.0.1:{port} ssl backlog=1024;" for port in self.ports)
        ports = {"listen": listen, "silent": self.silent, "drip": DRIP}
        # -e: before it has read its configuration nginx would open the system's log
        command = [nginx, "-p", str(self.place), "-c", str(config), "-e", str(self.place / "error.log")]
        with socket.create_server(("127.0.0.1", 0), backlog=1024) as nobody:  # the kernel connects, nobody answers
            config.write_text(CONFIG.format(user=user, place=self.place, nobody=port_of(nobody), **ports), "ascii")
            with ended(subprocess.Popen(command)) as process:
                wait_for_port(self.port, process)
                yield


@contextlib.contextmanager
def relay(port: int, round_trip: float, extra_round_trips: float) -> Iterator[int]:
    """Yield the port of a way to `port` on which a round trip takes so many seconds."""
    command = [sys.executable, str(HERE / "relay.py"), str(port), str(round_trip), str(extra_round_trips)]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as process:
        yield int(process.stdout.readline())


@contextlib.contextmanager
def ended(process: subprocess.Popen) -> Iterator[subprocess.Popen]:
    with process:
        try:
            yield process
        finally:
            process.terminate()


def wait_for_port(port: int, process: subprocess.Popen) -> None:
    for _ in range(200):
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError("nginx did not start")


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        return [port_of(held.enter_context(socket.create_server(("127.0.0.1", 0)))) for _ in range(count)]


def port_of(listening: socket.socket) -> int:
    return listening.getsockname()[1]


def write_noise(path: Path, size: int) -> None:
    block = os.urandom(1024 * 1024)
    with path.open("wb") as file:
        for start in range(0, size, len(block)):
            file.write(block[: size - start])
