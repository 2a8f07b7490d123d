"""Which credential the `kaggle` client will use, by kind and place; values are known only to be blotted out."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from histoblend.errors import ServiceRefusal, some

BLOT = "***"
SHORTEST = 6  # letters of a value worth blotting out: shorter ones occur by chance


@dataclass(frozen=True)
class Credential:
    """One credential.

    Attributes:
        kind: ``"access token"``, ``"API key"``, ``"OAuth login"`` or ``"notebook token"``.
        place: the variable or file it comes from.
        hides: those that the client would use if this one were not there.
        values: never to be shown.
    """

    kind: str
    place: str
    hides: tuple[Credential, ...] = ()
    values: tuple[str, ...] = field(default=(), repr=False)


def find_credential(environment: Mapping[str, str]) -> Credential:
    """The credential that the client takes: the first of token, key and OAuth login.

    Raises:
        ServiceRefusal: there is none; with the ways to set one.
    """
    found = list(_present(environment))
    if not found:
        inside = "KAGGLE_KERNEL_RUN_TYPE" in environment
        empty = [str(path) for path in _files(environment).values() if path.exists()]
        there = f" {some(empty)} cannot be read or does not hold one." if empty else ""
        raise ServiceRefusal(
            f"No credential for Kaggle is set.{there}",
            "an access token or an API key of your account",
            ways_to_set(inside),
        )
    first = found[0]
    return Credential(first.kind, first.place, tuple(found[1:]), first.values)


def open_to_others(environment: Mapping[str, str]) -> list[Path]:
    """Files with a credential that other users of this machine may read."""
    there = [path for path in _files(environment).values() if path.exists()]
    return [path for path in there if path.stat().st_mode & 0o044]


def secrets(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Every value that must not be shown, the longest first."""
    values = {value for credential in _present(environment) for value in credential.values}
    return tuple(sorted((value for value in values if len(value) >= SHORTEST), key=len, reverse=True))


def blotted(text: str, hidden: tuple[str, ...]) -> str:
    """`text` without the values in `hidden`, without authorisation headers and the signed part of addresses."""
    for value in hidden:
        text = text.replace(value, BLOT)
    text = re.sub(r"(?i)(authorization\W+(?:basic|bearer)\s+)\S+", rf"\1{BLOT}", text)
    text = re.sub(r"((?:https?://|url: /)[^\s?'\"]*)\?[^\s'\")]+", r"\1", text)
    return re.sub(r"(?i)([\w-]*(?:signature|credential|token|upload_id|key)=)[^\s&'\")]+", rf"\1{BLOT}", text)


def ways_to_set(in_notebook: bool = False) -> str:
    """The ways to give a credential, a line each."""
    if in_notebook:
        return (
            "in a Kaggle notebook: Add-ons > Secrets, add KAGGLE_API_TOKEN, and put it into the environment with\n"
            "  os.environ['KAGGLE_API_TOKEN'] = kaggle_secrets.UserSecretsClient().get_secret('KAGGLE_API_TOKEN')\n"
            "  (the session needs the internet switched on for that)."
        )
    return (
        "on https://www.kaggle.com/settings, under API, create a token; then one of\n"
        "  save it as ~/.kaggle/access_token and chmod 600 that file,\n"
        "  set KAGGLE_API_TOKEN to it,\n"
        "  save the older kaggle.json as ~/.kaggle/kaggle.json and chmod 600 that file,\n"
        "  set KAGGLE_USERNAME and KAGGLE_KEY to what kaggle.json holds."
    )


def _present(environment: Mapping[str, str]) -> Iterator[Credential]:
    files = _files(environment)
    yield from _tokens(environment, files)
    yield from _keys(environment, files)
    refresh = _entries(files["OAuth login"])
    if refresh.get("refresh_token"):
        yield Credential("OAuth login", "~/.kaggle/credentials.json", (), tuple(map(str, refresh.values())))


def _files(environment: Mapping[str, str]) -> dict[str, Path]:
    """Where the client looks for files."""
    home = Path(environment.get("HOME") or Path.home())
    own = home / ".kaggle"
    return {
        "~/.kaggle/access_token": own / "access_token",
        "~/.kaggle/access_token.txt": own / "access_token.txt",
        "API key": _config_folder(environment, home) / "kaggle.json",
        "OAuth login": own / "credentials.json",
    }


def _tokens(environment: Mapping[str, str], files: Mapping[str, Path]) -> Iterator[Credential]:
    notebook = "KAGGLE_KERNEL_RUN_TYPE" in environment and "KAGGLE_DATA_PROXY_URL" in environment
    value = _text(Path(environment.get("KAGGLE_API_V1_TOKEN") or "/nowhere"))
    if notebook and value:
        yield Credential("notebook token", "KAGGLE_API_V1_TOKEN", (), (value,))
    given = environment.get("KAGGLE_API_TOKEN", "")
    if given:
        yield Credential("access token", "KAGGLE_API_TOKEN", (), tuple({given, _text(Path(given)) or given}))
    for name in ("~/.kaggle/access_token", "~/.kaggle/access_token.txt"):
        value = _text(files[name])
        if value:
            yield Credential("access token", name, (), (value,))


def _keys(environment: Mapping[str, str], files: Mapping[str, Path]) -> Iterator[Credential]:
    user, key = environment.get("KAGGLE_USERNAME", ""), environment.get("KAGGLE_KEY", "")
    if user and key:
        yield Credential("API key", "KAGGLE_USERNAME and KAGGLE_KEY", (), _key_values(user, key))
    path = files["API key"]
    entries = _entries(path)
    if entries.get("username") and entries.get("key"):
        yield Credential("API key", str(path), (), _key_values(str(entries["username"]), str(entries["key"])))


def _key_values(user: str, key: str) -> tuple[str, ...]:
    """The key, and the form in which it goes over the wire."""
    return key, base64.b64encode(f"{user}:{key}".encode()).decode()


def _config_folder(environment: Mapping[str, str], home: Path) -> Path:
    if environment.get("KAGGLE_CONFIG_DIR"):
        return Path(environment["KAGGLE_CONFIG_DIR"])
    if (home / ".kaggle").exists():
        return home / ".kaggle"
    return Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "kaggle"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _entries(path: Path) -> dict[str, object]:
    try:
        entries = json.loads(_text(path) or "{}")
    except json.JSONDecodeError:
        return {}
    return entries if isinstance(entries, dict) else {}
