"""The real nginx with the real nginx.conf, in front of a small upstream that shows what reaches it."""

import datetime
import http.client
import json
import os
import queue
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.server import running_server

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
CONFIGURATION = Path(__file__).parent.parent / "nginx.conf"
PATIENCE_S = 30.0

pytestmark = pytest.mark.skipif(
    NGINX is None, reason="NGINX IS NOT INSTALLED, so nginx.conf is NOT TESTED: apt-get install nginx-light"
)


class Upstream(ThreadingHTTPServer):
    """Answers with the request as it arrived, in JSON. Bodies are told to the test as they come."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), EchoHandler)
        self.received: queue.Queue[int] = queue.Queue()
        self.go_on = threading.Event()
        self.requests = 0


class EchoHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def do_GET(self) -> None:
        self.server.requests += 1
        if self.path.startswith("/slow"):
            self.send_response(200)
            self.send_header("Content-Length", "10")
            self.end_headers()
            self.wfile.write(b"first")
            assert self.server.go_on.wait(PATIENCE_S)
            self.wfile.write(b"later")
        else:
            self.answer()

    def do_PUT(self) -> None:
        self.server.requests += 1
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                self.server.received.put(len(self.rfile.read(size)))
                self.rfile.readline()
            self.rfile.readline()
        else:
            left = int(self.headers["Content-Length"])
            while left:
                part = self.rfile.read1(min(left, 65536))
                assert part, "the body was cut short"
                left -= len(part)
                self.server.received.put(len(part))
        self.answer()

    def answer(self) -> None:
        request = {"line": self.requestline, "headers": dict(self.headers), "connection": self.client_address[1]}
        body = json.dumps(request).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass
class Proxy:
    upstream: Upstream | None
    port: int
    plain_port: int
    access_log: Path
    error_log: Path
    context: ssl.SSLContext = field(repr=False)

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("localhost", self.port, timeout=PATIENCE_S, context=self.context)

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        with closing(self.connect()) as connection:
            connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return response.status, response.read()

    def echo(self, path: str, **headers: str) -> dict[str, object]:
        status, body = self.get(path, **headers)
        assert status == 200
        request = json.loads(body)
        assert isinstance(request, dict)
        return request

    def logged(self, marker: str) -> str:
        """The lines of the access log once it holds `marker`; nginx writes it after the answer."""
        deadline = time.monotonic() + PATIENCE_S
        while marker not in (text := self.access_log.read_text()):
            assert time.monotonic() < deadline, f"{marker} never reached the access log"
            time.sleep(0.02)
        return text


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    upstream = Upstream()
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    try:
        with nginx_before(upstream.server_port, tmp_path_factory.mktemp("nginx")) as running:
            running.upstream = upstream
            yield running
    finally:
        upstream.shutdown()
        upstream.server_close()


@contextmanager
def nginx_before(upstream_port: int, folder: Path) -> Iterator[Proxy]:
    """nginx with our configuration in front of whatever listens on the port."""
    certificate, key = make_certificate(folder)
    port, plain_port = free_ports()
    proxy = Proxy(
        upstream=None,
        port=port,
        plain_port=plain_port,
        access_log=folder / "access.log",
        error_log=folder / "error.log",
        context=ssl.create_default_context(cafile=str(certificate)),
    )
    places = {
        "user nginx;": "",
        "worker_processes auto;": "worker_processes 1;",
        "worker_rlimit_nofile 65536;": "",
        "worker_connections 16384;": "worker_connections 256;",
        "pid /run/nginx.pid;": f"pid {folder}/nginx.pid;",
        "/dev/stderr": str(proxy.error_log),
        "/dev/stdout": str(proxy.access_log),
        "server api:8000;": f"server 127.0.0.1:{upstream_port};",
        "listen 80 default_server;": f"listen 127.0.0.1:{plain_port};",
        "listen 443 ssl default_server;": f"listen 127.0.0.1:{port} ssl;",
        "/etc/nginx/tls/certificate.pem": str(certificate),
        "/etc/nginx/tls/key.pem": str(key),
        "http {": "http { " + " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in TEMP_KINDS),
    }
    text = CONFIGURATION.read_text()
    for place, substitute in places.items():
        assert place in text, f"nginx.conf has no {place!r} to put another one in its place"
        text = text.replace(place, substitute)
    (folder / "nginx.conf").write_text(text)
    assert NGINX is not None
    process = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"])
    try:
        wait_until_open(port, process)
        yield proxy
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


TEMP_KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def make_certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption_algorithm=serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(secret)
    return folder / "certificate.pem", folder / "key.pem"


def free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        return first.getsockname()[1], second.getsockname()[1]


def wait_until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        assert process.poll() is None, "nginx ended; its message is above"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.02)
        else:
            return


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/media/ark:%2F99999%2Ffk4",
        "/api/v1/media/doi:10.1234//b",
        "/api/v1/media/a%252Fb%25",
        "/api/v1/media/a/%2e%2e/b/./c",
        "/api/v1/media/%C3%A9%20+;=@:&'()*!~",
        "/api/v1/media/" + "p" * 255 + "?where=%24.depth%20%3E%2010",
        "//",
    ],
)
def test_a_path_reaches_the_api_as_it_was_sent(proxy: Proxy, path: str) -> None:
    assert proxy.echo(path)["line"] == f"GET {path} HTTP/1.1"


def test_an_upload_reaches_the_api_while_it_is_still_being_sent(proxy: Proxy) -> None:
    half = 1024 * 1024
    with closing(proxy.connect()) as connection:
        connection.putrequest("PUT", "/api/v1/content/streamed")
        connection.putheader("Content-Length", str(2 * half))
        connection.endheaders(b"x" * half)
        arrived = 0
        while arrived < half:  # the other half is not sent before the first has arrived
            arrived += proxy.upstream.received.get(timeout=PATIENCE_S)
        connection.send(b"x" * half)
        assert connection.getresponse().status == 200
    while arrived < 2 * half:
        arrived += proxy.upstream.received.get(timeout=PATIENCE_S)


def test_an_upload_of_unknown_length_streams_as_well(proxy: Proxy) -> None:
    with closing(proxy.connect()) as connection:
        connection.putrequest("PUT", "/api/v1/content/chunked")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        for part in (b"first", b"second"):
            connection.send(b"%x\r\n%s\r\n" % (len(part), part))
            arrived = 0
            while arrived < len(part):
                arrived += proxy.upstream.received.get(timeout=PATIENCE_S)
        connection.send(b"0\r\n\r\n")
        assert connection.getresponse().status == 200


def test_a_download_reaches_the_client_while_it_is_still_being_sent(proxy: Proxy) -> None:
    proxy.upstream.go_on.clear()
    with closing(proxy.connect()) as connection:
        connection.request("GET", "/slow")
        response = connection.getresponse()
        assert response.read(5) == b"first"
        proxy.upstream.go_on.set()
        assert response.read() == b"later"


def test_the_api_learns_the_client_and_not_what_the_client_claims(proxy: Proxy) -> None:
    request = proxy.echo("/", X_Forwarded_For="10.9.8.7", X_Forwarded_Proto="gopher", Forwarded="for=10.9.8.7")
    headers = request["headers"]
    assert isinstance(headers, dict)
    assert headers["X-Forwarded-For"] == "127.0.0.1"
    assert headers["X-Forwarded-Proto"] == "https"
    assert headers["Host"] == f"localhost:{proxy.port}"
    assert "Forwarded" not in headers


def test_a_request_id_is_passed_on_or_made(proxy: Proxy) -> None:
    given = proxy.echo("/", X_Request_ID="from-the-client")["headers"]
    made = proxy.echo("/")["headers"]
    assert isinstance(given, dict)
    assert isinstance(made, dict)
    assert given["X-Request-ID"] == "from-the-client"
    assert len(made["X-Request-ID"]) == 32


def test_connections_to_the_api_are_kept(proxy: Proxy) -> None:
    assert len({str(proxy.echo("/")["connection"]) for _ in range(5)}) < 5


def test_no_log_holds_a_query_string(proxy: Proxy) -> None:
    proxy.echo("/api/v1/content/logged?token=top-secret", Referer="https://localhost/?token=top-secret")
    line = next(line for line in proxy.logged("/content/logged").splitlines() if "/content/logged" in line)
    assert json.loads(line)["path"] == "/api/v1/content/logged"
    with closing(http.client.HTTPConnection("127.0.0.1", proxy.plain_port, timeout=PATIENCE_S)) as connection:
        connection.request("GET", "/plain?token=top-secret")
        assert connection.getresponse().status == 308
    assert "top-secret" not in proxy.logged('"/plain"')
    assert "top-secret" not in proxy.error_log.read_text()


def test_plain_http_is_sent_to_https_with_its_method_and_query(proxy: Proxy) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", proxy.plain_port, timeout=PATIENCE_S)) as connection:
        connection.request("GET", "/api/v1/media/a%2Fb?x=1", headers={"Host": "media.example.org"})
        response = connection.getresponse()
        assert (response.status, response.headers["Location"]) == (308, "https://media.example.org/api/v1/media/a%2Fb?x=1")


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics/", "//metrics", "/%6Detrics", "/./metrics", "/a/../metrics", "/metrics?x"]
)
def test_metrics_are_not_public(proxy: Proxy, path: str) -> None:
    before = proxy.upstream.requests
    assert proxy.get(path)[0] == 404
    assert proxy.upstream.requests == before


def test_a_pid_that_ends_in_metrics_is_public(proxy: Proxy) -> None:
    assert proxy.echo("/api/v1/media/metrics")["line"] == "GET /api/v1/media/metrics HTTP/1.1"


def test_the_real_server_behind_nginx_takes_and_gives_a_product(database_url: str, tmp_path: Path) -> None:
    content = os.urandom(12 * 1024 * 1024 + 5)
    with running_server(database_url, {"MEDIASTORE_TRUSTED_PROXIES": "127.0.0.1"}) as server:
        port = int(server.url.rpartition(":")[2])
        with (
            nginx_before(port, tmp_path) as proxy,
            httpx.Client(
                base_url=f"https://localhost:{proxy.port}/api/v1",
                verify=proxy.context,
                headers={"Authorization": f"Bearer {server.token()}"},
                timeout=60,
            ) as client,
        ):
            put = client.put("/content/behind%2Fnginx/a%20b", content=content)
            assert put.status_code == 201, put.text
            assert put.json()["pid"] == "behind/nginx/a b"
            got = client.get("/content/behind/nginx/a%20b")
            assert got.content == content
            part = client.get("/content/behind/nginx/a%20b", headers={"Range": "bytes=-5"})
            assert (part.status_code, part.content) == (206, content[-5:])
            assert client.get("/content/behind//nginx").status_code in {400, 404, 422}
