"""A stand-in for Kaggle's service on 127.0.0.1, to which the real `kaggle` client speaks. It is never Kaggle.

How to use it. In tests: the fixture `kaggle_service` of tests/kaggle/conftest.py, which also puts tests/kaggle on
sys.path, so that every test file says ``from server.service import Fault``. In a script outside pytest:

    sys.path.insert(0, "tests/kaggle")
    from server.service import Service
    from server.competitions import Competition

    with Service() as service:
        competition = Competition(service, labels={"id1": 0, "id2": 1}, files={"train.csv": b"..."})
        environment = service.environment(home)     # for connect(environment, display), or a child process

What it is made of. A table ``service.calls`` from "<service>/<Rpc>" to a function of a Request that gives an Answer,
or something JSON can hold; further services add rows to it, as `Competition` does in its constructor.
``service.storage`` keeps what is uploaded and hands out what may be downloaded. ``service.faults`` is a list of rules
of what goes wrong; ``service.log`` says what was asked.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from server.storage import Storage

USER, KEY, TOKEN = "histo-tester", "loopback-key-0123456789abcdef", "loopback-token-fedcba9876543210"
INTROSPECT = "security.OAuthService/IntrospectToken"
CREDENTIALS = ("KAGGLE_API_TOKEN", "KAGGLE_API_V1_TOKEN", "KAGGLE_CONFIG_DIR", "KAGGLE_KERNEL_RUN_TYPE")
PROXIES = ("no_proxy", "all_proxy", "ftp_proxy")


@dataclass(frozen=True)
class Request:
    """What came over the wire."""

    method: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    user: str | None

    @property
    def json(self) -> dict[str, Any]:
        """The body of a call."""
        return json.loads(self.body or b"{}")


@dataclass(frozen=True)
class Answer:
    """What goes back: `body` as it stands."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer of JSON."""
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


def error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """An error in the form of Kaggle's."""
    return as_json({"code": status, "message": message}, status, headers)


@dataclass
class Fault:
    """A rule: what goes wrong with the next `times` requests whose path contains `on`, after `skip` good ones.

    Attributes:
        on: part of the path, such as ``"ListSubmissions"`` or ``"/upload/"``.
        times: how often; then all is well again.
        skip: so many matching requests are let through before.
        answer: given in place of the right one.
        stall: no answer comes for so many seconds (or until the service stops).
        cut: after so many bytes of the right answer's body the connection is dropped.
        freeze: after so many bytes of the right answer's body nothing more comes, for `stall` seconds.
        drop: ``"before"``: the connection is dropped unheard; ``"after"``: what was asked is done, the reply is lost.
        headers: added to the right answer.
    """

    on: str
    times: int = 1
    skip: int = 0
    answer: Answer | None = None
    stall: float = 0
    cut: int | None = None
    freeze: int | None = None
    drop: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Logged:
    """One request that came: how, for which host and path, answered with what; never what it was signed with."""

    method: str
    host: str
    path: str
    status: int
    fault: bool = False


class Service:
    """The server: starts on entering, on a free port of 127.0.0.1."""

    def __init__(self) -> None:
        self.calls: dict[str, Callable[[Request], Any]] = {INTROSPECT: self._introspect}
        self.storage = Storage()
        self.faults: list[Fault] = []
        self.log: list[Logged] = []
        self.tokens = {TOKEN: USER}
        self.keys = {USER: KEY}
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"service": self}))
        self.port = self._server.server_address[1]

    def __enter__(self) -> Service:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def environment(self, home: Path) -> dict[str, str]:
        """This process's environment, turned so that the client reaches this server and nothing else.

        Everything goes through the proxy named in it, which is this server: what was meant for another host arrives
        here too and stands in the log.
        """
        proxy = f"http://127.0.0.1:{self.port}"
        unwanted = {*CREDENTIALS, *PROXIES, *(name.upper() for name in PROXIES)}
        kept = {name: value for name, value in os.environ.items() if name not in unwanted}
        both = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), proxy)
        own = {
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "KAGGLE_USERNAME": USER,
            "KAGGLE_KEY": KEY,
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / ".config"),
        }
        return {**kept, **both, **own}

    def requests(self, part: str) -> list[Logged]:
        """What was asked of paths that contain `part`."""
        return [entry for entry in self.log if part in entry.path]

    def answer(self, request: Request) -> Answer:
        """The right answer to `request`."""
        if request.host.split(":")[0] != "localhost":
            return error(403, "This server stands in for localhost only.")
        if request.path.startswith(("/storage/", "/upload/")):
            status, body, headers = self.storage.serve(
                request.method, request.path, request.body, request.headers
            )
            return Answer(status, body, headers)
        name = request.path.removeprefix("/api/v1/")
        if name not in self.calls:
            return error(404, f"Nothing here answers to {name}.")
        if request.user is None and name != INTROSPECT:
            return error(401, "Unauthenticated")
        given = self.calls[name](request)
        return given if isinstance(given, Answer) else as_json(given)

    def fault_for(self, path: str) -> Fault | None:
        """The rule that strikes this request, counted off."""
        with self.lock:
            for fault in self.faults:
                if fault.on not in path or fault.times <= 0:
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None

    def user_of(self, authorization: str) -> str | None:
        """Whose credential it is; None where it is nobody's."""
        kind, _, value = authorization.partition(" ")
        if kind == "Bearer":
            return self.tokens.get(value)
        try:
            name, _, key = base64.b64decode(value).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return name if key and self.keys.get(name) == key else None

    def _introspect(self, request: Request) -> Any:
        user = self.tokens.get(request.json.get("token", ""))
        return {"active": True, "username": user} if user else error(401, "Unauthenticated")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is what many tests are about; anything else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Reads a request, lets faults strike, writes the answer."""

    service: Service
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        parts = urlsplit(self.path)
        host = parts.hostname or self.headers.get("Host", "")
        fault = self.service.fault_for(parts.path)
        if fault is not None and fault.drop == "before":
            self._note(host, parts.path, 0, fault)
            self._drop()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        user = self.service.user_of(self.headers.get("Authorization", ""))
        request = Request(self.command, host, parts.path, query, dict(self.headers), body, user)
        self._reply(request, fault)

    do_GET = do_PUT = do_POST

    def do_CONNECT(self) -> None:
        """An attempt to reach a real host in secret: noted and refused."""
        self._note(self.path, "CONNECT", 403, None)
        self.send_error(403)

    def _reply(self, request: Request, fault: Fault | None) -> None:
        if fault is not None and fault.answer is not None:
            answer = fault.answer
        elif fault is not None and fault.stall and fault.freeze is None:
            self._note(request.host, request.path, 0, fault)
            self.service.closing.wait(fault.stall)
            self._drop()
            return
        else:
            answer = self.service.answer(request)
        lost = fault is not None and fault.drop == "after"
        self._note(request.host, request.path, 0 if lost else answer.status, fault)
        if lost:
            self._drop()
        else:
            self._write(answer, fault)

    def _write(self, answer: Answer, fault: Fault | None) -> None:
        self.send_response(answer.status)
        for name, value in {**answer.headers, **(fault.headers if fault else {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if fault is not None and fault.freeze is not None:
            self.wfile.write(answer.body[: fault.freeze])
            self.service.closing.wait(fault.stall)
            self._drop()
        elif fault is not None and fault.cut is not None:
            self.wfile.write(answer.body[: fault.cut])
            self._drop()
        else:
            self.wfile.write(answer.body)

    def _drop(self) -> None:
        self.close_connection = True

    def _note(self, host: str, path: str, status: int, fault: Fault | None) -> None:
        entry = Logged(self.command, host, path, status, fault is not None)
        with self.service.lock:
            self.service.log.append(entry)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing on stderr: the log is kept."""
