"""A judge that changes, and answers that become worse: coverage of the corrected rate, findings and pages.

    python -m benchmarks.judge_drift --runs 1000 --seed 0

Each day 19,600 responses are judged and 20 of them labelled by people, half of them judged failed; 500 anchors are
judged once, and again when the judged rate rises. 3 % of the answers fail; the judge has sensitivity 0.8 and
specificity 0.97. On day 10 of 14 either the judge changes (specificity 0.90), or the answers do (6 % fail), or nothing.
A verdict on an answer is the same each time but for one in 200 (`--noise`). Pages are those of a rule
`above: baseline` on the verdicts of a calibrated judge, looked at each minute from day 10 on and each half hour before.
Source of the table in docs/statistics.md, "Judges".
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np

from benchmarks.markdown_table import print_table
from monitor.drift.shiryaev_roberts import ShiryaevRoberts
from monitor.judging.anchors import AnchorHistory, RiseWatch, rise_state
from monitor.rules.learned_baseline import RUN_LENGTH
from monitor.stats.judge_agreement import Matrix
from monitor.stats.judge_correction import corrected_rate

DAYS, CHANGE_DAY = 14, 10
BLOCKS = 50  # looks of the judge a day
MINUTES = 28  # looks of the rule in each of them
CHECK_BLOCKS = 1  # half an hour: least time between two runs of the anchors
SENSITIVITY, SPECIFICITY, DRIFTED, FAILING, WORSE = 0.80, 0.97, 0.90, 0.03, 0.06


class Result(NamedTuple):
    """What one run has shown; days count from the change, None: never."""

    covered: list[bool]
    widths: list[float]
    changed_after: float | None
    changed_before: bool
    paged_after: float | None
    paged_before: bool
    anchor_runs: int


class World:
    """One run. Anchors are a random sample of the traffic with a verdict that depends on the answer."""

    def __init__(self, rng: np.random.Generator, scenario: str, options: argparse.Namespace) -> None:
        self.rng, self.scenario, self.options = rng, scenario, options
        self.anchor_failing = rng.random(options.anchors) < FAILING
        self.anchor_latent = rng.random(options.anchors)
        self.failing, self.specificity = FAILING, SPECIFICITY
        self.anchor_runs = 0

    def change(self) -> None:
        """Begin day ``CHANGE_DAY``."""
        if self.scenario == "judge":
            self.specificity = DRIFTED
        elif self.scenario == "answers":
            self.failing = WORSE

    @property
    def shares(self) -> tuple[float, float, float]:
        """Judged failure rate, and the shares of failures among the judged failed and the judged passed."""
        found = self.failing * SENSITIVITY
        judged = found + (1 - self.failing) * (1 - self.specificity)
        return judged, found / judged, (self.failing - found) / (1 - judged)

    def judge_anchors(self) -> dict[str, bool]:
        """Return whether each anchor passed."""
        self.anchor_runs += 1
        right = np.where(self.anchor_failing, SENSITIVITY, self.specificity)
        correct = self.anchor_latent < right
        flipped = self.rng.random(len(correct)) < self.options.noise
        passed = (correct ^ flipped) ^ self.anchor_failing
        return {str(number): bool(value) for number, value in enumerate(passed)}


def run(rng: np.random.Generator, scenario: str, options: argparse.Namespace) -> Result:
    """Run the days of one world."""
    world = World(rng, scenario, options)
    history, watch, detector = AnchorHistory(), RiseWatch(), ShiryaevRoberts(RUN_LENGTH)
    labels, judged_n, judged_failed = Matrix(), 0.0, 0.0
    covered: list[bool] = []
    widths: list[float] = []
    changed_at: list[float] = []
    pages: list[float] = []
    size, trusted, checked = options.judged // BLOCKS, True, -CHECK_BLOCKS
    since = [0, 0]  # labels of answers judged failed since the rise
    for day in range(1, DAYS + 1):
        if day == CHANGE_DAY:
            world.change()
        rate, right, missed = world.shares
        failed_today, labelled_today = 0, Matrix()
        if trusted:
            verdicts = world.judge_anchors()
            check = history.compare(verdicts)
            if check.changed:
                trusted = False
                changed_at.append(day)
                labels, judged_n, judged_failed = Matrix(), 0.0, 0.0
            else:
                history.add(verdicts)
        counts = rng.binomial(size // MINUTES, rate, (BLOCKS, MINUTES))
        for block, failed in enumerate(counts.sum(axis=1).tolist()):
            failed_today += failed
            now = day + block / BLOCKS
            if (block + 1) % (2 * BLOCKS // options.labels) == 0:  # people label all day
                human = bool(rng.random() < right)
                labelled_today = labelled_today.add(True, human).add(False, bool(rng.random() < missed))
                since = [since[0] + 1, since[1] + human]
            if not trusted:
                continue
            watch.add(size, failed)
            rise = watch.rise()
            if rise.size:
                at = day * BLOCKS + block
                if at - checked < CHECK_BLOCKS:
                    continue
                if checked < 0 or at - checked > BLOCKS:
                    since = [0, 0]
                checked = at
                check = history.compare(world.judge_anchors())
                usual = labels.both_failed / max(1, labels.both_failed + labels.failed_passed)
                state, _ = rise_state(check, rise.size, (since[0], since[1]), usual, rise.usual)
                if state == "changed":
                    trusted = False
                    changed_at.append(now)
                    labels, judged_n, judged_failed = Matrix(), 0.0, 0.0
                    labelled_today = Matrix() if day != CHANGE_DAY else labelled_today
                    continue
                if state == "unclear":
                    continue
                watch.accept()
            if day < CHANGE_DAY:
                looks = [(size, failed)]
            elif pages:  # the first page is enough
                continue
            else:
                looks = [(size // MINUTES, n) for n in counts[block].tolist()]
            for minute, (n, minute_failed) in enumerate(looks):
                looked_at = now + minute / (BLOCKS * MINUTES)
                reading = detector.step(n, minute_failed, looked_at * 1440)
                if reading.statistic >= reading.bound:
                    pages.append(looked_at)
                    detector.reset_evidence()
                    break
        labels = labels.plus(labelled_today)
        judged_n, judged_failed = judged_n + options.judged, judged_failed + failed_today
        share = corrected_rate((options.judged, failed_today), labels, (judged_n, judged_failed))
        covered.append(share.low <= world.failing <= share.high)
        widths.append(share.high - share.low)
    return Result(
        covered,
        widths,
        next((at - CHANGE_DAY for at in changed_at if at >= CHANGE_DAY), None),
        any(at < CHANGE_DAY for at in changed_at),
        next((at - CHANGE_DAY for at in pages if at >= CHANGE_DAY), None),
        any(at < CHANGE_DAY for at in pages),
        world.anchor_runs,
    )


def row(scenario: str, options: argparse.Namespace) -> list[str]:
    """Run one scenario; return its row of the table."""
    return summary(scenario, results_of(scenario, options, range(options.runs)))


def results_of(scenario: str, options: argparse.Namespace, runs: range) -> list[Result]:
    """Run some of the ``options.runs`` worlds of a scenario."""
    seeds = np.random.SeedSequence([options.seed, len(scenario)]).spawn(options.runs)
    return [run(np.random.default_rng(seeds[number]), scenario, options) for number in runs]


def summary(scenario: str, results: list[Result]) -> list[str]:
    """Return the row of a scenario."""
    covered = np.array([result.covered for result in results])
    widths = np.array([result.widths for result in results])
    changed = [result.changed_after for result in results if result.changed_after is not None]
    paged = [result.paged_after for result in results if result.paged_after is not None]
    return [
        scenario,
        f"{covered.mean():.2%}",
        f"{covered[:, CHANGE_DAY - 1].mean():.1%}",
        f"{np.median(widths[:, CHANGE_DAY - 2]):.3f}",
        f"{np.median(widths[:, CHANGE_DAY - 1]):.3f}",
        f"{np.mean([at < 3 for at in changed] + [False] * (len(results) - len(changed))):.1%}",
        f"{np.mean([result.changed_before for result in results]):.1%}",
        f"{np.mean([at < 1 for at in paged] + [False] * (len(results) - len(paged))):.1%}",
        f"{len(paged) / len(results):.1%}",
        f"{np.median(paged):.2f}" if paged else "—",
        f"{np.mean([result.paged_before for result in results]):.1%}",
        f"{np.mean([result.anchor_runs for result in results]) / DAYS:.1f}",
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--judged", type=int, default=19_600, help="responses judged a day")
    parser.add_argument(
        "--labels", type=int, default=20, help="labels a day, half of them of judged failures"
    )
    parser.add_argument("--anchors", type=int, default=500)
    parser.add_argument("--noise", type=float, default=0.005, help="verdicts that differ from run to run")
    parser.add_argument("--scenario", choices=["nothing", "judge", "answers"], action="append")
    options = parser.parse_args()
    head = [
        "what changes",
        "days covered",
        "on day 10",
        "width, day 9",
        "day 10",
        "judge changed < 3 d",
        "before",
    ]
    head += ["paged < 1 d", "paged", "median, d", "paged before", "anchor runs a day"]
    print_table(
        head, [row(scenario, options) for scenario in options.scenario or ("nothing", "judge", "answers")]
    )


if __name__ == "__main__":
    main()
