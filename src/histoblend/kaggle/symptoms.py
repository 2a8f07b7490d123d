"""In the child: what an exception of the client, or of what it stands on, is a symptom of."""

from __future__ import annotations

import errno
import json
import re
import sys
from typing import Any

from histoblend.kaggle.transfers import NotTheFile

STATUS_KINDS = {401: "unauthorised", 403: "forbidden", 404: "not found", 429: "too many"}
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO)

# How the causes of a ConnectionError name themselves, through all the wrappings of requests and urllib3.
CONNECTION_KINDS = (
    (r"timed out|Timeout", "stalled"),
    (r"RemoteDisconnected|Connection aborted|reset|IncompleteRead|Broken pipe", "dropped"),
    (r"certificate|SSL", "certificate"),
    (r"proxy", "proxy"),  # before the next: where the proxy is what cannot be reached
    (r"resolve|getaddrinfo|Name or service|name resolution|nodename", "unknown host"),
    (r"refused|unreachable|No route", "unreachable"),
)


class UploadRefused(Exception):
    """The client gave an upload up, and said so in its words only."""


def symptom_of(error: BaseException) -> dict[str, Any]:
    """Kind, HTTP status, message, and the seconds the service asks to wait, as JSON can hold them.

    Kinds: unauthorised, forbidden, not found, too many, server, refused (another 4xx), stalled, dropped, unreachable,
    unknown host, proxy, certificate, not json, upload, disk, exit, missing, client.
    """
    status = _status(error)
    return {
        "kind": _kind(error, status),
        "status": status,
        "message": _message(error),
        "retry_after": _retry_after(error),
        "call": _call(error),
        "client": getattr(sys.modules.get("kaggle"), "__version__", ""),
    }


def _status(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    if response is None:
        return None
    code = _answer(response).get("code")
    return code if response.status_code < 400 and isinstance(code, int) else int(response.status_code)


def _kind(error: BaseException, status: int | None) -> str:
    import requests

    if isinstance(error, UploadRefused):
        return "upload"
    if isinstance(error, (json.JSONDecodeError, requests.exceptions.InvalidJSONError, NotTheFile)):
        return "not json"
    if status == 403 and _from_storage(error):
        return "server"  # the signature of the address has run out; another call brings a new one
    if status is not None and status >= 400:
        return STATUS_KINDS.get(status, "server" if status >= 500 else "refused")
    if isinstance(error, (requests.exceptions.Timeout, TimeoutError)):
        return "stalled"
    broken = (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError, ConnectionError)
    if isinstance(error, broken):
        found = (
            kind for pattern, kind in CONNECTION_KINDS if re.search(pattern, f"{error!r}", re.IGNORECASE)
        )
        return next(found, "dropped")
    if isinstance(error, OSError) and error.errno in DISK_ERRORS:
        return "disk"
    if isinstance(error, SystemExit):
        return "exit"
    return "missing" if isinstance(error, ImportError) else "client"


def _from_storage(error: BaseException) -> bool:
    """Whether the answer came from where a redirect led."""
    return bool(getattr(getattr(error, "response", None), "history", None))


def _message(error: BaseException) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return str(_answer(response).get("message") or response.reason or "")
    return f"{type(error).__name__}: {_plain(str(error))}"


def _plain(text: str) -> str:
    """The innermost cause, without the objects and pools that stand around it."""
    inner = re.search(r"\(Caused by \w+\((.*)\)\)$", text, re.DOTALL)
    text = re.sub(r"<[\w.]+ object at 0x[0-9a-f]+>(, )?", "", inner[1] if inner else text)
    return re.sub(r"HTTPS?ConnectionPool\([^)]*\)(: |, )?", "", text).strip(" '\":")


def _answer(response: Any) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _call(error: BaseException) -> str:
    """The last part of the address that was asked, such as ``CreateSubmission``; empty where it is not known."""
    response = getattr(error, "response", None)
    request = getattr(error, "request", None) or getattr(response, "request", None)
    return str(getattr(request, "url", None) or "").partition("?")[0].rpartition("/")[2]


def _retry_after(error: BaseException) -> float | None:
    """Seconds; the header's other form, a date, counts as none."""
    response = getattr(error, "response", None)
    given = response.headers.get("Retry-After", "") if response is not None else ""
    return float(given) if re.fullmatch(r"\d+(\.\d+)?", given) else None
