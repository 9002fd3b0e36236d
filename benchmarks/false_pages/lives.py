"""Run lives of features through the screen and the core."""

from __future__ import annotations

import gc
import time
from typing import Any

import numpy as np

from benchmarks.false_pages.simulated_feature import Feature
from benchmarks.false_pages.traffic import ALL, MINUTE_US, MINUTES, START_US, draw_life, draw_numbers
from benchmarks.shape_screen import marked_lives
from monitor.stats.number_summary import NumberSummary
from schemas.config.monitor_config import Config

Task = tuple[str, int, int, bool]
"""Shape, number of the feature, seed, whether tickets count."""
Batch = tuple[list[Task], bool]
"""Features of one shape, and whether they are screened."""


def make_rng(task: Task) -> np.random.Generator:
    name, number, seed, _ = task
    return np.random.default_rng([seed, list(ALL).index(name), number])


def run_batch(batch: Batch) -> list[dict[str, Any]]:
    """Run features of one shape. Where ``is_screened``, those that cannot page are not run through the core."""
    tasks, is_screened = batch
    shape, begun = ALL[tasks[0][0]], time.process_time()
    marked = np.ones(len(tasks), bool)
    if is_screened:
        lives = [draw_life(shape, make_rng(task), shape.days) for task in tasks]
        counts = [(life.calls, life.failures) for life in lives]
        learns, has_week = shape.learns * MINUTES, shape.weekend != 1
        marked = marked_lives(counts, START_US, Config().no_data, learns, has_week=has_week)
    screen_s = (time.process_time() - begun) / len(tasks)
    return [
        (run_life(task) if is_marked else {"shape": task[0], "number": task[1], "found": [], "cpu_s": 0.0})
        | {"screen_s": screen_s, "marked": int(is_marked)}
        for task, is_marked in zip(tasks, marked.tolist(), strict=True)
    ]


def run_life(task: Task) -> dict[str, Any]:
    """The life of one feature, and what was found wrong with it."""
    name, number, _, tickets = task
    shape, begun = ALL[name], time.process_time()
    gc.disable()  # nothing here is a cycle
    rng = make_rng(task)
    life = draw_life(shape, rng, shape.days)
    feature, episodes, known = Feature(f"{name} {number}", life.calls.shape[1], tickets=tickets), [], set()
    day_numbers: list[list[dict[str, NumberSummary]]] = []
    for minute_index, (calls, failures) in enumerate(zip(life.calls, life.failures, strict=True)):
        if tickets and minute_index % MINUTES == 0:
            day = slice(minute_index, minute_index + MINUTES)
            day_numbers = [
                draw_numbers(life.calls[day, nth], life.cycle[day], shape, rng)
                for nth in range(life.calls.shape[1])
            ]
        start_us = START_US + minute_index * MINUTE_US
        feature.count(
            start_us,
            calls.tolist(),
            failures.tolist(),
            [item[minute_index % MINUTES] for item in day_numbers] if day_numbers else None,
        )
        for episode in feature.close(start_us + MINUTE_US):
            seen = (episode["episode_id"], episode["urgency"])
            is_new = seen not in known and (tickets or episode["urgency"] == "high")
            known.add(seen)  # an episode of the days that do not count is not new later
            if is_new and episode["state"] != "resolved" and minute_index >= shape.learns * MINUTES:
                episodes.append(
                    {
                        "shape": name,
                        "number": number,
                        "minute": minute_index,
                        "urgency": episode["urgency"],
                        "incidents": [
                            {key: item[key] for key in ("rule", "severity", "level", "model", "evidence")}
                            for item in episode["incidents"]
                            if item["state"] == "firing"
                        ],
                    }
                    | life.labels
                )
    return {"shape": name, "number": number, "found": episodes, "cpu_s": time.process_time() - begun}
