"""Print what people have labelled: progress, agreement, the rate, and what is still missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from monitor.review.agreement import Agreement, agreement
from monitor.review.consensus import Consensus, consensus_of
from monitor.review.label_rate import label_rate, labels_for_width
from monitor.review.labels import Labels
from monitor.review.sample_file import Sample
from softfail.sanitize import sanitize

_MOST_SHOWN = 20
_GOOD_ALPHA, _TENTATIVE_ALPHA = 0.8, 0.667
"""Source: K. Krippendorff, Content Analysis (2004), 11.4.2: rely on 0.8, draw tentative conclusions from 0.667."""


def print_status(sample: Sample, labels: Labels, width: float | None, stream: TextIO) -> None:
    """Print the state of the labels on a sample.

    Args:
        sample: with its question.
        labels: given so far.
        width: of the interval that is wanted; None: not asked.
        stream: to print on.
    """
    by_answer = labels.by_answer()
    verdicts = consensus_of(sample, by_answer)
    total = len(sample.answers)
    print(f"{sanitize(sample.question.text)} ({sample.question.evaluator})", file=stream)
    print(f"{len(verdicts):,} of {total:,} answers have a verdict", file=stream)
    for rater, (count, unsure) in labels.raters().items():
        doubt = f", {unsure:,} cannot tell" if unsure else ""
        print(f"  {sanitize(rater)}: {count:,} verdicts{doubt}", file=stream)
    agreed = agreement([[label.label for label in given] for given in by_answer.values()])
    if agreed.shared:
        print(_agreement(agreed), file=stream)
        _print_disagreements(verdicts, stream)
    _print_rate(sample, verdicts, width, stream)


def _agreement(agreed: Agreement) -> str:
    same = f"{agreed.unanimous:,} of {agreed.shared:,} answers with several labels have the same"
    if agreed.alpha is None:
        return f"agreement: {same}; alpha is not defined while there is one label only"
    if agreed.alpha >= _GOOD_ALPHA:
        meaning = "good"
    elif agreed.alpha >= _TENTATIVE_ALPHA:
        meaning = "good enough for tentative conclusions"
    else:
        meaning = "too low: write down what each label means, and label these answers again"
    return f"agreement: Krippendorff's alpha {agreed.alpha:.2f} ({meaning}); {same}"


def _print_disagreements(verdicts: Sequence[Consensus], stream: TextIO) -> None:
    differing = [verdict for verdict in verdicts if not verdict.is_unanimous]
    for verdict in differing[:_MOST_SHOWN]:
        given = ", ".join(f"{label.rater} {label.label}" for label in verdict.labels)
        tie = "; no majority, so no event" if verdict.passed is None else ""
        print(f"  answer {verdict.answer}: {sanitize(given)}{tie}", file=stream)
    if len(differing) > _MOST_SHOWN:
        print(f"  ... and {len(differing) - _MOST_SHOWN:,} more", file=stream)


def _print_rate(sample: Sample, verdicts: Sequence[Consensus], width: float | None, stream: TextIO) -> None:
    rate = label_rate(sample, verdicts)
    if rate is None:
        print("no rate yet: no answer has a verdict", file=stream)
        return
    print(
        f"fail rate {rate.value:.1%} (95 % interval {rate.low:.1%} to {rate.high:.1%}, width {rate.width:.3f})"
        f" from {rate.labels:,} labels",
        file=stream,
    )
    if len(rate.strata) > 1:
        for stratum in rate.strata:
            known = f"people fail {stratum.rate:.1%}" if stratum.labels else "no label yet"
            print(
                f"  {sanitize(stratum.name)}: {stratum.share:.1%} of calls, {stratum.labels:,} labels, {known}",
                file=stream,
            )
    if width is None:
        return
    more = labels_for_width(rate, width)
    if more == 0:
        print(f"the interval is no wider than {width:g}", file=stream)
    elif more is None:
        print(f"for a width of {width:g}, label answers of each verdict first", file=stream)
    else:
        left = len(sample.answers) - len(verdicts)
        source = "" if more <= left else f"; this sample has {left:,} more, so draw another with --seed"
        print(f"for a width of {width:g} about {more:,} more labels are missing{source}", file=stream)
