"""A judge of the configuration, as a golden set asks it: with the client, prompt and rubric of production."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from agents.judging.caller import BACKOFF, Caller
from agents.judging.clients import client_of
from monitor.golden.case_verdict import Grades, rubrics_of, text_of
from monitor.judging.identity import identity
from monitor.judging.prompt import Texts
from monitor.judging.records import Judgement
from monitor.judging.standing import Standing
from schemas.config.judges import Judge, Rubric
from schemas.golden import GoldenCase
from softfail.backoff import Backoff

RUBRIC_VERSION = 1
"""Version of the prompt below."""
_TASK = """\
Decide whether the answer meets the rubric.
Rubric: {rubric}
{reference}
Question: {{{{input}}}}
Context: {{{{context}}}}
Answer: {{{{output}}}}"""
_CHOICES = {"yes": 1.0, "no": 0.0}


class ConfiguredJudge:
    """Grades each answer by the rubric of the judge, and decides the rubrics of checks with the same model.

    Args:
        judge: of the configuration.
        api_key: of its provider.
        backoff: waits between tries.

    Raises:
        Misconfigured: the package of its provider is not installed.
    """

    grades_all = True

    def __init__(self, judge: Judge, api_key: str, backoff: Backoff = BACKOFF) -> None:
        self._judge, self._backoff = judge, backoff
        self.name = judge.name
        self.identity = f"judge {judge.name} {identity(judge, judge.model)} {RUBRIC_VERSION}"
        self.grade_s = 3 * judge.timeout + 60  # several tries and the waits between them
        self._loop = asyncio.new_event_loop()
        check_judge = judge.model_copy(update={"rubric": _rubric("a rubric", None)})
        # The clients know the choices, which all rubrics of checks have in common.
        self._client, self._check_client = client_of(judge, api_key), client_of(check_judge, api_key)
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def grade(self, case: GoldenCase, reply: Mapping[str, Any], timeout_s: float) -> Grades:
        """Grade an answer. What gave no verdict is undecided, because the judge has made all of its tries.

        Args:
            case: that was asked.
            reply: answer of the target.
            timeout_s: of the target; the judge has its own.
        """
        output = reply.get("output") or ""
        texts = Texts(
            text_of(case.input),
            output if isinstance(output, str) else json.dumps(output, ensure_ascii=False),
            case.context,
        )
        return asyncio.run_coroutine_threadsafe(self._grade(case, reply, texts), self._loop).result()

    def close(self) -> None:
        """Close the connections."""

        async def end() -> None:
            await self._client.close()
            await self._check_client.close()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _grade(self, case: GoldenCase, reply: Mapping[str, Any], texts: Texts) -> Grades:
        name = self.name
        failed, undecided = dict[str, str](), dict[str, str]()
        rubrics, cost_usd = dict[str, tuple[bool, str]](), 0.0
        if not (texts.output or "").strip() or reply.get("error_type"):
            return Grades(undecided={name: "there is no text to grade"})
        if _covers(self._judge, case):
            own = await self._judgement(self._judge, self._client, texts)
            cost_usd += own.cost_usd
            if own.error:
                undecided[name] = f"the judge gave no verdict: {own.error}"
            elif not self._judge.rubric.passed(own.choice):
                failed[name] = f"{own.choice}: {own.reason}"
        for text in dict.fromkeys(rubrics_of(case.checks)):
            try:
                judge = self._judge.model_copy(update={"rubric": _rubric(text, case.reference)})
            except ValueError:
                undecided[name] = "the rubric and the reference are too long"
                continue
            check = await self._judgement(judge, self._check_client, texts)
            cost_usd += check.cost_usd
            if not check.error:  # without a verdict the check stays open
                rubrics[text] = judge.rubric.passed(check.choice), check.reason
        return Grades(rubrics, failed, undecided, cost_usd)

    async def _judgement(self, judge: Judge, client: Any, texts: Texts) -> Judgement:
        caller = Caller(Standing(judge), client, self._backoff)
        try:
            async with asyncio.timeout(self.grade_s):
                return await caller.judge(texts)
        except TimeoutError:
            return Judgement(error="timeout", duration_s=self.grade_s)


def _covers(judge: Judge, case: GoldenCase) -> bool:
    """Return whether production has this judge for the feature of a case; a case without a feature has every judge."""
    return not case.feature or any(fnmatchcase(case.feature, pattern) for pattern in judge.match)


def _rubric(text: str, reference: str | None) -> Rubric:
    """Make the rubric of a check.

    Raises:
        ValueError: it is too long.
    """
    good = f"An answer that meets it: {reference}" if reference else ""
    # Braces of the texts are no variables of the prompt.
    plain = [part.replace("{{", "{ {").replace("}}", "} }") for part in (text, good)]
    return Rubric(prompt=_TASK.format(rubric=plain[0], reference=plain[1]), choice_scores=_CHOICES)
