"""Detect well-known failures: templates, special tokens, raw tool calls, stack traces, loops."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

import re2

from monitor.evaluators.interface import Evaluator
from monitor.evaluators.repetition import ends_in_loop
from monitor.evaluators.text_scan import text_to_scan, without_code
from monitor.evaluators.verdict import PASSED, SKIPPED_ERROR, SKIPPED_NO_TEXT, Verdict, failed

_PATTERNS = {
    "placeholder": r"(?:^|[^${\w])\{\{\s*[A-Za-z_][\w. ]{0,40}\}\}",
    "special_token": (
        r"<\|(?:im_start|im_end|im_sep|endoftext|eot_id|eom_id|start_header_id|end_header_id|begin_of_text|end_of_text"
        r"|assistant|user|system|end|endofprompt|python_tag|channel|message|return|call"
        r"|startoftext|END_OF_TURN_TOKEN|START_OF_TURN_TOKEN)\|>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|</s>\s*\z"
        r"|<(?:bos|eos|pad)>|<｜[^｜\n]{1,40}｜>"
    ),
    "tool_markup": (
        r"</?(?:tool_call|function_call|function_calls|tool_use|tool_response)>|<function=|\[TOOL_CALLS\]|<invoke"
        r" name="
        r"|\bto=functions\.|\A\s*[\[{]\s*\"(?:name|type|id|function|arguments|tool_calls)\""
    ),
    "stack_trace": (
        r"\A\s*Traceback \(most recent call last\)|\A\s*(?:Uncaught |Unhandled )?(?:[A-Za-z_.]+(?:Error"
        r"|Exception)): [^\n]*\n\s+at |\A\s*Exception in thread"
    ),
    "unfilled_value": (
        r"(?i)\A\s*(?:undefined|nan|\[object Object\]|<nil>|\[object promise\])\s*\z|\[object"
        r" Object\]|^\s*(?:hello|hi"
        r"|dear|hallo|bonjour) (?:undefined|null|none|nan)\b"
    ),
    "provider_error": (
        r"(?i)\A\s*\{\s*\"(?:error|errors|type|detail|message|code|status|statusCode|object)\"|\A\s*(?:openai\."
        r"|anthropic\.)?(?:error code: \d{3}|error:"
        r" \d{3}|(?:api|ratelimit|authentication|badrequest|internalserver"
        r"|apiconnection)error\b"
        r"|rate limit (?:reached|exceeded)|you exceeded your current quota|this model's maximum context"
        r" length"
        r"|the server (?:had an error|is overloaded)|internal server error\b|\d{3} (?:bad gateway|service"
        r" unavailable"
        r"|internal server error\b|too many requests|gateway time-?out)"
        r"|<html>\s*<head>\s*<title>\d{3} |upstream (?:connect error|request timeout)|no healthy upstream)"
    ),
    "prompt_leak": (
        r"(?i)\A\s*(?:system(?: prompt)?: ?)?you are (?:an? |the )?[\w ,'-]{0,60}\b(?:assistant|chat"
        r" ?bot|agent|AI"
        r"|language model)\b|^#{2,3} (?:instruction|response|system|input):\s*$"
        r"|\b(?:here (?:is|are)|these are) my (?:system prompt|(?:system |initial )instructions)\b|\bmy"
        r" system prompt (?:is"
        r"|says|reads)\b"
    ),
    "lorem_ipsum": r"(?i)\blorem ipsum dolor\b",
}
_IN_LINES = "(?m)"
_INSTRUCTS = re2.compile(
    r"(?i)\b(?:your (?:task|job|role|goal) is|you (?:must|should|will|are to|can only)|do not"
    r" (?:reveal|mention"
    r"|share|answer)|always (?:respond|answer|reply|be)|never (?:reveal|share|mention|say))\b"
)
# An answer about templates, tokens or placeholders may contain them.
_TOPIC_WORDS = {
    "placeholder": re2.compile(
        r"(?i)\b(?:templat|placeholder|jinja|mustache|handlebars|liquid|vue|angular|syntax|variables?|helm"
        r"|ansible|interpolat|shell|bash|environment|django|logger|logging|curly)"
    ),
    "special_token": re2.compile(
        r"(?i)\b(?:special|chat template|tokeni[sz]|tokens?\b|delimiter|chatml|fine-?tun)"
    ),
    "tool_markup": re2.compile(r"(?i)\b(?:tool calls?|function calls?|function calling|xml|schema|tags?)\b"),
    "unfilled_value": re2.compile(
        r"(?i)\b(?:javascript|typescript|tostring|console|coerc|stringif|object's)"
    ),
    "lorem_ipsum": re2.compile(r"(?i)\b(?:placeholder|dummy|filler|typesetting|cicero)\b"),
}


class KnownFailureEvaluator(Evaluator):
    """Fails on text that no user should see: unfilled templates, special tokens, raw tool calls, stack
    traces, provider errors, leaked prompts, endless loops.

    It does not fail if the text is code, if the answer is about such texts, or if the input contains the same
    text.
    """

    name = "known_failure"
    labels = ("error_type",)
    reads_text = True
    patterns: Mapping[str, str] = {name: _IN_LINES + pattern for name, pattern in _PATTERNS.items()}  # type: ignore[misc]
    failure_text = "answers matched a known failure"
    failing_example = {"output": "Dear {{customer_name}}, your parcel is on its way."}
    signals_loop = True

    def depends_only_on_labels(self, event: Any) -> bool:
        """Return whether the call failed or has no text that could contain a loop."""
        return bool(event.error_type) or not event.output

    def __call__(self, event: Any, hits: Collection[str]) -> Verdict:
        """Fail with the kind of failure as reason."""
        if event.error_type:
            return SKIPPED_ERROR
        output = event.output
        if not output:
            return SKIPPED_NO_TEXT
        if hits:
            text = without_code(text_to_scan(output).encode()).decode()
            for kind in _PATTERNS:
                if kind in hits and _occurs(kind, text, event):
                    return failed(f"known failure: {kind}")
        if ends_in_loop(output) and not _asked_to_repeat(event.input):
            return failed("known failure: repetition")
        return PASSED


_COMPILED = {name: re2.compile(_IN_LINES + pattern) for name, pattern in _PATTERNS.items()}


def _occurs(kind: str, text: str, event: Any) -> bool:
    match = _COMPILED[kind].search(text)
    if match is None or (event.input and match[0].strip() in event.input):
        return False
    if (topic := _TOPIC_WORDS.get(kind)) and topic.search(text[: match.start()] + " " + text[match.end() :]):
        return False
    check = _EXACT_CHECKS.get(kind)
    return check is None or check(match[0], text, event)


def _is_tool_call(matched: str, text: str, event: Any) -> bool:
    if matched.lstrip()[:1] not in ("{", "["):
        return True
    value = _parsed(text)
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return False
    inner: dict[str, Any] = value["function"] if isinstance(value.get("function"), dict) else value
    return "name" in inner and ("arguments" in inner or "parameters" in inner) and len(inner) <= 4


def _is_error(matched: str, text: str, event: Any) -> bool:
    if not matched.lstrip().startswith("{"):
        return len(text) < 2_000
    value = _parsed(text)
    if not isinstance(value, dict):
        return False
    error = value.get("error", value.get("errors"))
    if isinstance(error, list) and error:
        error = error[0]
    if isinstance(error, dict):
        return "message" in error or "code" in error
    if isinstance(error, str):
        return bool(error) and value.keys() <= _ERROR_KEYS
    return (
        value.keys() <= _ERROR_KEYS
        and _ERROR_WORDS.search(str(value.get("detail", value.get("message", "")))) is not None
    )


_ERROR_KEYS = {
    "error",
    "error_description",
    "message",
    "detail",
    "code",
    "status",
    "statusCode",
    "type",
    "object",
    "param",
    "path",
    "timestamp",
    "request_id",
}
_ERROR_WORDS = re2.compile(
    r"(?i)error|rate limit|unauthorized|forbidden|timed? ?out|overloaded|too many requests|not found|invalid"
    r" api key|unavailable"
)


def _is_leak(matched: str, text: str, event: Any) -> bool:
    if matched.startswith("#"):
        return True
    return "my" in matched.lower() or _INSTRUCTS.search(text) is not None


def _is_prose(matched: str, text: str, event: Any) -> bool:
    return _CODE_LINE.search(text) is None


_CODE_LINE = re2.compile(
    r"(?m)[;{]\s*$|^\s*- [\w.-]+:|^\s*(?:def|class|import|from|function|const|let|var|if|for|#include|- name:"
    r"|apiVersion:|export"
    r"|return)\b[^.!?]*$|</?[a-z]+[ >]|^\s*[\w.-]+:\s*[\"'{\[]|\{%"
)
_EXACT_CHECKS: dict[str, Callable[[str, str, Any], bool]] = {
    "placeholder": _is_prose,
    "tool_markup": _is_tool_call,
    "provider_error": _is_error,
    "prompt_leak": _is_leak,
}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _asked_to_repeat(prompt: str | None) -> bool:
    return prompt is not None and any(
        word in prompt.lower() for word in ("repeat", " times", "wiederhol", "répét", "repit", "ripet")
    )
