"""Predictions made elsewhere (PyTorch, AutoGluon, a friend) that join ranking and blend under our contracts.

They are kept as ``experiments/<name>/`` in the form of our own. Without out-of-fold predictions nothing is
known of their worth: such are listed and compared, but no blend takes them and no weight is learned for them.
"""

from histoblend.external.add import AddRequest, add_external
from histoblend.external.members import External, external_members, is_external, refuse_external

__all__ = ["AddRequest", "External", "add_external", "external_members", "is_external", "refuse_external"]
