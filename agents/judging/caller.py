"""One judgement: calls, retries, one repair. What it gives is a verdict or an error, never an exception."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time

from agents.judging.clients import CallFailed, Client, Reply, as_text
from agents.runtime.clock import wall_clock_us
from monitor.judging.answer import Answer, ErrorKind, InvalidAnswer, parse_answer
from monitor.judging.prompt import Prompt, Texts, build_prompt, repair_text
from monitor.judging.records import Judgement
from monitor.judging.standing import Standing
from softfail.backoff import Backoff
from softfail.redact import redact
from softfail.sanitize import sanitize

log = logging.getLogger("softfail.judge")
TRIES = 5
BACKOFF = Backoff(first_s=0.5, longest_s=20.0)
LOG_S = 30.0


class Caller:
    """Judges texts with one judge.

    Args:
        standing: its limits, breaker and estimates are kept up to date.
        client: of its provider.
        backoff: waits between tries.
    """

    def __init__(self, standing: Standing, client: Client, backoff: Backoff = BACKOFF) -> None:
        self._standing, self._client, self._backoff = standing, client, backoff
        self._logged_s = float("-inf")

    async def judge(self, texts: Texts) -> Judgement:
        """Return the judgement of the texts of one response."""
        tally = _Tally(time.monotonic())
        try:
            reply = await self._reply(texts, tally)
        except CallFailed as error:
            self._log(error.kind, str(error))
            return tally.judgement(self._standing, error=error.kind)
        except Exception as error:  # noqa: BLE001 - a judge must not end the process; it is counted
            self._log("broken_answer", repr(error))
            return tally.judgement(self._standing, error="broken_answer")
        if isinstance(reply, str):
            return tally.judgement(self._standing, error=reply)
        return tally.judgement(self._standing, answer=reply)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _reply(self, texts: Texts, tally: _Tally) -> Answer | ErrorKind:
        prompt = build_prompt(self._standing.judge, texts, secrets.token_hex(12))
        rubric, repair = self._standing.judge.rubric, None
        kind: ErrorKind = "broken_answer"
        for _ in range(2):
            reply = await self._try(prompt, repair, tally)
            if reply.refused:
                return "refusal"
            try:
                return parse_answer(reply.value, rubric)
            except InvalidAnswer as error:
                self._log("broken_answer", str(error))
                kind = "cut_off" if reply.cut_off else "broken_answer"
                repair = as_text(reply.value)[:4000], repair_text(rubric, str(error))
        return kind

    async def _try(self, prompt: Prompt, repair: tuple[str, str] | None, tally: _Tally) -> Reply:
        """Ask until there is an answer.

        Raises:
            CallFailed: no try gave one.
        """
        standing = self._standing
        for attempt in range(1, TRIES + 1):
            tally.calls += 1
            try:
                async with asyncio.timeout(standing.judge.timeout):  # of the whole call, its body included
                    reply = await self._client.ask(prompt, repair)
            except TimeoutError:
                failure = CallFailed("timeout", "no answer in time", may_retry=True, is_down=True)
            except CallFailed as error:
                failure = error
            else:
                standing.breaker.answered()
                standing.limit.answered()
                chars = prompt.chars + sum(map(len, repair or ()))
                standing.estimate.learn(chars, reply.input_tokens, reply.output_tokens)
                tally.add(reply)
                return reply
            if failure.kind == "rate_limited":
                standing.limit.refused(time.monotonic())
            elif failure.is_down:
                standing.breaker.failed(wall_clock_us(), random.random(), failure.after_s, str(failure))
            if not failure.may_retry or attempt == TRIES:
                raise failure
            await asyncio.sleep(self._backoff.wait_s(attempt, random.random(), failure.after_s))
        raise AssertionError("no try")  # pragma: no cover

    def _log(self, kind: str, text: str) -> None:
        now_s = time.monotonic()
        if now_s - self._logged_s >= LOG_S:
            self._logged_s = now_s
            log.warning("judge %s: %s: %s", self._standing.judge.name, kind, sanitize(redact(text), 300))


class _Tally:
    """What the calls of one judgement used."""

    def __init__(self, began_s: float) -> None:
        self.calls = self.input_tokens = self.output_tokens = 0
        self.model = self.finish_reason = ""
        self._began_s = began_s

    def add(self, reply: Reply) -> None:
        self.input_tokens += reply.input_tokens
        self.output_tokens += reply.output_tokens
        self.model, self.finish_reason = reply.model, reply.finish_reason

    def judgement(
        self, standing: Standing, answer: Answer | None = None, error: ErrorKind | None = None
    ) -> Judgement:
        return Judgement(
            "" if answer is None else answer.verdict,
            "" if answer is None else answer.reason,
            error,
            self.model[:256],
            self.input_tokens,
            self.output_tokens,
            standing.estimate.cost_usd(self.input_tokens, self.output_tokens),
            time.monotonic() - self._began_s,
            self.calls,
            self.finish_reason,
        )
