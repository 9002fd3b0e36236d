"""Krippendorff's alpha against values of the literature."""

from __future__ import annotations

import random

import pytest

from monitor.review.agreement import agreement


def units(*raters):
    """Return the labels of each unit; a dot is missing."""
    return [[label for label in unit if label != "."] for unit in zip(*raters, strict=True)]


@pytest.mark.parametrize(
    ("raters", "alpha"),
    [
        # K. Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability": A (binary), B (nominal), C (missing)
        (("0100000010", "1110010000"), 0.095),
        (("aabbdcccedda", "babbbccceddd"), 0.692),
        (("123321412...", "1233224125.3", ".3332342251.", "12332441251."), 0.743),
        # Wikipedia, "Krippendorff's alpha": three coders, fifteen units
        (("*****34121133*3", "1*213343*******", "**21344*21133*4"), 0.691),
    ],
)  # fmt: skip
def test_alpha_is_that_of_the_literature(raters, alpha):
    assert round(agreement(units(*(rater.replace("*", ".") for rater in raters))).alpha, 3) == alpha


def test_alpha_is_not_defined_without_two_labels_or_with_one_label_only():
    assert agreement([]).alpha is None
    assert agreement([["a"], ["b"]]).alpha is None
    one_label = agreement([["a", "a"], ["a", "a", "a"]])
    assert (one_label.alpha, one_label.shared, one_label.unanimous) == (None, 2, 2)


def test_alpha_of_full_agreement_is_1_and_of_chance_about_0():
    assert agreement([["a", "a"], ["b", "b"]]).alpha == 1
    draw = random.Random(3)
    assert abs(agreement([[draw.choice("ab"), draw.choice("ab")] for _ in range(20_000)]).alpha) < 0.02
