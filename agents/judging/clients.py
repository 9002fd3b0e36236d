"""Ask a model for a verdict through the official clients. Nothing else imports them, and they are optional."""

from __future__ import annotations

import importlib
import json
from typing import Any, NamedTuple, Protocol

from agents.process import exits
from monitor.judging.answer import ErrorKind
from monitor.judging.prompt import Prompt, answer_schema
from schemas.config.judges import Judge

TOOL = "grade"
INSTALL = "install it with: pip install 'softfail[judge]' (in a checkout: make setup)"
MOST_RETRY_AFTER_S = 120.0


class Reply(NamedTuple):
    """The answer of a model. ``value``: text, or the decoded arguments of the tool call."""

    value: Any
    model: str
    input_tokens: int
    output_tokens: int
    finish_reason: str
    refused: bool = False
    cut_off: bool = False


class CallFailed(Exception):
    """Raised for a call without an answer.

    ``may_retry``: another try may help; ``after_s``: how long the provider asks to wait; ``is_down``: it counts for
    the circuit breaker.
    """

    def __init__(
        self, kind: ErrorKind, text: str, *, may_retry: bool, after_s: float = 0.0, is_down: bool = False
    ) -> None:
        super().__init__(text)
        self.kind, self.may_retry, self.after_s, self.is_down = kind, may_retry, after_s, is_down


class Client(Protocol):
    """Asks one model."""

    async def ask(self, prompt: Prompt, repair: tuple[str, str] | None = None) -> Reply:
        """Return the answer of the model.

        Args:
            prompt: system and user text.
            repair: an answer that could not be used, and what to say about it.

        Raises:
            CallFailed: there is none.
        """

    async def close(self) -> None:
        """Close the connections."""


def client_of(judge: Judge, api_key: str) -> Client:
    """Make the client of a judge.

    Raises:
        Misconfigured: the package of its endpoint is not installed.
    """
    name = judge.endpoint.kind
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise exits.Misconfigured(
            f"judges: the judge {judge.name} needs the package {name}, which cannot be imported ({error}); {INSTALL}"
        ) from None
    kind = OpenAIClient if name == "openai" else AnthropicClient
    return kind(judge, api_key, module)


class _Official:
    """What the clients of both providers have in common: their errors have the same names."""

    def __init__(self, judge: Judge, module: Any) -> None:
        self._judge, self._module = judge, module

    def _failure(self, error: Exception) -> CallFailed:
        """Classify an error of an official client."""
        module, text = self._module, f"{type(error).__name__}: {error}"[:300]
        if isinstance(error, module.APITimeoutError):
            return CallFailed("timeout", text, may_retry=True, is_down=True)
        if isinstance(error, module.APIStatusError):
            status = error.status_code
            after_s = retry_after_s(error.response.headers)
            if status == 429:
                return CallFailed("rate_limited", text, may_retry=True, after_s=after_s)
            if status >= 500 or status in (408, 409):
                return CallFailed("unavailable", text, may_retry=True, after_s=after_s, is_down=True)
            return CallFailed("rejected", text, may_retry=False, is_down=status in (401, 403, 404))
        if isinstance(error, module.APIConnectionError):
            return CallFailed("unavailable", text, may_retry=True, is_down=True)
        if isinstance(error, module.APIError | ValueError | TypeError | AttributeError | LookupError):
            return CallFailed("broken_answer", text, may_retry=True)  # a body that is no answer of this API
        raise error


class OpenAIClient(_Official):
    """A server that has ``/chat/completions``. Servers without JSON Schema are asked without it from then on."""

    def __init__(self, judge: Judge, api_key: str, module: Any) -> None:
        super().__init__(judge, module)
        self._client = module.AsyncOpenAI(
            api_key=api_key, base_url=judge.endpoint.url, max_retries=0, timeout=judge.timeout
        )
        self._has_schema = True
        self._limit = "max_completion_tokens" if judge.endpoint.url is None else "max_tokens"

    async def ask(self, prompt: Prompt, repair: tuple[str, str] | None = None) -> Reply:  # noqa: D102 - as in Client
        try:
            try:
                return _openai_reply(await self._create(prompt, repair))
            except self._module.BadRequestError as error:
                if not self._adapt(str(error)):
                    raise
                return _openai_reply(await self._create(prompt, repair))
        except Exception as error:
            raise self._failure(error) from error

    async def close(self) -> None:  # noqa: D102 - as in Client
        await self._client.close()

    def _adapt(self, error: str) -> bool:
        """Leave out what the server does not know; return whether that changed anything."""
        if self._has_schema and ("response_format" in error or "json_schema" in error):
            self._has_schema = False
            return True
        other = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}[self._limit]
        if self._limit in error and other in error:
            self._limit = other
            return True
        return False

    async def _create(self, prompt: Prompt, repair: tuple[str, str] | None) -> Any:
        judge = self._judge
        messages = [
            {"role": "system", "content": prompt.system},
            {"role": "user", "content": prompt.user},
        ]
        if repair is not None:
            messages += [{"role": "assistant", "content": repair[0]}, {"role": "user", "content": repair[1]}]
        more: dict[str, Any] = {self._limit: judge.max_tokens}
        if judge.temperature is not None:
            more["temperature"] = judge.temperature
        if self._has_schema:
            schema = {"name": TOOL, "strict": True, "schema": answer_schema(judge.rubric)}
            more["response_format"] = {"type": "json_schema", "json_schema": schema}
        return await self._client.chat.completions.create(model=judge.model, messages=messages, **more)


def _openai_reply(completion: Any) -> Reply:
    choice = completion.choices[0]
    finish = str(choice.finish_reason or "")
    refusal = getattr(choice.message, "refusal", None)
    usage = completion.usage
    return Reply(
        choice.message.content or "",
        str(completion.model or ""),
        int(getattr(usage, "prompt_tokens", 0) or 0),
        int(getattr(usage, "completion_tokens", 0) or 0),
        finish,
        refused=bool(refusal) or finish == "content_filter",
        cut_off=finish == "length",
    )


class AnthropicClient(_Official):
    """Anthropic's messages, with a tool that has to be called."""

    def __init__(self, judge: Judge, api_key: str, module: Any) -> None:
        super().__init__(judge, module)
        self._client = module.AsyncAnthropic(
            api_key=api_key, base_url=judge.endpoint.url, max_retries=0, timeout=judge.timeout
        )

    async def ask(self, prompt: Prompt, repair: tuple[str, str] | None = None) -> Reply:  # noqa: D102 - as in Client
        judge = self._judge
        messages = [{"role": "user", "content": prompt.user}]
        if repair is not None:
            messages += [{"role": "assistant", "content": repair[0]}, {"role": "user", "content": repair[1]}]
        # the client has no parameter for it
        more = {} if judge.temperature is None else {"extra_body": {"temperature": judge.temperature}}
        tool = {"name": TOOL, "description": "Give the grade", "input_schema": answer_schema(judge.rubric)}
        try:
            message = await self._client.messages.create(
                model=judge.model,
                system=prompt.system,
                messages=messages,
                max_tokens=judge.max_tokens,
                tools=[tool],
                tool_choice={"type": "tool", "name": TOOL},
                **more,
            )
            return _anthropic_reply(message)
        except Exception as error:
            raise self._failure(error) from error

    async def close(self) -> None:  # noqa: D102 - as in Client
        await self._client.close()


def _anthropic_reply(message: Any) -> Reply:
    calls = [block.input for block in message.content if block.type == "tool_use"]
    texts = [block.text for block in message.content if block.type == "text"]
    finish = str(message.stop_reason or "")
    return Reply(
        calls[0] if calls else "".join(texts),
        str(message.model or ""),
        int(message.usage.input_tokens or 0),
        int(message.usage.output_tokens or 0),
        finish,
        refused=finish == "refusal",
        cut_off=finish == "max_tokens",
    )


def as_text(value: Any) -> str:
    """Return an answer as a text that the model can be shown again; never empty, which providers refuse."""
    return (value if isinstance(value, str) else json.dumps(value)) or "(empty)"


def retry_after_s(headers: Any) -> float:
    """Return how long a provider asks to wait, seconds, at most two minutes; 0 if it does not.

    >>> retry_after_s({"retry-after": "7"}), retry_after_s({"retry-after-ms": "250"}), retry_after_s({})
    (7.0, 0.25, 0.0)
    >>> retry_after_s({"retry-after": "nan"}), retry_after_s({"retry-after": "86400"})
    (0.0, 120.0)
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if seconds >= 0:
            return min(MOST_RETRY_AFTER_S, seconds)
    return 0.0
