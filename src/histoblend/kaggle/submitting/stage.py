"""`histoblend submit` from the request to the score in the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from histoblend.config_kaggle import load_kaggle_settings
from histoblend.errors import ConfigRefusal, ServiceRefusal, counted
from histoblend.kaggle.competitions import ListedSubmission
from histoblend.kaggle.connection import connect
from histoblend.kaggle.submitting.asking import agreed
from histoblend.kaggle.submitting.description import checked_message, described, unused_mark
from histoblend.kaggle.submitting.desk import Desk
from histoblend.kaggle.submitting.door import pass_doctor, refuse_synthetic
from histoblend.kaggle.submitting.earlier import Earlier, earlier_of, scores_of, settles
from histoblend.kaggle.submitting.entry import Entry
from histoblend.kaggle.submitting.finding import find_entry
from histoblend.kaggle.submitting.line import line_of, line_of_listed
from histoblend.kaggle.submitting.matching import Pair, marks_of
from histoblend.kaggle.submitting.request import SubmitRequest
from histoblend.kaggle.submitting.sending import deliver
from histoblend.kaggle.submitting.slots import Slots, slots_of, until
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
    message, reason = checked_message(request.message), " ".join(request.force.split())
    if request.force and not reason:
        raise ConfigRefusal("--force has no reason.", "why it is submitted all the same", "--force 'why'")
    entry = find_entry(request, environment)
    refuse_synthetic(entry, request, environment)
    display.tell(f"Submission: {entry.sentence}")
    pass_doctor(entry, request, display, environment)
    settings = load_kaggle_settings(environment)
    ledger = home_of(entry.workspace).ledger
    desk = Desk(connect(environment, display), settings, ledger, display)
    listed = desk.listed()
    desk.complete_all(listed)
    pairs = desk.paired(listed)
    earlier = earlier_of(pairs, entry.file_hash)
    if known := _known_already(earlier, reason):
        return _followed(known, entry, request, desk)
    _settle_doubts(earlier, reason, desk)
    if not _may_spend(entry, slots_of(listed, settings.daily_submissions, _now()), earlier, request, desk):
        display.tell("Nothing was sent.")
        return NOT_SENT
    began = _now()
    mark = unused_mark(entry.file_hash, began, marks_of(pairs))
    description = described(entry.name, entry.scored, message, mark)
    desk.begin(line_of(entry, description, began, reason))
    return _sent(entry.path, description, request.wait, desk)


def _now() -> datetime:
    return datetime.now(UTC)


def _known_already(earlier: Earlier, reason: str) -> Pair | None:
    """The submission of the same bytes that makes another needless; one without a score is followed in any case."""
    return earlier.waiting or (earlier.scored if not reason else None)


def _followed(known: Pair, entry: Entry, request: SubmitRequest, desk: Desk) -> int:
    """Nothing is sent: the same bytes are on Kaggle already; what becomes of them is entered."""
    if known.listed is not None and known.line is None:
        one = known.listed
        change_ledger(desk.ledger, lambda ledger: ledger.added(line_of_listed(entry, one)))
    when = known.listed.date if known.listed is not None else None
    since = f"{when:%Y-%m-%d %H:%M} UTC" if when else known.line.when if known.line else ""
    desk.display.tell(f"These very bytes are on Kaggle since {since}: nothing is sent.")
    if known.listed is not None:
        return _concluded(known.listed, request.wait, desk)
    _tell_score(*scores_of(known), desk.display)
    return SENT


def _settle_doubts(earlier: Earlier, reason: str, desk: Desk) -> None:
    """Attempts whose fate was not known and that are not listed: too young, refuse; else they never arrived.

    Raises:
        ServiceRefusal: one may still arrive.
    """
    for line in earlier.doubtful:
        ends = settles(line, _now())
        if ends is not None and not reason:
            raise ServiceRefusal(
                f"An attempt to send the same bytes was cut off ({line.when}), and Kaggle does not list it (yet).",
                "a row in the list, or certainty that none comes",
                f"type the same command again after {ends:%H:%M} UTC ({until(ends, _now())}): it looks first. If you "
                "know that it did not arrive: --force 'why'.",
            )
        desk.note(line.description, {"status": "lost"})
        desk.display.tell(f"An attempt of {line.when} never arrived: Kaggle does not list it.")


def _may_spend(entry: Entry, slots: Slots, earlier: Earlier, request: SubmitRequest, desk: Desk) -> bool:
    """Whether there is a slot, and it may be spent.

    Raises:
        ServiceRefusal: none is left today.
        ConfigRefusal: there is nobody to ask.
    """
    now = _now()
    failed = f" ({counted(slots.failed, 'further one')} could not be scored)" if slots.failed else ""
    if not slots.left:
        raise ServiceRefusal(
            f"All {slots.daily} submissions of today are used up{failed}.",
            "a free slot; days turn at midnight UTC",
            f"the same command {until(slots.turns, now)}, after {slots.turns:%Y-%m-%d %H:%M} UTC. If the competition "
            "allows more: daily_submissions in configs/kaggle.yaml.",
        )
    if earlier.failed is not None and earlier.failed.listed is not None:
        desk.display.warn(
            f"Kaggle could not score these very bytes before: {earlier.failed.listed.error or 'no reason given'}."
        )
    used = f"{slots.used} of today's {slots.daily} submissions are used{failed}."
    question = f"{used} Send {entry.name} to {desk.settings.competition}, as number {slots.used + 1}?"
    return agreed(question, request.yes, desk.display)


def _sent(path: Path, description: str, wait: bool, desk: Desk) -> int:
    """Send what stands in the ledger as begun."""
    one = deliver(path, description, desk)
    desk.enter_listed(description, one)
    desk.display.tell(f"Sent: {description} (ref {one.ref}).")
    return _concluded(one, wait, desk)


def _concluded(one: ListedSubmission, wait: bool, desk: Desk) -> int:
    """Wait for the score if that is wanted, enter it, say it."""
    if wait:
        one = wait_for_score(one, desk)
    desk.complete_all([one])
    if one.status == "pending":
        desk.display.tell("Not scored yet: `histoblend submissions` shows the score once there is one.")
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
