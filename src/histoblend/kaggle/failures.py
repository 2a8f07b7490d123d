"""What went wrong with a call to Kaggle, in words: what was found, what was expected, what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from histoblend.errors import ServiceRefusal
from histoblend.kaggle.credentials import Credential, ways_to_set

TELLING = ("client", "exit", "died", "upload", "missing")  # where what the client printed says more
PASSING = ("too many", "server", "stalled", "hung", "dropped", "unreachable", "unknown host", "not json")


class CallFailure(ServiceRefusal):
    """A call to Kaggle that failed.

    Attributes:
        kind: one word for it, as in `symptoms.symptom_of`; or ``"died"``: the child ended without an answer; or
            ``"hung"``: it was ended at the deadline.
        status: the HTTP status, where there was an answer.
        words: what the client printed, without credentials.
        retry_after: seconds that Kaggle asks to wait.
        call: the last part of the address that was asked, such as ``CreateSubmission``; empty where it is not known.
    """

    def __init__(self, symptom: Mapping[str, Any], words: str, texts: tuple[str, str, str]) -> None:
        self.kind: str = symptom["kind"]
        self.status: int | None = symptom.get("status")
        self.retry_after: float | None = symptom.get("retry_after")
        self.call: str = symptom.get("call", "")
        self.words = words
        super().__init__(*texts)

    @property
    def passing(self) -> bool:
        """Whether it may be gone in a while."""
        return self.kind in PASSING


@dataclass(frozen=True)
class Asked:
    """What was asked of Kaggle, and as whom."""

    deed: str
    arguments: Mapping[str, Any]
    credential: Credential

    @property
    def subject(self) -> str:
        """Competition, dataset or kernel by name; empty where it was about none."""
        named = [f"{name} {self.arguments[name]}" for name in SUBJECTS if self.arguments.get(name)]
        return named[0] if named else ""

    @property
    def address(self) -> str:
        """Page of the subject."""
        places = [SUBJECTS[name] + str(self.arguments[name]) for name in SUBJECTS if self.arguments.get(name)]
        return places[0] if places else "https://www.kaggle.com"


SUBJECTS = {
    "competition": "https://www.kaggle.com/competitions/",
    "dataset": "https://www.kaggle.com/datasets/",
    "kernel": "https://www.kaggle.com/code/",
}


def call_failure(symptom: Mapping[str, Any], words: str, asked: Asked) -> CallFailure:
    """The failure that a symptom of the child stands for."""
    kind, said = ALIKE.get(symptom["kind"], symptom["kind"]), _said(symptom, words)
    if kind in PLAIN:
        found, expected, remedy = PLAIN[kind]
        return CallFailure(symptom, words, (f"{found}{said}: {_about(asked)}.", expected, remedy))
    return CallFailure(symptom, words, WRITTEN.get(kind, _client)(said, asked))


def _said(symptom: Mapping[str, Any], words: str) -> str:
    """What the service said, and what the client printed last where it stopped by itself, in brackets."""
    status = f"{symptom['status']} " if symptom.get("status") else ""
    said = f"{status}{symptom.get('message') or ''}".strip()
    printed = words.splitlines() if symptom["kind"] in TELLING else []
    last = printed[-1].strip() if printed else ""
    wait = symptom.get("retry_after")
    asked = f"it asks to wait {wait:,.0f} s" if wait else ""
    parts = [part for part in (said, last, asked) if part]
    return f" ({'; '.join(parts)})" if parts else ""


Texts = tuple[str, str, str]


def _about(asked: Asked) -> str:
    return f"{asked.deed}" + (f", {asked.subject}" if asked.subject else "")


def _unauthorised(said: str, asked: Asked) -> Texts:
    credential = asked.credential
    found = f"Kaggle does not accept the {credential.kind} from {credential.place}{said}: {_about(asked)}."
    if credential.hides:
        hidden = " and ".join(f"the {other.kind} from {other.place}" for other in credential.hides)
        remedy = (
            f"remove {credential.place}: it hides {hidden}, which may be good. Or mend it:\n{ways_to_set()}"
        )
        return found, "a valid credential; the client takes the first it finds", remedy
    ways = ways_to_set(credential.kind == "notebook token")
    return found, "a valid credential", f"make a new one and set it:\n{ways}"


FORBIDDEN = (
    (r"rule", "accept the competition's rules there"),
    (r"phone|verif", "verify the phone number under https://www.kaggle.com/settings"),
    (r"private|permission", "ask its owner, or sign in as another user: it is not open to this one"),
)


def _forbidden(said: str, asked: Asked) -> Texts:
    """Kaggle's words say which of the three it is; where they do not, all are named, the likeliest first."""
    found = f"Kaggle forbids it{said}: {_about(asked)}."
    named = [step for pattern, step in FORBIDDEN if re.search(pattern, said, re.IGNORECASE)]
    contest = "competition" in asked.arguments
    steps = named or [step for pattern, step in FORBIDDEN if contest or pattern != "rule"]
    page = f"{asked.address}/rules" if contest else asked.address
    who = f"the user of the {asked.credential.kind} from {asked.credential.place}"
    expected = (
        "an account that has joined the competition" if contest else "an account that may see and change it"
    )
    return found, expected, f"open {page} as {who}, and {'; or '.join(steps)}. Then the same command again."


def _not_found(said: str, asked: Asked) -> Texts:
    where = asked.subject or "what was asked for"
    return (
        f"Kaggle knows no {where}{said}: {asked.deed}.",
        "a name as it stands in the address of its page, and a right to see it",
        f"open {asked.address}; names are set in configs/kaggle.yaml. Kaggle says the same of what is private to "
        "others.",
    )


# What needs nothing but what was asked and what was said: found (followed by both), expected, what to do.
PLAIN: dict[str, Texts] = {
    "too many": (
        "Kaggle was asked too often",
        "fewer calls in a while",
        "wait a few minutes, then the same command again.",
    ),
    "server": (
        "Kaggle's service failed",
        "an answer",
        "try again in a while; https://status.kaggle.com says whether it is known.",
    ),
    "stalled": (
        "Kaggle did not answer in time",
        "an answer, or progress",
        "try again; if it stays so, look whether https://www.kaggle.com opens here.",
    ),
    "dropped": (
        "The connection to Kaggle broke",
        "a connection that holds until the answer is there",
        "try again.",
    ),
    "unreachable": (
        "Kaggle cannot be reached from here",
        "a way to https://api.kaggle.com",
        "look at the network; on Kaggle itself switch the internet on for the session (it needs a verified phone "
        "number).",
    ),
    "proxy": (
        "The proxy does not let the call through",
        "a proxy that reaches https://api.kaggle.com",
        "look at the variables http_proxy, https_proxy and no_proxy.",
    ),
    "certificate": (
        "The certificate of the other side is not trusted here",
        "Kaggle's own certificate, or one of a proxy that this machine knows",
        "behind a proxy that opens connections set REQUESTS_CA_BUNDLE to its certificate file; look at the machine's "
        "date too.",
    ),
    "not json": (
        "Something answered that is not Kaggle's service, or is not well",
        "an answer in JSON",
        "look whether a proxy or a sign-in page of the network stands between, then try again.",
    ),
    "upload": (
        "The upload did not arrive",
        "storage that takes the whole file",
        "try again: nothing has been created.",
    ),
    "disk": (
        "What came from Kaggle could not be written",
        "a folder with room that this user may write to",
        "free some space or name another folder; the same command then goes on.",
    ),
}


def _missing(said: str, asked: Asked) -> Texts:
    return (
        f"The kaggle client does not start{said}.",
        "the package kaggle (1.7 to 2.2) with what it needs",
        "pip install 'kaggle>=1.7' six",
    )


def _client(said: str, asked: Asked) -> Texts:
    kind = asked.credential.kind
    old = (
        "" if kind == "API key" else f" (a client of before 1.8 knows API keys only, and yours is the {kind})"
    )
    return (
        f"The kaggle client failed{said}: {_about(asked)}.",
        f"a version of the client that fits Kaggle's service, 1.7 to 2.2{old}",
        "pip install --upgrade kaggle; if it stays so, report it with the words in brackets.",
    )


WRITTEN: dict[str, Callable[[str, Asked], Texts]] = {
    "unauthorised": _unauthorised,
    "forbidden": _forbidden,
    "not found": _not_found,
    "missing": _missing,
}
ALIKE = {"hung": "stalled", "unknown host": "unreachable"}
