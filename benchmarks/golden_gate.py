"""How often the gate of golden sets is red, beside simpler gates: ``python -m benchmarks.golden_gate``.

Each case has its own probability to pass, drawn once a set from a beta distribution with mean 0.93 (flaky), or
passes always or never (stable: 10 % never). A run asks each case as ``golden run`` does: once, and until three
answers if it fails. ``copied`` repeats its first answer of a case within a run: a cache, or temperature 0.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from benchmarks.markdown_table import print_table
from monitor.golden.case_score import answers_wanted
from monitor.golden.comparison import compare
from monitor.golden.gate import Outcome, decide

Probabilities = np.ndarray


class World(NamedTuple):
    """A model before and after: its probabilities to pass, drawn for each run of the simulation."""

    name: str
    cases: int
    repeat: int
    before: Callable[[np.random.Generator, int], Probabilities]
    broken: float = 0.0
    fixed: float = 0.0
    drop: float = 0.0
    copied: bool = False


def flaky(draw: np.random.Generator, cases: int) -> Probabilities:
    return draw.beta(6.5, 0.49, cases)  # mean 0.93, mean of p (1 - p) 0.057


def stable(draw: np.random.Generator, cases: int) -> Probabilities:
    passes = np.ones(cases)
    passes[: round(0.1 * cases)] = 0.0
    return draw.permutation(passes)


WORLDS = (
    World("unchanged, flaky", 50, 1, flaky),
    World("unchanged, flaky", 100, 1, flaky),
    World("unchanged, flaky", 200, 1, flaky),
    World("unchanged, flaky", 200, 3, flaky),
    World("unchanged, flaky", 500, 1, flaky),
    World("unchanged, flaky, answers copied within a run", 200, 3, flaky, copied=True),
    World("unchanged, stable", 200, 1, stable),
    World("6 % newly failing, flaky", 50, 1, flaky, broken=0.06),
    World("6 % newly failing, flaky", 100, 1, flaky, broken=0.06),
    World("6 % newly failing, flaky", 200, 1, flaky, broken=0.06),
    World("6 % newly failing, flaky", 200, 3, flaky, broken=0.06),
    World("6 % newly failing, 1 % mended, stable", 50, 1, stable, broken=0.06, fixed=0.01),
    World("6 % newly failing, 1 % mended, stable", 100, 1, stable, broken=0.06, fixed=0.01),
    World("6 % newly failing, 1 % mended, stable", 200, 1, stable, broken=0.06, fixed=0.01),
    World("each case passes 5 points less often, flaky", 200, 1, flaky, drop=0.05),
    World("each case passes 5 points less often, flaky", 200, 3, flaky, drop=0.05),
    World("each case passes 5 points less often, flaky", 500, 3, flaky, drop=0.05),
)


def run(draw: np.random.Generator, passes: Probabilities, world: World) -> dict[str, list[bool]]:
    answers = {}
    for number, probability in enumerate(passes):
        given: list[bool] = []
        while len(given) < answers_wanted(given, world.repeat):
            if given and world.copied:
                given.append(given[0])
            else:
                given.append(bool(draw.random() < probability))
        answers[f"case-{number}"] = given
    return answers


def simulate(world: World, runs: int, seed: int) -> list[str]:
    draw = np.random.default_rng(seed)
    red = cannot = newly = below = 0
    named = truly = right = cost = 0
    for _ in range(runs):
        before = world.before(draw, world.cases)
        after = np.maximum(0.0, before - world.drop)
        healthy = np.flatnonzero(before > 0.5)
        broken = draw.choice(healthy, round(world.broken * world.cases), replace=False)
        after[broken] = 0.0
        failing = np.flatnonzero(before == 0)[: round(world.fixed * world.cases)]
        after[failing] = 1.0
        old, new = run(draw, before, world), run(draw, after, world)
        tags = {f"tag-{number}": [f"case-{n}" for n in range(number, world.cases, 4)] for number in range(4)}
        comparison = compare(old, new, world.repeat, tags)
        outcome = decide(comparison, new, ()).outcome
        red += outcome is Outcome.WORSE
        cannot += outcome is Outcome.CANNOT_TELL
        first_old, first_new = ({case: given[0] for case, given in answers.items()} for answers in (old, new))
        newly += any(first_old[case] and not first_new[case] for case in first_old)
        below += sum(first_new.values()) < sum(first_old.values())
        names = {case.case_id for case in comparison.worse if case.is_broken}
        truth = {f"case-{n}" for n in broken}
        named, truly, right = named + len(names), truly + len(truth), right + len(names & truth)
        cost += sum(map(len, new.values()))
    recall = f"{right / truly:.0%}" if truly else ""
    precision = f"{right / named:.0%}" if truly and named else ""
    return [
        world.name,
        str(world.cases),
        str(world.repeat),
        f"{cost / runs / world.cases:.2f}",
        f"{red / runs:.1%}",
        f"{cannot / runs:.1%}",
        f"{newly / runs:.1%}",
        f"{below / runs:.1%}",
        recall,
        precision,
    ]


HEADER = [
    "model",
    "cases",
    "`--repeat`",
    "answers a case",
    "red",
    "cannot tell",
    '"a case newly fails" red',
    '"pass rate is lower" red',
    "broken cases named",
    "named cases broken",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=int, nargs=2, default=(0, len(WORLDS)), help="only these, like 0 5")
    options = parser.parse_args()
    worlds = WORLDS[slice(*options.rows)]
    print_table(HEADER, [simulate(world, options.runs, options.seed) for world in worlds])


if __name__ == "__main__":
    main()
