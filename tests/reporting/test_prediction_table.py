from __future__ import annotations

import io

import numpy as np
from rich.console import Console

from histoblend.inference.tiles import Grid
from histoblend.predicting.answers import Answer, answer_of, scores_of
from histoblend.reporting.prediction_table import SHOWN, printed_answers, spoken_answer

TWO = ("no tumour", "tumour")
PATCH = answer_of("a.tif", (96, 96), scores_of(np.array([[2.0]]), TWO), None)
LARGER = answer_of("b.png", (70, 100), scores_of(np.arange(12.0)[:, None] - 11, TWO), Grid(70, 100, 96, 32))


def printed(answers: list[Answer]) -> str:
    console = Console(file=io.StringIO(), width=110)
    console.print(printed_answers([answer.row() for answer in answers], "Probabilities by first"))
    return console.file.getvalue()


def test_every_kind_of_picture_has_its_row() -> None:
    text = printed([PATCH, LARGER, Answer("c.tif", fault="empty file")])
    assert "0.8808" in text
    assert "100x70" in text and "0.5000" in text and "98,67" in text
    assert "not read: empty file" in text


def test_a_long_table_is_cut_and_says_so() -> None:
    text = printed([PATCH] * (SHOWN + 5))
    assert "5 more stand in the CSV" in text
    assert text.count("a.tif") == SHOWN


def test_one_picture_is_told_in_a_sentence() -> None:
    assert spoken_answer(PATCH.row()) == "a.tif: probability of tumour 0.8808 (96 x 96 pixels)"
    assert "highest 0.5000 at x 98, y 67; mean" in spoken_answer(LARGER.row())
    cars = answer_of(
        "c.jpg", (50, 60), scores_of(np.array([[3.0, 0.0, 0.0]]), ("car", "truck", "train")), None
    )
    assert spoken_answer(cars.row()).endswith("of all: car 0.9094, truck 0.0453, train 0.0453")
