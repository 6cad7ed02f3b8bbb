"""An identity service like EDI's, as a real HTTP server: it signs tokens, gives one for an API key, and counts."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ISSUER = "https://iam.example.org"
KEY = ec.generate_private_key(ec.SECP256R1())
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class Iam:
    """`keys`: whose each is. `answers`: text, JSON, or something that is broken."""

    def __init__(self) -> None:
        self.keys: dict[str, str] = {}
        self.asked: list[str] = []
        self.answers = "json"
        self.lives_s = 300.0
        self.pause = threading.Event()
        """Answers come while it is set."""
        self.pause.set()
        iam = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                key = json.loads(self.rfile.read(length))["key"]
                iam.asked.append(key)
                iam.pause.wait(30)
                status, body = iam.answer(key) if self.path == "/auth/v1/key" else (404, b"")
                if iam.answers == "hangs up":
                    return
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST  # noqa: N815 - the name that http.server asks for

            def log_message(self, *_: object) -> None:
                """Not on the terminal."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/auth/v1/key"

    def answer(self, key: str) -> tuple[int, bytes]:
        broken = {"error": (500, b"no"), "redirect": (302, b""), "no token": (200, b'{"msg": "hello"}'), "html": (200, b"<html>")}
        if self.answers in broken:
            return broken[self.answers]
        if key not in self.keys:
            return 401, b'{"msg": "refused"}'
        token = signed(claims(self.keys[key], exp=int(time.time() + self.lives_s)))
        if self.answers == "text":
            return 200, f"{token}\n".encode()
        return 200, json.dumps({"msg": "made", "edi-token": token, "method": "getTokenByKey"}).encode()

    def close(self) -> None:
        self.pause.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def write_config(self, folder: Path, **changed: Any) -> Path:
        """The file of issuers, as docs/issuers.md has it."""
        (folder / "iam.pem").write_bytes(PEM)
        config = {
            "name": "edi",
            "issuer": ISSUER,
            "audience": None,
            "algorithms": ["ES256"],
            "public_key_file": str(folder / "iam.pem"),
            "key_url": self.url,
            "full_name_claim": "cn",
            "email_claim": "email",
            "groups_claim": "principals",
            "groups_except": ["public", "authenticated"],
            "default_role": "editor",
        } | changed
        file = folder / "issuers.json"
        file.write_text(json.dumps({"issuers": [config]}))
        return file


def claims(sub: str, **changed: Any) -> dict[str, Any]:
    """What such a token says."""
    now = int(time.time())
    return {
        "sub": sub,
        "cn": "Ann Example",
        "email": "ann@example.org",
        "principals": ["EDI-group0001", "authenticated", "public"],
        "isEmailEnabled": False,
        "isEmailVerified": False,
        "identityId": 7,
        "idpName": "google",
        "idpUid": "ann@example.org",
        "idpCname": "Ann Example",
        "iss": ISSUER,
        "hd": "example.org",
        "iat": now,
        "nbf": now,
        "exp": now + 300,
    } | changed


def signed(body: dict[str, Any], key: Any = KEY, alg: str = "ES256") -> str:
    return jwt.encode(body, key, algorithm=alg)
