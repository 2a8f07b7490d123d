"""Submissions and files of a competition, asked of the stand-in by the real client."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from server.competitions import SLUG, Competition, auc
from server.service import Answer, Fault, error
from sklearn.metrics import roc_auc_score

from histoblend.kaggle import competitions
from histoblend.kaggle.competitions import Sent, list_files, list_submissions
from histoblend.kaggle.connection import connect
from histoblend.kaggle.failures import CallFailure

pytestmark = pytest.mark.kaggle_image  # with that image's client too
IDS = [f"patch{number}" for number in range(40)]
LABELS = {name: number % 2 for number, name in enumerate(IDS)}


@pytest.fixture
def connection(kaggle_service, display):
    return connect(kaggle_service.environment, display)


@pytest.fixture
def submission(tmp_path):
    """A file with ties and errors, and its AUC on the public and on the private part."""
    generator = np.random.default_rng(3)
    scores = {name: round(0.4 * LABELS[name] + generator.random(), 1) for name in IDS}
    path = tmp_path / "submission.csv"
    path.write_text("id,label\n" + "".join(f"{name},{score}\n" for name, score in scores.items()))
    parts = [IDS[::3], [name for name in IDS if name not in IDS[::3]]]
    return path, [roc_auc_score([LABELS[n] for n in part], [scores[n] for n in part]) for part in parts]


def send_submission(connection, path, description, competition) -> Sent:
    return competitions.send_submission(connection, path, description, competition, lambda done, total: None)


def test_a_submission_is_sent_listed_and_scored(connection, kaggle_service, submission):
    moment = datetime(2026, 11, 20, 23, 59, 30, 125_000, tzinfo=UTC)
    Competition(kaggle_service, LABELS, now=lambda: moment)
    path, (public, private) = submission
    usual, connection.patience = connection.patience, replace(connection.patience, call_seconds=0.01)
    sent = send_submission(connection, path, "toy · 0.9876 · a1b2", SLUG)  # may take long, as it moves
    connection.patience = usual
    (pending,) = list_submissions(connection, SLUG)
    assert "Successfully submitted" in sent.words and sent.ref == pending.ref
    assert (pending.status, pending.public_score, pending.private_score) == ("pending", None, None)
    (scored,) = list_submissions(connection, SLUG)
    assert scored.status == "complete" and scored.error == ""
    assert (scored.public_score, scored.private_score) == (round(public, 5), round(private, 5))
    assert (scored.date, scored.description, scored.file_name) == (
        moment,
        "toy · 0.9876 · a1b2",
        "submission.csv",
    )


@pytest.mark.parametrize("by_token", [False, True])
def test_every_page_of_submissions_is_listed_once_the_newest_first(connection, kaggle_service, by_token):
    competition = Competition(kaggle_service, LABELS, daily_limit=100, by_token=by_token)
    for number in range(45):
        competition.now = lambda number=number: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number)
        competition.submissions.append(
            competition.scored_row(f"number {number}", "submission.csv", b"id,label\n")
        )
    listed = list_submissions(connection, SLUG)
    assert [row.description for row in listed] == [f"number {number}" for number in reversed(range(45))]


def test_a_file_that_cannot_be_scored_is_an_error_with_its_words(connection, kaggle_service, tmp_path):
    Competition(kaggle_service, LABELS, pending_polls=0)
    (tmp_path / "wrong.csv").write_text("id,label\npatch1,0.5\n")
    send_submission(connection, tmp_path / "wrong.csv", "wrong", SLUG)
    (row,) = list_submissions(connection, SLUG)
    assert row.status == "error" and "40 rows" in row.error and row.public_score is None


@pytest.mark.parametrize("fault", [{"answer": Answer(403)}, {"answer": Answer(503)}, {"drop": "before"}])
def test_a_refused_or_broken_upload_is_a_failure_though_the_client_ends_well(
    connection, kaggle_service, submission, fault
):
    competition = Competition(kaggle_service, LABELS)
    kaggle_service.faults.append(Fault("/upload/", **fault))
    with pytest.raises(CallFailure, match="The upload did not arrive") as caught:
        send_submission(connection, submission[0], "lost", SLUG)
    assert caught.value.kind == "upload" and not competition.submissions
    assert len(kaggle_service.requests("/upload/")) == 1  # what to repeat is for the caller to say


def test_a_lost_reply_is_never_sent_again(connection, kaggle_service, submission):
    competition = Competition(kaggle_service, LABELS)
    kaggle_service.faults.append(Fault("CreateSubmission", drop="after"))
    with pytest.raises(CallFailure) as caught:
        send_submission(connection, submission[0], "once", SLUG)
    assert caught.value.kind == "dropped" and len(competition.submissions) == 1


def test_words_of_success_are_no_row(connection, kaggle_service, submission):
    Competition(kaggle_service, LABELS, swallow=1)
    assert "Successfully" in send_submission(connection, submission[0], "gone", SLUG).words
    assert list_submissions(connection, SLUG) == []


def test_over_the_limit_of_the_day_nothing_is_listed(connection, kaggle_service, submission):
    today = [datetime(2026, 11, 20, 23, 59, tzinfo=UTC)]
    competition = Competition(kaggle_service, LABELS, daily_limit=1, now=lambda: today[0])
    for _ in range(2):
        assert "Successfully" in send_submission(connection, submission[0], "x", SLUG).words
    assert len(competition.submissions) == 1
    today[0] += timedelta(minutes=2)  # the next day, by UTC
    send_submission(connection, submission[0], "x", SLUG)
    assert len(competition.submissions) == 2


def test_files_are_listed_with_their_sizes_the_first_of_them_where_there_are_many(connection, kaggle_service):
    competition = Competition(
        kaggle_service, files={f"train/{number}.tif": b"12345" for number in range(250)}
    )
    listing = list_files(connection, SLUG)
    assert listing.complete and len(listing.sizes) == 250 and set(listing.sizes.values()) == {5}
    competition.files = {f"train/{number}.tif": b"12345" for number in range(700)}
    listing = list_files(connection, SLUG)
    assert not listing.complete and len(listing.sizes) == 600


def test_a_competition_that_is_not_there_and_rules_not_accepted(connection, kaggle_service, display):
    Competition(kaggle_service, rules_accepted=False)
    with pytest.raises(CallFailure, match="Kaggle knows no competition no-such-thing"):
        list_files(connection, "no-such-thing")
    with pytest.raises(CallFailure, match=rf"https://www.kaggle.com/competitions/{SLUG}/rules"):
        list_files(connection, SLUG)
    kaggle_service.faults.append(Fault("", answer=error(404, "Not Found")))
    with pytest.raises(CallFailure, match=r"configs/kaggle.yaml"):
        list_submissions(connection, SLUG)


def test_the_scores_of_the_stand_in_are_aucs():
    generator = np.random.default_rng(0)
    labels, scores = generator.integers(0, 2, 200).tolist(), generator.integers(0, 9, 200).tolist()
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
