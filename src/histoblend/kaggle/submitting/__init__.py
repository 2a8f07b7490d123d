"""Submissions: checked, sent once, waited for, and entered into the ledger with what the leaderboard answers."""

from histoblend.kaggle.submitting.overview import show_submissions
from histoblend.kaggle.submitting.request import SubmissionsRequest, SubmitRequest
from histoblend.kaggle.submitting.stage import submit_file

__all__ = ["SubmissionsRequest", "SubmitRequest", "show_submissions", "submit_file"]
