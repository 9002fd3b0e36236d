"""Recognize JSON that no user should see: the error body of an API, and a call of a tool written as text.

Answers are JSON, too, and have a ``message``, a ``status`` or a ``name``. So the whole shape decides, never one
key.
"""

from __future__ import annotations

import json
from typing import Any

import re2

_ENVELOPE = frozenset(
    {
        *(
            "error",
            "errors",
            "error_description",
            "error_code",
            "message",
            "detail",
            "code",
            "status",
            "statusCode",
        ),
        *("status_code", "type", "object", "param", "path", "timestamp", "request_id", "requestId", "title"),
        *(
            "data",
            "success",
            "documentation_url",
            "traceId",
            "instance",
            "reason",
            "metadata",
            "__type",
            "Code",
            "Message",
        ),
    }
)
"""Keys of error bodies, beside the error itself."""
_ERROR_FIELDS = frozenset(
    {
        *(
            "message",
            "type",
            "code",
            "param",
            "status",
            "details",
            "metadata",
            "request_id",
            "innererror",
            "errors",
        ),
        *(
            "inner_error",
            "reason",
            "target",
            "http_code",
            "status_code",
            "provider",
            "name",
            "failed_generation",
        ),
    }
)
"""Keys of the error inside, as OpenAI, Anthropic, Google, Azure and the servers of open models have them."""
_IDENTIFYING = ("type", "code", "status", "param", "http_code", "status_code")
_ERROR_WORDS = re2.compile(
    r"(?i)\b(?:errors?|exceptions?|rate limit|unauthorized|forbidden|timed? ?out|overloaded|too many requests"
    r"|not found|invalid|unavailable|failed|denied|quota|exceed(?:s|ed)|not (?:allowed|supported)|missing|expired)\b"
    r"|_error\b|Error\b"
)
# whole sentences that servers and gateways send without a code
_SERVER_MESSAGE = re2.compile(
    r"(?i)\A\s*(?:internal(?: server)? error|too many requests|rate (?:limit|exceeded)|service (?:is )?(?:temporarily )?unavailable"
    r"|bad gateway|gateway time-?out|(?:endpoint )?request timed out|unauthorized|forbidden|limit exceeded|not found"
    r"|invalid (?:api key|authentication)|missing authentication token|incorrect api key|you exceeded your current quota"
    r"|the (?:model|server|engine) (?:is|had|`)|overloaded|no healthy upstream|upstream)[^\n]{0,200}\s*\z"
)
_FUNCTION_NAME = re2.compile(r"[A-Za-z_][\w.:-]{0,63}")
_LOWER_NAME = re2.compile(r"[a-z_][\w.:-]{0,63}")
_ARGUMENT_KEYS = ("parameters", "action_input", "args", "tool_input", "tool_args")
_HTTP_ERROR = range(400, 600)


def is_error_body(text: str) -> bool:
    """Return whether a text is the error body of an API.

    >>> is_error_body('{"error": {"message": "Rate limit reached", "type": "requests"}}')
    True
    >>> is_error_body('{"message": "Your order was not found. Please check its number."}')
    False
    """
    value = parsed(text)
    if not isinstance(value, dict) or not value.keys() <= _ENVELOPE:
        return False
    if value.get("object") == "error":  # vLLM
        return "message" in value
    error = value.get("error", value.get("errors"))
    if isinstance(error, list) and error:
        error = error[0]
        if isinstance(error, dict) and isinstance(error.get("message"), str):  # GraphQL
            return not error.keys().isdisjoint(("locations", "extensions", "code", "type", "path", "status"))
    if isinstance(error, dict):
        message = error.get("message")
        return (
            isinstance(message, str)
            and error.keys() <= _ERROR_FIELDS
            and (any(name in error for name in _IDENTIFYING) or _ERROR_WORDS.search(message) is not None)
        )
    if isinstance(error, str):
        return (
            "error_description" in value
            or _ERROR_WORDS.search(error) is not None
            or ("message" in value and _states_http_error(value))
        )
    message = value.get("message", value.get("detail", value.get("Message")))
    if not isinstance(message, str):
        return False
    if _states_http_error(value):
        return True
    return _SERVER_MESSAGE.search(message) is not None and len(message) < 100 and len(value) <= 3


def is_tool_call_json(text: str) -> bool:
    """Return whether a text is a call of a tool as JSON.

    >>> is_tool_call_json('{"name": "get_weather", "arguments": {"city": "Graz"}}')
    True
    >>> is_tool_call_json('{"name": "Plan A", "parameters": {"rate": 0.1}}')
    False
    """
    value = parsed(text)
    if isinstance(value, dict) and isinstance(value.get("tool_calls"), list):
        value = value["tool_calls"]
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return False
    inner: dict[str, Any] = value["function"] if isinstance(value.get("function"), dict) else value
    name = next((inner[key] for key in ("name", "action", "tool", "tool_name") if key in inner), None)
    keys = inner.keys()
    if not isinstance(name, str) or len(inner) > 5:
        return False
    if "arguments" in keys:
        return isinstance(inner["arguments"], dict | str) and _FUNCTION_NAME.fullmatch(name) is not None
    if inner.get("type") in ("tool_use", "tool_call") and isinstance(inner.get("input"), dict):  # Anthropic
        return _FUNCTION_NAME.fullmatch(name) is not None
    given = next((inner[key] for key in _ARGUMENT_KEYS if key in keys), None)
    return isinstance(given, dict | str) and _LOWER_NAME.fullmatch(name) is not None


def parsed(text: str) -> Any:
    """Return the value of a text that is JSON; None for any other text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _states_http_error(value: dict[str, Any]) -> bool:
    for name in ("statusCode", "status_code", "status", "code"):
        number = value.get(name)
        if isinstance(number, str) and number.isdigit():
            number = int(number)
        if isinstance(number, int) and number in _HTTP_ERROR:
            return True
    return False
