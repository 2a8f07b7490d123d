"""In the child: what is asked of Kaggle about a dataset, with what clients 1.7 to 2.2 have in common."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from histoblend.kaggle import channel
from histoblend.kaggle.symptoms import UploadRefused

MOST_PAGES = 200
METADATA = "dataset-metadata.json"


def describe(api: Any, dataset: str) -> dict[str, Any]:
    """The newest version: state in small letters, number, its files; and whether nobody else sees the dataset."""
    from kagglesdk.datasets.types.dataset_api_service import ApiGetDatasetRequest

    request = ApiGetDatasetRequest()
    request.owner_slug, request.dataset_slug = dataset.split("/")
    with api.build_kaggle_client() as kaggle:
        kept = kaggle.datasets.dataset_api_client.get_dataset(request)
    state = api.dataset_status(dataset)
    return {
        "state": state,
        "version": kept.current_version_number or 0,
        "private": bool(kept.is_private),
        "files": _files(api, dataset) if state == "ready" else {},
    }


def _files(api: Any, dataset: str) -> dict[str, int]:
    """Size in bytes of every file of the newest version."""
    rows: dict[str, int] = {}
    token = None
    for _ in range(MOST_PAGES):
        response = api.dataset_list_files(dataset, page_token=token, page_size=200)
        if response.error_message:
            raise RuntimeError(response.error_message)
        rows.update({file.name: file.total_bytes for file in response.files or []})
        token = response.next_page_token
        if not token:
            break
    return rows


def create(api: Any, dataset: str, folder: str) -> str:
    """Make the private dataset that `folder` and the metadata in it describe; what Kaggle objects to, or nothing.

    Raises:
        UploadRefused: a file was not taken; nothing was made.
    """
    with _whole_uploads(api, folder):
        response = api.dataset_create_new(
            folder, public=False, quiet=True, convert_to_csv=False, dir_mode="skip"
        )
    return _objection(response)


def add_version(api: Any, dataset: str, folder: str, notes: str) -> str:
    """Make a new version of the files in `folder`; what Kaggle objects to, or nothing.

    Raises:
        UploadRefused: a file was not taken; nothing was made.
    """
    with _whole_uploads(api, folder):
        response = api.dataset_create_version(
            folder, notes, quiet=True, convert_to_csv=False, delete_old_versions=False, dir_mode="skip"
        )
    return _objection(response)


def _objection(response: Any) -> str:
    if response is None:
        return "the client gave no answer"
    said = getattr(response, "error", None) or ""
    state = str(getattr(response, "status", None) or "")
    return str(said or ("" if state.lower() in ("", "ok") else state))


@contextmanager
def _whole_uploads(api: Any, folder: str) -> Iterator[None]:
    """Let the client create nothing where a file was not taken, and repeat nothing by itself.

    It would leave the file out and go on; and it repeats what creates something, though a reply that was lost does
    not say that nothing was created. Sizes of all files are counted together for the progress.
    """
    upload_files, upload_complete = api.upload_files, api.upload_complete
    files = [path for path in Path(folder).iterdir() if path.name != METADATA]
    total = sum(path.stat().st_size for path in files)
    complete = sys.modules[type(api).__module__].ResumableUploadResult.COMPLETE
    sizes: dict[str, int] = {}
    refused: set[str] = set()

    def counted(path: str, *arguments: Any, **options: Any) -> Any:
        channel.begin_part(sum(size for name, size in sizes.items() if name != path), total)
        result = upload_complete(path, *arguments, **options)
        sizes[path] = Path(path).stat().st_size
        (refused.discard if result == complete else refused.add)(Path(path).name)
        return result

    def all_of_them(request: Any, *arguments: Any, **options: Any) -> None:
        try:
            upload_files(request, *arguments, **options)
        except ValueError as error:  # so clients since 2.2.5 say it
            if refused:
                raise UploadRefused(f"not taken: {', '.join(sorted(refused))}") from error
            raise
        if len(request.files) != len(files):
            raise UploadRefused(f"not taken: {', '.join(sorted(refused)) or 'nobody says which file'}")

    api.upload_files, api.upload_complete = all_of_them, counted
    api.with_retry = lambda function, *_: function
    yield
