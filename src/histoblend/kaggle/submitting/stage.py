"""`histoblend submit` from the request to the score in the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from histoblend.config_kaggle import load_kaggle_settings
from histoblend.errors import ConfigRefusal, ServiceRefusal, counted
from histoblend.kaggle.competitions import ListedSubmission
from histoblend.kaggle.connection import connect
from histoblend.kaggle.submitting.asking import agreed
from histoblend.kaggle.submitting.description import checked_message, described, unused_mark
from histoblend.kaggle.submitting.desk import Desk, open_lines
from histoblend.kaggle.submitting.door import pass_doctor, refuse_synthetic
from histoblend.kaggle.submitting.earlier import scores_of
from histoblend.kaggle.submitting.entry import Entry
from histoblend.kaggle.submitting.finding import find_entry
from histoblend.kaggle.submitting.line import line_of, line_of_listed
from histoblend.kaggle.submitting.looking import look
from histoblend.kaggle.submitting.matching import Pair, marks_of
from histoblend.kaggle.submitting.request import SubmitRequest
from histoblend.kaggle.submitting.sending import deliver, private_copy
from histoblend.kaggle.submitting.slots import slots_of, until
from histoblend.kaggle.submitting.waiting import wait_for_score
from histoblend.ledger_writing import change_ledger
from histoblend.pulled import home_of
from histoblend.reporting.progress import Display

SENT, NOT_SENT = 0, 1


def submit_file(request: SubmitRequest, display: Display, environment: Mapping[str, str]) -> int:
    """Check, ask, send once, wait for the score and enter it into the ledger; safe to be typed again at any time.

    Returns:
        0 where it was sent (and scored, if that was waited for) or had been; 1 where the user said no, or Kaggle could
        not score it.

    Raises:
        Refusal: it is not to be sent, or Kaggle stands in the way; what is known stands in the ledger.
    """
    message, forced = checked_message(request.message), _reason("--force", request.force)
    again = _reason("--again", request.again)
    entry = find_entry(request, environment)
    refuse_synthetic(entry, request, environment)
    display.tell(f"Submission: {entry.sentence}")
    pass_doctor(entry, request, display, environment)
    settings = load_kaggle_settings(environment)
    ledger = home_of(entry.workspace).ledger
    desk = Desk(connect(environment, display), settings, ledger, display)
    seen = look(entry, again, desk)
    if seen.known is None and not _may_spend(entry, seen.listed, request, desk):
        display.tell("Nothing was sent.")
        return NOT_SENT
    if seen.known is None and not request.yes:  # the question may have stood for hours
        seen = look(entry, again, desk)
    if seen.known is not None:
        return _followed(seen.known, entry, request, desk)
    began = datetime.now(UTC)
    mark = unused_mark(entry.file_hash, began, marks_of(seen.pairs))
    description = described(entry.name, entry.scored, message, mark)
    with private_copy(entry) as path:
        lines = [pair.line for pair in seen.pairs if pair.line is not None]
        desk.begin(line_of(entry, description, began, forced, again), open_lines(lines, entry.file_hash))
        one = deliver(path, description, desk)
    desk.enter_listed(description, one)
    display.tell(f"Sent: {description} (ref {one.ref}).")
    return _concluded(one, request.wait, desk)


def _reason(option: str, given: str) -> str:
    reason = " ".join(given.split())
    if given and not reason:
        raise ConfigRefusal(f"{option} has no reason.", "why it is submitted all the same", f"{option} 'why'")
    return reason


def _followed(known: Pair, entry: Entry, request: SubmitRequest, desk: Desk) -> int:
    """Nothing is sent: the same bytes are on Kaggle already; what becomes of them is entered."""
    if known.listed is not None and known.line is None:
        one = known.listed
        change_ledger(desk.ledger, lambda ledger: ledger.added_once(line_of_listed(entry, one)))
    when = known.listed.date if known.listed is not None else None
    since = f"{when:%Y-%m-%d %H:%M} UTC" if when else known.line.when if known.line else ""
    desk.display.tell(f"These very bytes are on Kaggle since {since}: nothing is sent.")
    if known.listed is not None:
        return _concluded(known.listed, request.wait, desk)
    if known.line is not None and not known.line.scored:
        desk.display.warn(
            f"Kaggle's list lacks it (ref {known.line.ref}): another account or competition may be set. "
            "--again 'why' sends it once more."
        )
        return SENT
    _tell_score(*scores_of(known), desk.display)
    return SENT


def _may_spend(entry: Entry, listed: Sequence[ListedSubmission], request: SubmitRequest, desk: Desk) -> bool:
    """Whether there is a slot, and it may be spent.

    Raises:
        ServiceRefusal: none is left today.
        ConfigRefusal: there is nobody to ask.
    """
    now = datetime.now(UTC)
    slots = slots_of(listed, desk.settings.daily_submissions, now)
    failed = f" ({counted(slots.failed, 'further one')} could not be scored)" if slots.failed else ""
    if not slots.left:
        raise ServiceRefusal(
            f"All {slots.daily} submissions of today are used up{failed}.",
            "a free slot; days turn at midnight UTC",
            f"the same command {until(slots.turns, now)}, after {slots.turns:%Y-%m-%d %H:%M} UTC. If the competition "
            "allows more: daily_submissions in configs/kaggle.yaml.",
        )
    used = f"{slots.used} of today's {slots.daily} submissions are used{failed}."
    question = f"{used} Send {entry.name} to {desk.settings.competition}, as number {slots.used + 1}?"
    return agreed(question, request.yes, desk.display)


def _concluded(one: ListedSubmission, wait: bool, desk: Desk) -> int:
    """Wait for the score if that is wanted, enter it, say it."""
    if wait:
        one = wait_for_score(one, desk)
    desk.complete_all([one])
    if one.status == "pending":
        desk.display.tell("Not scored yet: `./run.sh submissions` shows the score once there is one.")
        return SENT
    if one.status == "error":
        desk.display.warn(
            f"Kaggle could not score it: {one.error or 'it gives no reason'}. The ledger has it with status error."
        )
        return NOT_SENT
    _tell_score(one.public_score, one.private_score, desk.display)
    desk.display.tell(f"Ledger: {desk.ledger}")
    return SENT


def _tell_score(public: float | None, private: float | None, display: Display) -> None:
    scores = (("public", public), ("private", private))
    said = ", ".join(f"{kind} {score:.5f}" for kind, score in scores if score is not None)
    display.tell(f"Score: {said or 'Kaggle shows none'}.")
