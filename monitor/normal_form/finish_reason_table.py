"""Finish reasons of all providers, as data: the meaning of each reason, and of words in other reasons.

Names are in the spelling of ``canonical_name``: lower case, words joined by underscores. Each list names its
source. A reason that is on no list is read by its words; without a known word it is ``unknown``.
"""

from __future__ import annotations

_STOP = (
    *(
        "stop",
        "end_turn",
        "stop_sequence",
        "completed",
        "complete",
        "completion",
        "finish",
        "finished",
        "done",
    ),
    # open models: llama.cpp (stop_type), TGI, Together, AI21, Titan, Replicate
    *("eos", "eos_token", "stopped_eos", "endoftext", "end_of_text", "word", "stopped_word", "stop_word"),
    *(
        "stop_token",
        "end_token",
        "end_id",
        "stop_criteria_met",
        "success",
        "succeeded",
        "normal",
        "end",
        "ended",
        "ok",
        "stopped",
    ),
    *("message_complete", "turn_complete", "generation_complete", "stop_str", "stop_string"),
)
_LENGTH = (
    # OpenAI, Mistral, Anthropic, Bedrock, Google, Cohere; OpenAI Responses: status, incomplete_details.reason
    *("length", "max_tokens", "model_length", "max_length", "incomplete", "max_output_tokens", "max_token"),
    *("max_completion_tokens", "model_context_window_exceeded", "context_length_exceeded", "token_limit"),
    # llama.cpp, xAI, Cohere v1 (the context was full), Reka, TensorRT-LLM
    *("limit", "stopped_limit", "max_len", "max_context", "error_limit", "context", "max_new_tokens"),
    *("truncated", "output_limit", "length_limit", "token_limit_reached", "num_predict", "max_tool_calls"),
)
_TOOL_CALL = (
    *("tool_calls", "tool_call", "tool_use", "function_call", "function_calls", "tools", "tool_execution"),
    # OpenAI Assistants: a run waits for the results of its calls
    "requires_action",
    # Anthropic: the turn goes on in the next call
    *("pause_turn", "compaction", "tool_plan", "mcp_approval_request"),
)
_CONTENT_FILTER = (
    # OpenAI, Azure; Bedrock; Google, also its block reasons; Cohere v1; Zhipu, Hunyuan
    *("content_filter", "content_filtered", "guardrail_intervened", "safety", "recitation", "blocklist"),
    *("prohibited_content", "spii", "model_armor", "jailbreak", "escalation", "image_safety", "error_toxic"),
    *("image_prohibited_content", "image_recitation", "content_blocked", "response_rejected", "sensitive"),
    *("blocked", "moderation", "moderated", "guardrail", "data_inspection_failed", "responsible_ai_policy"),
)
_REFUSAL = ("refusal", "refused")
_ERROR = (
    # Cohere, Mistral, Vercel AI SDK, LiteLLM; OpenAI Responses; DeepSeek; Zhipu; Bedrock
    *("error", "failed", "failure", "timeout", "insufficient_system_resource", "network_error"),
    *("malformed_model_output", "malformed_tool_use", "expired"),
    # Google: the answer or its call cannot be used
    *("malformed_function_call", "malformed_tool_call", "malformed_response", "unexpected_tool_call"),
    *("too_many_tool_calls", "missing_thought_signature", "language", "image_other", "no_image"),
    # vLLM ended a loop; Ollama answered without generating; watsonx, xAI: out of time; xAI
    *("repetition", "load", "unload", "time_limit", "invalid"),
)
_CANCELLED = (
    # Cohere v1, OpenAI Responses and Realtime, vLLM and SGLang (the client has gone), watsonx
    *("user_cancel", "cancelled", "canceled", "cancel", "abort", "aborted", "client_cancelled"),
    *("turn_detected", "interrupted", "user_abort", "user_stopped", "client_disconnect", "stop_requested"),
)
_UNKNOWN = (
    # reasons that say nothing: Google, Vercel AI SDK, watsonx
    *(
        "other",
        "unknown",
        "finish_reason_unspecified",
        "unspecified",
        "not_finished",
        "in_progress",
        "queued",
    ),
    "block_reason_unspecified",
)

FINISH_REASONS: dict[str, str] = {
    name: kind
    for kind, names in (
        ("stop", _STOP),
        ("length", _LENGTH),
        ("tool_call", _TOOL_CALL),
        ("content_filter", _CONTENT_FILTER),
        ("refusal", _REFUSAL),
        ("error", _ERROR),
        ("cancelled", _CANCELLED),
        ("unknown", _UNKNOWN),
    )
    for name in names
}
"""Canonical name -> value of ``Finish``.

Source: the API references of OpenAI, Anthropic, Google (``Candidate.FinishReason``), AWS (Converse
``stopReason``), Cohere v1 and v2, Mistral, DeepSeek, Zhipu, DashScope, xAI and watsonx; the enumerations of
vLLM, SGLang, llama.cpp, TGI, Ollama, LiteLLM, the Vercel AI SDK and LangChain; as of November 2026.
"""

PROVIDER_WORDS = frozenset(
    {"provider", "server", "upstream", "backend", "engine", "internal", "system", "worker"}
)
"""Words that say who cancelled: then the answer is broken off, which is a failure."""

WORDS: tuple[tuple[str, frozenset[str]], ...] = (
    (
        "cancelled",
        frozenset({"cancel", "cancelled", "canceled", "abort", "aborted", "interrupted", "disconnect"}),
    ),
    (
        "error",
        frozenset(
            {
                *(
                    "error",
                    "errors",
                    "err",
                    "failed",
                    "failure",
                    "fail",
                    "fault",
                    "exception",
                    "crash",
                    "crashed",
                ),
                *("malformed", "invalid", "unexpected", "missing", "corrupt", "corrupted", "unparsable"),
                *("unsupported", "unavailable", "overloaded", "overload", "timeout", "deadline", "timed"),
                *(
                    "insufficient",
                    "exhausted",
                    "quota",
                    "rate",
                    "network",
                    "connection",
                    "repetition",
                    "many",
                    "unloaded",
                    "oom",
                    "memory",
                ),
            }
        ),
    ),
    (
        "content_filter",
        frozenset(
            {
                *("filter", "filtered", "filters", "safety", "unsafe", "blocked", "block", "blocklist"),
                *("prohibited", "moderation", "moderated", "guardrail", "guardrails", "sensitive", "policy"),
                *(
                    "toxic",
                    "toxicity",
                    "profanity",
                    "hate",
                    "violence",
                    "sexual",
                    "recitation",
                    "copyright",
                    "jailbreak",
                    "spii",
                    "pii",
                    "harm",
                    "harmful",
                    "flagged",
                ),
                *("censored", "violation", "compliance", "inspection", "armor"),
            }
        ),
    ),
    ("refusal", frozenset({"refusal", "refused", "refuse", "declined"})),
    ("tool_call", frozenset({"tool", "tools", "function", "functions", "toolcall", "toolcalls"})),
    ("stop", frozenset({"eos", "eot"})),  # `eos_token_id`: a token that ends an answer is no limit
    (
        "length",
        frozenset(
            {
                *(
                    "length",
                    "max",
                    "maximum",
                    "tokens",
                    "token",
                    "limit",
                    "truncated",
                    "truncation",
                    "context",
                ),
                *("window", "budget", "len", "overflow", "incomplete"),
            }
        ),
    ),
    (
        "stop",
        frozenset(
            {"stop", "stopped", "complete", "completed", "eos", "finished", "done", "success", "succeeded"}
        ),
    ),
)
"""Words of a reason that is on no list, the worst meaning first: the first entry with such a word decides."""
