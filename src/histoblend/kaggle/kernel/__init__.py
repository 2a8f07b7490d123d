"""The run as a script kernel on Kaggle: pushed, followed, pulled; or as a notebook for the web page."""

from histoblend.kaggle.kernel.notebook import write_notebook
from histoblend.kaggle.kernel.pull import pull_kernel
from histoblend.kaggle.kernel.push import push_kernel
from histoblend.kaggle.kernel.request import PullRequest, PushRequest
from histoblend.kaggle.kernel.status import show_logs, show_status
from histoblend.kaggle.kernel.watch import watch_kernel

__all__ = [
    "PullRequest",
    "PushRequest",
    "pull_kernel",
    "push_kernel",
    "show_logs",
    "show_status",
    "watch_kernel",
    "write_notebook",
]
