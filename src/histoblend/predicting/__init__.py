"""`histoblend predict`: pictures of any size in, probabilities out; a map for those larger than a patch."""

from histoblend.predicting.request import PredictRequest
from histoblend.predicting.stage import predict_pictures

__all__ = ["PredictRequest", "predict_pictures"]
