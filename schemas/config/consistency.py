"""Checks across the sections of a configuration: names, references from one section to another, windows."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from schemas.config.features import Route
from schemas.config.gates import Gate
from schemas.config.judges import Judge
from schemas.config.objectives import Burning
from schemas.config.rules import Drift, Named, Rule, Watched
from schemas.pin_file import pinned_name


def check_names(named: Sequence[Named], burn_rates: Sequence[Burning]) -> None:
    """Check that no two rules have the same name, because incidents are kept by it.

    Args:
        named: rules, drift rules and objectives, as written.
        burn_rates: the burn rates of the objectives.

    Raises:
        ValueError: a name is not unique, or is reserved.
    """
    names = [rule.name for rule in named]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"rules, drift, objectives: the name {name!r} stands twice; incidents need unique names"
            )
        if name == "no-data":
            raise ValueError("rules: 'no-data' is configured under no_data")
    derived = [burn_rate.name for burn_rate in burn_rates]
    if len(derived) != len({*derived, *names} - {*names}):
        raise ValueError(
            "objectives: two burn rates would have the same name; the name of a burn rate is that of its"
            f" objective with the long window ({', '.join(derived)})"
        )


def check_routes(routes: Sequence[Route], channels: Collection[str]) -> None:
    """Check that routes name configured channels.

    Raises:
        ValueError: a route names another one.
    """
    for index, route in enumerate(routes):
        for channel in route.to:
            if channel not in channels:
                raise ValueError(
                    f"routes[{index}].to: channel {channel!r} is not configured under channels"
                    f" ({', '.join(channels) or 'none is'})"
                )


def check_pins(drift_rules: Sequence[Drift], pins: Collection[str]) -> None:
    """Check that drift rules name pinned references that exist.

    Raises:
        ValueError: a drift rule names another one.
    """
    for index, drift in enumerate(drift_rules):
        if (pin := pinned_name(drift.reference)) is not None and pin not in pins:
            raise ValueError(
                f"drift[{index}].reference: there is no {pin!r} under pinned"
                f" ({', '.join(pins) or 'nothing is'}); write pinned: {{{pin}: {{file:"
                f" pinned/{pin}.json}}}}"
            )


def check_windows(pane_s: float, rules: Sequence[Watched], burn_rates: Sequence[Burning]) -> None:
    """Check that every window is a whole number of panes. A drift window may be shorter than a pane.

    Raises:
        ValueError: a window is not.
    """
    windows = [
        ("rules: window", rule.window, rule.name)
        for rule in rules
        if not (isinstance(rule, Drift) and rule.window < pane_s)
    ]
    for burn_rate in burn_rates:
        windows.append(("objectives: the long window of", burn_rate.window, burn_rate.name))
        windows.append(("objectives: the short window of", burn_rate.short, burn_rate.name))
    for label, window_s, name in windows:
        if window_s % pane_s:
            raise ValueError(
                f"{label} {window_s:g} s of {name!r} is not a whole number of panes of {pane_s:g} s"
            )


def check_judges(judges: Sequence[Judge], rules: Sequence[Rule]) -> None:
    """Check that judges have different names, and that no rule pages for verdicts of an uncalibrated one.

    Raises:
        ValueError: two judges have one name, or a rule could page for what nobody has compared with people.
    """
    names = [judge.name for judge in judges]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"judges: the name {name!r} stands twice; each judge is a metric of its own")
    for index, rule in enumerate(rules):
        for judge in judges:
            if judge.uncalibrated_name in rule.on and rule.severity in ("critical", "error"):
                raise ValueError(
                    f"rules[{index}]: {rule.on} has verdicts of a judge that is not calibrated, which may not page;"
                    f" write severity: warning, or on: evaluator.{judge.name}.fail_rate"
                )


def check_gates(gates: Sequence[Gate]) -> None:
    """Check that gates have different names.

    Raises:
        ValueError: two have the same.
    """
    names = [gate.name for gate in gates]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"gates: the name {name!r} stands twice; `monitor gate --gate` selects by it")
