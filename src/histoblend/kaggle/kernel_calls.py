"""What is asked of Kaggle about kernels, by the real client: these functions run in the child process.

Pushing goes through the client's own function; for what is only read its requests are sent as they are, since the
functions around them turn a refused key into a wrong kernel name (2.x) or know no second page (1.7, 2.0).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from histoblend.kaggle.transfers import receive


def push(api: Any, folder: str) -> dict[str, Any]:
    """Send the kernel in `folder` and start it; what Kaggle replied, and whether the client names the machine (2.x)."""
    from kagglesdk.kernels.types.kernels_api_service import ApiSaveKernelRequest

    reply = api.kernels_push(folder)
    kinds = ("tags", "dataset_sources", "competition_sources", "kernel_sources", "model_sources")
    invalid = {kind.replace("_", " "): list(getattr(reply, f"invalid_{kind}", None) or []) for kind in kinds}
    return {
        "reference": getattr(reply, "ref", None) or "",
        "address": reply.url or "",
        "version": reply.version_number,
        "error": reply.error or "",
        "invalid": {kind: names for kind, names in invalid.items() if names},
        "machine_named": hasattr(ApiSaveKernelRequest, "machine_shape"),
    }


def look(api: Any, kernel: str, parts: list[str]) -> dict[str, Any]:
    """What is known of `kernel`, each part None where there is no such kernel; one process for all of them.

    Args:
        kernel: ``owner/slug``.
        parts: of session, kept, output, log; `log` (beside session) is that of a running one, as far as it is given.
    """
    found: dict[str, Any] = {part: _if_there(PARTS[part], api, kernel) for part in parts if part in PARTS}
    running = (found.get("session") or {}).get("state") == "running"
    found["log"] = _log(api, kernel) if "log" in parts and running else None
    return found


def _if_there(question: Callable[[Any, str], Any], api: Any, kernel: str) -> Any:
    """The answer; None where Kaggle knows no such kernel: it then says 404, or 403 with a word about `get`."""
    import requests

    try:
        return question(api, kernel)
    except requests.exceptions.HTTPError as error:
        if error.response is None:
            raise
        status, said = error.response.status_code, f"{error} {error.response.text}"
        if status == 404 or (status == 403 and "kernels.get" in said):
            return None
        raise


def _session(api: Any, kernel: str) -> dict[str, Any]:
    """State of the last session, in small letters, and why it failed."""
    from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelSessionStatusRequest

    reply = _asked(api, "get_kernel_session_status", ApiGetKernelSessionStatusRequest(), kernel)
    state = str(getattr(reply.status, "name", reply.status)).lower()
    return {"state": state, "failure": reply.failure_message or ""}


def _kept(api: Any, kernel: str) -> dict[str, Any]:
    """What Kaggle keeps of it: version, settings, sources and the hash of its script."""
    from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelRequest

    reply = _asked(api, "get_kernel", ApiGetKernelRequest(), kernel)
    kept, source = reply.metadata, (reply.blob.source if reply.blob else None) or ""
    return {
        "version": getattr(kept, "current_version_number", None) or None,
        "private": _switch(kept, "is_private"),
        "gpu": _switch(kept, "enable_gpu"),
        "internet": _switch(kept, "enable_internet"),
        "machine": getattr(kept, "machine_shape", None) or "",
        "competitions": list(kept.competition_data_sources or []),
        "datasets": list(kept.dataset_data_sources or []),
        "kernels": list(kept.kernel_data_sources or []),
        "script": hashlib.sha256(source.encode()).hexdigest(),
    }


def _switch(kept: Any, name: str) -> bool | None:
    """A switch of the kernel; None where Kaggle says nothing about it (the client then answers False)."""
    return None if getattr(kept, f"_{name}", None) is None else bool(getattr(kept, name))


def _output(api: Any, kernel: str) -> dict[str, Any]:
    """Every file of the last session, page by page, and its log."""
    from kagglesdk.kernels.types.kernels_api_service import ApiListKernelSessionOutputRequest

    files: dict[str, str] = {}
    log, page, pages = "", "", {""}
    while True:
        request = ApiListKernelSessionOutputRequest()
        if page:
            request.page_token = page
        reply = _asked(api, "list_kernel_session_output", request, kernel)
        log = log or reply.log or ""
        files |= {one.file_name or "": one.url or "" for one in reply.files or []}
        page = reply.next_page_token or ""
        if not page:
            return {"files": files, "log": log}
        if page in pages:
            raise RuntimeError(f"the pages of its output go in a circle: {page!r} again")
        pages.add(page)


def _log(api: Any, kernel: str) -> dict[str, Any]:
    """The log so far, or why there is none."""
    import requests

    try:
        return {"log": _output(api, kernel)["log"], "problem": ""}
    except requests.exceptions.HTTPError as error:  # nothing promises a log before the end
        return {"log": "", "problem": str(error)}


PARTS: dict[str, Callable[[Any, str], Any]] = {
    "session": _session,
    "kept": _kept,
    "output": _output,
}


def _asked(api: Any, what: str, request: Any, kernel: str) -> Any:
    request.user_name, request.kernel_slug = kernel.split("/")
    with api.build_kaggle_client() as kaggle:
        return getattr(kaggle.kernels.kernels_api_client, what)(request)


def fetch(api: Any, address: str, to: str) -> int:
    """Download to `to`, going on where a broken download stopped; its bytes."""
    import requests

    with requests.get(address, stream=True, headers={"Accept-Encoding": "identity"}) as reply:
        reply.raise_for_status()
        return receive(reply, Path(to))
