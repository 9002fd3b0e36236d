"""What was counted into a pane since an earlier state of it: a late event changes what was merged from the
pane by this difference.
"""

from __future__ import annotations

from monitor.stats.rate import Rate
from monitor.windows.pane import Pane, rate_difference


def pane_difference(pane: Pane, earlier: Pane) -> Pane | None:
    """Return a new pane with the counts that ``pane`` has and ``earlier`` did not have.

    Merged into what ``earlier`` was merged into, it gives the same bytes as merging ``pane`` instead: counts
    are integers.

    Args:
        pane: the pane now; ``earlier``: the same pane, restored from an earlier ``state``.

    Returns:
        None if a grid has become coarser since, or names were merged into ``other``: then what was merged
        must be made anew.
    """
    pane, out = pane.unpacked(), Pane(pane.start_us)
    out.events, out.samples = pane.events - earlier.events, pane.samples - earlier.samples
    for name, rate in pane.rates.items():
        before = earlier.rates.get(name)
        out.rates[name] = rate_difference(rate, Rate() if before is None else before)
    for name, number in pane.numbers.items():
        if (known := earlier.numbers.get(name)) is None:
            out.number(name).merge(number)
        elif (more := number.difference(known)) is None:
            return None
        elif more.classes:
            out.numbers[name] = more
    for name, category in pane.categories.items():
        if (labels := earlier.categories.get(name)) is None:
            out.category(name).merge(category)
        elif (added := category.difference(labels)) is None:
            return None
        elif added.classes:
            out.categories[name] = added
    return out
