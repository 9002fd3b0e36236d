"""Console: episodes as lines on the standard output of the worker; the channel of an empty configuration."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.channels.interface import Delivered, DeliveryResult, Request, Retry, Step
from monitor.channels.links import links_of
from monitor.wording import episode_text
from monitor.wording.example_text import example_details, example_line
from monitor.wording.incident_text import clock
from schemas.config.monitor_config import Config
from softfail.sanitize import sanitize

_HEADS = {
    ("trigger", "high"): "PAGE",
    ("trigger", "low"): "TICKET",
    ("resolve", "high"): "RESOLVED",
    ("resolve", "low"): "RESOLVED",
}


class Console:
    """Turn steps into a head line and one line a finding."""

    name = "console"

    def __init__(self, config: Config) -> None:
        self._links = config.links

    def request(self, step: Step, now_us: int) -> Request:
        """Build the lines of a step, without control characters: the output of a model must not control a
        terminal.
        """
        del now_us
        episode = step.episode
        head = _HEADS.get((step.action, step.urgency), "MISSED WHILE DOWN")
        where, name = episode_text.place(episode), f"[{episode.episode_id}]"
        if (
            step.action == "resolve" and episode.state != "resolved"
        ):  # the ticket of an episode that became a page
            lines = [f"CLOSED {where}: {step.urgency} urgency, {step.reason} {name}"]
        elif step.action == "resolve":
            lines = [
                f"{head} {where}: over since {clock(episode.time)}, began {clock(episode.started_at)} {name}"
            ]
        else:
            lines = [
                f"{head} ({episode.severity}, {step.reason})"
                f" {episode_text.summary(episode, step.left_out)} {name}"
            ]
            listed = episode_text.member_lines(episode, 10) or episode_text.detail_lines(episode)[:10]
            lines += [f"  - {line}" for line in listed]
            # the first stands in the head
            lines += [
                f"  likely: {cause}" for cause in episode_text.likely_causes(episode) if cause not in lines[0]
            ]
            lines += [f"  next: {episode_text.next_step(episode)}"] if step.action == "trigger" else []
            for example in episode.examples:
                lines += [f"  {example_line(example, 160)}"]
                lines += [f"    {line}" for line in example_details(example, 160)]
            links = links_of(episode, self._links)
            lines += [
                f"  {name.lower()}: {href}" for name, href in links.items() if name.startswith("Trace ")
            ]
        body = "".join(f"{sanitize(line, 2000)}\n" for line in lines).encode("utf-8", "replace")
        return Request("PRINT", f"{self.name}/{step.episode_id}", body=body)

    def interpret(
        self, status: int | None, headers: Mapping[str, str], body: bytes, now_us: int
    ) -> DeliveryResult:
        """Interpret an answer: printed, or retry."""
        return (
            Delivered()
            if status is not None
            else Retry(body.decode("utf-8", "replace") or "standard output is closed")
        )
