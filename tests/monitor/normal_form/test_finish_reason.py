"""A finish reason has one meaning, however its provider or a library on the way spells it.

The lists are those of the providers' API references; see ``monitor/normal_form/finish_reason_table.py``.
"""

from __future__ import annotations

import doctest

import pytest

from monitor.normal_form import finish_reason
from monitor.normal_form.finish_reason import Finish, finish_of
from monitor.normal_form.finish_reason_table import FINISH_REASONS

DOCUMENTED = {
    "OpenAI chat": {
        "stop": Finish.STOP,
        "length": Finish.LENGTH,
        "tool_calls": Finish.TOOL_CALL,
        "function_call": Finish.TOOL_CALL,
        "content_filter": Finish.CONTENT_FILTER,
    },
    "OpenAI Responses": {
        "completed": Finish.STOP,
        "incomplete": Finish.LENGTH,
        "max_output_tokens": Finish.LENGTH,
        "failed": Finish.ERROR,
        "cancelled": Finish.CANCELLED,
    },
    "Anthropic": {
        "end_turn": Finish.STOP,
        "stop_sequence": Finish.STOP,
        "max_tokens": Finish.LENGTH,
        "model_context_window_exceeded": Finish.LENGTH,
        "tool_use": Finish.TOOL_CALL,
        "pause_turn": Finish.TOOL_CALL,
        "refusal": Finish.REFUSAL,
    },
    "Gemini": {
        "STOP": Finish.STOP,
        "MAX_TOKENS": Finish.LENGTH,
        "SAFETY": Finish.CONTENT_FILTER,
        "RECITATION": Finish.CONTENT_FILTER,
        "BLOCKLIST": Finish.CONTENT_FILTER,
        "PROHIBITED_CONTENT": Finish.CONTENT_FILTER,
        "SPII": Finish.CONTENT_FILTER,
        "MODEL_ARMOR": Finish.CONTENT_FILTER,
        "IMAGE_SAFETY": Finish.CONTENT_FILTER,
        "IMAGE_PROHIBITED_CONTENT": Finish.CONTENT_FILTER,
        "IMAGE_RECITATION": Finish.CONTENT_FILTER,
        "LANGUAGE": Finish.ERROR,
        "MALFORMED_FUNCTION_CALL": Finish.ERROR,
        "MALFORMED_RESPONSE": Finish.ERROR,
        "UNEXPECTED_TOOL_CALL": Finish.ERROR,
        "TOO_MANY_TOOL_CALLS": Finish.ERROR,
        "MISSING_THOUGHT_SIGNATURE": Finish.ERROR,
        "NO_IMAGE": Finish.ERROR,
        "IMAGE_OTHER": Finish.ERROR,
        "OTHER": Finish.UNKNOWN,
        "FINISH_REASON_UNSPECIFIED": Finish.UNKNOWN,
    },
    "Bedrock Converse": {
        "guardrail_intervened": Finish.CONTENT_FILTER,
        "content_filtered": Finish.CONTENT_FILTER,
        "malformed_model_output": Finish.ERROR,
        "malformed_tool_use": Finish.ERROR,
    },
    "Cohere": {
        "COMPLETE": Finish.STOP,
        "STOP_SEQUENCE": Finish.STOP,
        "TOOL_CALL": Finish.TOOL_CALL,
        "ERROR": Finish.ERROR,
        "ERROR_TOXIC": Finish.CONTENT_FILTER,
        "ERROR_LIMIT": Finish.LENGTH,
        "TIMEOUT": Finish.ERROR,
        "USER_CANCEL": Finish.CANCELLED,
    },
    "Mistral": {"model_length": Finish.LENGTH, "error": Finish.ERROR},
    "DeepSeek": {"insufficient_system_resource": Finish.ERROR},
    "Zhipu GLM": {"sensitive": Finish.CONTENT_FILTER, "network_error": Finish.ERROR},
    "Qwen, DashScope": {"null": Finish.NONE},
    "vLLM": {"abort": Finish.CANCELLED, "repetition": Finish.ERROR},
    "llama.cpp": {"eos": Finish.STOP, "word": Finish.STOP, "limit": Finish.LENGTH},
    "Ollama": {"load": Finish.ERROR, "unload": Finish.ERROR},
    "TGI": {"eos_token": Finish.STOP, "eos_token_id": Finish.STOP},
    "watsonx": {"time_limit": Finish.ERROR, "token_limit": Finish.LENGTH, "not_finished": Finish.UNKNOWN},
    "xAI": {"REASON_STOP": Finish.STOP, "REASON_MAX_LEN": Finish.LENGTH, "REASON_MAX_CONTEXT": Finish.LENGTH},
    "Vercel AI SDK": {
        "content-filter": Finish.CONTENT_FILTER,
        "tool-calls": Finish.TOOL_CALL,
        "other": Finish.UNKNOWN,
        "unknown": Finish.UNKNOWN,
    },
    "Titan": {"FINISH": Finish.STOP, "CONTENT_FILTERED": Finish.CONTENT_FILTER},
    "HyperCLOVA": {"end_token": Finish.STOP, "stop_before": Finish.STOP},
    "OpenAI Assistants": {"requires_action": Finish.TOOL_CALL, "expired": Finish.ERROR},
    "LM Studio": {
        "eosFound": Finish.STOP,
        "maxPredictedTokensReached": Finish.LENGTH,
        "contextLengthReached": Finish.LENGTH,
        "userStopped": Finish.CANCELLED,
        "modelUnloaded": Finish.ERROR,
        "toolCalls": Finish.TOOL_CALL,
    },
    "TensorRT-LLM": {"END_ID": Finish.STOP, "STOP_WORDS": Finish.STOP, "TIMED_OUT": Finish.ERROR},
    "AI21": {"endoftext": Finish.STOP},
}
SPELLINGS = {
    "length.": Finish.LENGTH,
    "RunStatus.REQUIRES_ACTION": Finish.TOOL_CALL,
    '{"unified": "length", "raw": "max_tokens"}': Finish.LENGTH,
    '{"type": "abort", "message": "The request timed out"}': Finish.ERROR,
    '{"type": "abort", "message": "The client has gone"}': Finish.CANCELLED,
    "FinishReason.MAX_TOKENS": Finish.LENGTH,
    "FinishReason::ToolCalls": Finish.TOOL_CALL,
    "<FinishReason.SAFETY: 'SAFETY'>": Finish.CONTENT_FILTER,
    "StopReason.end_turn": Finish.STOP,
    "FINISH_REASON_MAX_TOKENS": Finish.LENGTH,
    "STOP_REASON_TOOL_USE": Finish.TOOL_CALL,
    "maxOutputTokens": Finish.LENGTH,
    "contentFiltered": Finish.CONTENT_FILTER,
    "guardrailIntervened": Finish.CONTENT_FILTER,
    "endTurn": Finish.STOP,
    "Max Tokens": Finish.LENGTH,
    "  Stop\n": Finish.STOP,
    "ContentFilter": Finish.CONTENT_FILTER,
    "toolcalls": Finish.TOOL_CALL,
    '["stop"]': Finish.STOP,
    "['max_tokens']": Finish.LENGTH,
    "stop, length": Finish.LENGTH,
    '["tool_calls", "stop"]': Finish.TOOL_CALL,
    '["stop", "content_filter"]': Finish.CONTENT_FILTER,
    "[<FinishReason.MALFORMED_FUNCTION_CALL: 10>]": Finish.ERROR,
    '{"type": "length", "length": 128}': Finish.LENGTH,
    '{"type": "stop", "matched": 151645}': Finish.STOP,
    "finish_reason=length": Finish.LENGTH,
    "openai.stop": Finish.STOP,
    '"stop"': Finish.STOP,
    "": Finish.NONE,
    "None": Finish.NONE,
    "[]": Finish.NONE,
    "[null]": Finish.NONE,
}
BY_THEIR_WORDS = {
    "gpu_out_of_memory": Finish.ERROR,
    "model_unloaded": Finish.ERROR,
    "sexual_content": Finish.CONTENT_FILTER,
    "hate_speech_detected": Finish.CONTENT_FILTER,
    "not_blocked": Finish.UNKNOWN,
    "no_timeout": Finish.UNKNOWN,
    "upstream_error": Finish.ERROR,
    "internalServerError": Finish.ERROR,
    "rate_limit_exceeded": Finish.ERROR,
    "connection_lost": Finish.ERROR,
    "model_overloaded": Finish.ERROR,
    "deadline_exceeded": Finish.ERROR,
    "malformed_json": Finish.ERROR,
    "ERROR_MAX_TOKENS": Finish.LENGTH,
    "maxTokensError": Finish.LENGTH,
    "error_max_length": Finish.LENGTH,
    "error_token_limit_reached": Finish.LENGTH,
    "limit_error": Finish.ERROR,
    "rate_limit_error": Finish.ERROR,
    "invalid_max_tokens": Finish.ERROR,
    "error_max_turns": Finish.ERROR,
    "max_thinking_tokens": Finish.LENGTH,
    "context_limit_reached": Finish.LENGTH,
    "output_truncated": Finish.LENGTH,
    "prompt_safety_block": Finish.CONTENT_FILTER,
    "violence_filtered": Finish.CONTENT_FILTER,
    "policy_violation": Finish.CONTENT_FILTER,
    "client_cancelled": Finish.CANCELLED,
    "user_aborted": Finish.CANCELLED,
    "mcp_tool_call": Finish.TOOL_CALL,
    "model_refused": Finish.REFUSAL,
    "zorp": Finish.UNKNOWN,
    "7": Finish.UNKNOWN,
    "terror": Finish.UNKNOWN,
}


@pytest.mark.parametrize(
    ("provider", "reason", "meaning"),
    [
        (provider, reason, kind)
        for provider, reasons in DOCUMENTED.items()
        for reason, kind in reasons.items()
    ],
)
def test_each_documented_reason_of_a_provider_has_its_meaning(
    provider: str, reason: str, meaning: Finish
) -> None:
    assert finish_of(reason) is meaning, provider


@pytest.mark.parametrize(("reason", "meaning"), SPELLINGS.items())
def test_the_spelling_of_a_reason_does_not_change_its_meaning(reason: str, meaning: Finish) -> None:
    assert finish_of(reason) is meaning


@pytest.mark.parametrize(("reason", "meaning"), BY_THEIR_WORDS.items())
def test_a_reason_of_no_list_is_understood_by_its_words_or_is_unknown(reason: str, meaning: Finish) -> None:
    assert finish_of(reason) is meaning


@pytest.mark.parametrize("reason", FINISH_REASONS)
def test_a_reason_of_the_table_means_the_same_in_capitals_with_hyphens_and_in_camel_case(reason: str) -> None:
    kind = finish_of(reason)
    first, *more = reason.split("_")
    for spelling in (
        reason.upper(),
        reason.replace("_", "-"),
        reason.replace("_", " ").title(),
        first + "".join(word.title() for word in more),
        f"FinishReason.{reason.upper()}",
        f'["{reason}"]',
    ):
        assert finish_of(spelling) is kind, spelling


def test_a_very_long_reason_is_unknown_and_costs_nothing() -> None:
    assert finish_of("x," * 10_000) is Finish.UNKNOWN


def test_the_doctests_pass() -> None:
    assert doctest.testmod(finish_reason).failed == 0


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("aborted", "cancelled"),
        ("cancelled_by_client", "cancelled"),
        ("cancelled_by_provider", "error"),
        ("SERVER_ABORT", "error"),
        ("upstream-disconnect", "error"),
    ],
)
def test_an_answer_that_the_provider_cancels_is_broken_and_one_that_the_client_cancels_is_not(reason, kind):
    assert finish_of(reason).value == kind
