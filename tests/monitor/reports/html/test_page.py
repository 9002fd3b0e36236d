from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from monitor.reports.config_comparison import differences
from monitor.reports.data_gaps import DeadLetterCounts
from monitor.reports.html import page
from monitor.reports.html.svg_plot import Axis, EpisodeSpan, plot
from monitor.reports.plot_panels import Limit, Panel
from monitor.reports.time_series import POINTS
from monitor.watch import Watch

VOID = {"meta", "br"}
EVIL = '<script>alert(1)</script>"><img src=x onerror=alert(1)>\x1b[2J\u202e\u200b'


class Elements(HTMLParser):
    """Collects all elements with their attributes; every end tag must match."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def render_page(trial, other=None, letters=None):
    difference = None if other is None else differences(trial.alerts, other.alerts)
    return "".join(page.render(trial, letters or DeadLetterCounts(), other, difference))


@pytest.fixture(scope="module")
def trial(run_backtest, hours, rules_only, errors_rule):
    return run_backtest(rules_only(errors_rule), hours)


def test_the_page_is_valid_html_without_external_references(
    trial, run_backtest, hours, rules_only, errors_rule
):
    text = render_page(trial, run_backtest(rules_only({**errors_rule, "above": 0.7}), hours))
    elements = Elements(text)
    assert elements.open == []
    assert {tag for tag, _ in elements.tags} & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "a",
        "use",
        "image",
    } == set()
    assert {name for _, attributes in elements.tags for name in attributes} & {
        "src",
        "href",
        "xlink:href",
        "style",
        "onload",
    } == set()
    assert re.findall(r"url\(|@import|https?:", text) == []


def test_the_headline_counts_pages_tickets_time_and_features(trial):
    assert "<h1>1 page, 0 tickets in 2 h of 2 features</h1>" in render_page(trial)


def test_an_episode_is_in_the_table_with_its_interval_and_shaded_in_every_plot_of_its_feature(
    trial,
):
    text = render_page(trial)
    row = text[text.index("<h2>Episodes") : text.index("<h2>Rules")]
    assert re.search(r"of calls failed \(should stay under 5 %\)", row)
    assert re.search(r"between [\d.]+ % and [\d.]+ %, on \d+ events in (5|30) min", row)
    feature = text[text.index("<h3><bdi>support-bot/answer") : text.index("<h3><bdi>search/rerank")]
    assert feature.count("<figure>") == 5
    assert feature.count('<rect class="page"') == 5
    assert feature.count('class="limit"') == 1
    assert "errors: above 5 %" in feature
    assert '<rect class="page"' not in text[text.index("<h3><bdi>search/rerank") :]


def test_episodes_of_the_other_configuration_are_a_strip_below_the_plots(
    run_backtest, hours, rules_only, errors_rule, trial
):
    quiet = run_backtest(rules_only({**errors_rule, "above": 0.9}), hours)
    text = render_page(quiet, trial)
    assert "What if:" in text
    assert text.count('<rect class="page other"') == 5
    assert '<rect class="page"' not in text


def test_labels_are_shown_as_escaped_text(run_backtest, week, rules_only, errors_rule):
    troubles = (week.Trouble("a/b", 1, 9, "errors", 0.9),)
    events = [
        {
            **event,
            "service": EVIL,
            "feature": EVIL,
            "model": EVIL,
            "environment": "production",
            "prompt_version": EVIL,
        }
        for event in week.events(2, 10, ("a/b",), seed=1, troubles=troubles)
    ]
    letters = DeadLetterCounts()
    trial = run_backtest(rules_only(errors_rule), events)
    broken = Watch(rules_only(errors_rule)).apply([week_record({**events[0], "kind": EVIL})])
    letters.take(broken.messages["deadletter"])
    text = render_page(trial, trial, letters)
    assert "&lt;script&gt;" in text
    assert not set("\x1b\u202e\u200b") & set(text)
    assert {tag for tag, _ in Elements(text).tags} & {"script", "img"} == set()


def test_the_report_relies_on_autoescape_alone():
    folder = Path(page.__file__).parent
    templates, modules = list(folder.glob("templates/*.j2")), list(folder.glob("*.py"))
    assert len(templates) >= 3
    assert len(modules) >= 3
    for path in templates:
        assert not re.search(r"\|\s*safe|\|\s*e\b|escape|autoescape", path.read_text("utf-8")), path.name
    for path in modules:
        source = path.read_text("utf-8")
        assert not re.search(r"\bescape\(|&lt;|<[a-z]+[ >]", source), path.name
        assert source.count("Markup(") == (path.name == "page.py"), "only the style sheet is taken as it is"


def week_record(event):
    import json

    from monitor.protocol.messages import FileRecord

    return FileRecord(json.dumps(event).encode(), 7)


def test_an_empty_log_gives_a_page_that_states_it(run_backtest, rules_only):
    text = render_page(run_backtest(rules_only(), []))
    assert "<h1>Nothing was measured</h1>" in text
    assert "No episode opened." in text
    assert Elements(text).open == []


def test_a_metric_used_by_a_rule_gets_its_own_plot(run_backtest, hours, rules_only):
    rule = {
        "name": "refusals",
        "on": "evaluator.refusal.fail_rate",
        "above": 0.5,
        "window": "5m",
        "severity": "error",
    }
    text = render_page(run_backtest(rules_only(rule), hours))
    assert text.count("<figcaption>Failed: refusal<small>refusals: above 50 %</small>") == 2


def draw(trial, panel, limits=(), spans=()):
    series = next(series for key, series in trial.measurements.series.items() if key[1] == "answer")
    axis = Axis(trial.measurements.start.timestamp(), trial.measurements.end.timestamp())
    return plot(panel, series.points(), series.width_us, 60_000_000, limits, spans, axis)


def test_a_line_has_a_limited_number_of_points_all_inside_the_plot(trial):
    (curve,) = draw(trial, Panel("pass_rate")).curves
    points = re.findall(r"[ML]([\d.]+) ([\d.]+)", curve.line)
    assert 20 < len(points) <= POINTS
    assert all(36 <= float(x) <= 236 and 8 <= float(y) <= 94 for x, y in points)


def test_a_distant_threshold_does_not_flatten_the_plot(trial):
    assert len(draw(trial, Panel("pass_rate"), [Limit("floor", "", None, 0.5)]).limits) == 1
    assert not draw(trial, Panel("duration_s", ("p50", "p90")), [Limit("slow", "p90", 600.0, None)]).limits


def test_a_short_episode_has_a_visible_width(trial):
    start_s = trial.measurements.start.timestamp()
    (shade,) = draw(trial, Panel("events"), (), [EpisodeSpan(start_s, start_s + 1, False, "x")]).shades
    assert (shade.kind, shade.y) == ("ticket", "8")
    assert float(shade.width) >= 1.5


def test_a_panel_without_data_is_not_drawn(trial):
    assert draw(trial, Panel("time_to_first_token_s", ("p50",))) is None
