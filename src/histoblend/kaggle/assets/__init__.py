"""`assets push`: what a session without internet needs, as one private dataset on Kaggle."""

from histoblend.kaggle.assets.push import push_assets
from histoblend.kaggle.assets.request import AssetsRequest

__all__ = ["AssetsRequest", "push_assets"]
