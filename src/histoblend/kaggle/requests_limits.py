"""In the child: no HTTP request without a time limit, and uploads that say how far they are."""

from __future__ import annotations

from typing import Any

from histoblend.kaggle import channel


def limit_requests(seconds: float) -> None:
    """Let every request of this process fail after `seconds` of silence, in the middle of a body too.

    `requests` hands the limit to the socket, so it holds for each single read. The client's own repetitions of an
    upload are switched off: there is one policy, the parent's, and it knows what may be repeated.
    """
    from requests.adapters import HTTPAdapter
    from urllib3.util.retry import Retry

    send = getattr(HTTPAdapter.send, "unlimited", HTTPAdapter.send)

    def limited(self: Any, request: Any, *arguments: Any, **options: Any) -> Any:
        options["timeout"] = min(options.get("timeout") or seconds, seconds)
        self.max_retries = Retry(0, read=False)
        if hasattr(request.body, "read"):
            request.body = _Counted(request.body, int(request.headers.get("Content-Length") or 0))
        return send(self, request, *arguments, **options)

    limited.unlimited = send  # type: ignore[attr-defined]
    HTTPAdapter.send = limited  # type: ignore[method-assign]


class _Counted:
    """A body that is being sent."""

    def __init__(self, body: Any, total: int) -> None:
        self._body, self._total, self._done = body, total, 0

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._body.read(size)
        self._done += len(data)
        channel.progress(self._done, self._total)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)
