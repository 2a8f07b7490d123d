"""The submission doctor: what is wrong with a CSV before a submission is spent on it."""

from histoblend.checking.request import CheckRequest
from histoblend.checking.stage import check_submission_file

__all__ = ["CheckRequest", "check_submission_file"]
