"""Detect well-known failures: templates, special tokens, raw tool calls, stack traces, loops."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from typing import Any

import re2

from monitor.evaluators.interface import Evaluator, Parameters
from monitor.evaluators.json_answer import JsonEvaluator, decode_json
from monitor.evaluators.json_failures import is_error_body, is_tool_call_json
from monitor.evaluators.repetition import has_loop
from monitor.evaluators.text_scan import text_to_scan, without_code
from monitor.evaluators.verdict import PASSED, SKIPPED_ERROR, SKIPPED_NO_TEXT, Verdict, failed

_PATTERNS = {
    "placeholder": (
        r"(?:^|[^${}\\^\w])\{\{\s*[A-Za-z_][\w. ]{0,40}\}\}"
        # behind a greeting also the forms that code has elsewhere: {name}, ${user.name}, %NAME%, <%= name %>
        r"|^\s*(?i:hello|hi|hey|dear|hallo|liebe[rs]?|guten tag|bonjour|chère?|hola|estimad[oa]|ciao|gentile|olá|hej|beste|привет|здравствуйте),?"
        r" (?:(?i:mr|mrs|ms|herr|frau|m|mme|sr|sra)\.? )?(?:[$#]?\{\s*[A-Za-z_][\w. ]{0,40}\}|%[A-Za-z_]{2,40}%|%\([a-z_]{1,40}\)s"
        r"|<%=[^%\n]{1,60}%>|<<\s*[A-Za-z_][\w. ]{0,40}>>|\[\[[^\[\]\n]{1,40}\]\]|__[A-Za-z_]{2,40}__)"
    ),
    "tool_markup": (
        # by shape: <tool_call>, <minimax:tool_call>, <|tool_call_begin|>, [TOOL_CALLS], <function=, <arg_key>
        r"</?(?:[\w-]{1,20}[:_])?(?:tool_?calls?|function_?calls?|tool_?use|tool_?(?:response|result|output)s?"
        r"|tool_code|invoke|arg_key|arg_value)(?:_(?:begin|start|end|sep))?(?:\s[^<>\n]{0,80})?>"
        r"|<(?:function|parameter|tool)=|<(?:invoke|function|parameter) name=|<[|｜]/?tool[^|｜<>\s]{0,40}[|｜]>"
        r"|\[/?(?:TOOL_CALLS?|TOOL_RESULTS?|TOOL_CONTENT|TOOL_REQUEST|AVAILABLE_TOOLS)\]|\bto=functions\.|^functions\.\w+:\d"
        r"|\n\s*\{\s*\"name\":\s*\"[a-z_][\w.-]{0,60}\",\s*\"(?:arguments|parameters)\":\s*[{\"]"
        r"|^Action: *[^\n]{1,80}\n+Action Input:|\A\s*\[[a-z_][\w.]{0,60}\(\w+=[^\n]*\)\]\s*\z"
        r"|\A\s*(?:\[\s*)?\{\s*\"(?:name|type|id|function|arguments|parameters|tool_calls|action|tool|tool_name)\""
        r"|\A\s*functools\[\{"
    ),
    "tool_fence": r"^```(?:tool_code|tool_calls?|tool_outputs?)\b",
    "special_token": (
        # by shape: <|im_end|>, <｜end▁of▁sentence｜>, <unused12>, [UNK], bytes and blanks of a tokenizer
        r"<[|｜][^\s|｜<>]{1,48}[|｜]>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_(?:turn|image|audio)>|</s>\s*(?:<s>\s*)*\z"
        r"|\[\|[a-z_]{2,30}\|\]|<(?:fim_(?:prefix|middle|suffix|pad)|file_sep|reponame|gh_stars|filename|sop|eop|end_of_utterance)>"
        r"|\[(?:gMASK|sMASK|MASK|UNUSED_TOKEN_\d+)\]|<(?:EOS|BOS|PAD|UNK)_TOKEN>|ĊĊ|âĢ[Ļľĵĳĺĸ]"
        r"|\A\s*<s>[ \n\[]|<(?:bos|eos|pad|unk|cls|sep)>|<(?:extra_id_|unused|reserved_|reserved_special_token_|dummy)\d+>"
        r"|<\|(?:tool_call|tool_response|channel|turn|think)>|<(?:tool_call|tool_response|channel|turn)\|>"
        r"|\[(?:PAD|CLS|SEP|UNK|EOS|BOS)\]|(?:<0x[0-9A-Fa-f]{2}>){2}|(?:[Ġ▁][A-Za-z]{1,20}){3}|\x{FFFD}{5}"
    ),
    "stack_trace": (
        r"\A\s*Traceback \(most recent call last\)|\A\s*(?:Uncaught |Unhandled |Caused by: |Unhandled exception\. )?(?:[A-Za-z_.]+"
        r"(?:Error|Exception))(?:: [^\n]*)?\n\s+at |\A\s*Exception in thread"
        r"|\A\s*panic: [^\n]*\n+(?:\[[^\n]*\n+)?goroutine \d+|\A\s*thread '[^'\n]{1,60}' panicked at "
        r"|\A\s*(?:PHP )?Fatal error: +Uncaught |\A\s*[\w./-]{1,120}\.rb:\d+:in "
    ),
    "unfilled_value": (
        r"\A\s*(?i:undefined|nan|\[object Object\]|<nil>|\[object promise\])\s*\z|\[object Object\]"
        # Nan and Null are names: only the spellings of programming languages count
        r"|^\s*(?i:hello|hi|dear|hallo|bonjour) (?:undefined|null|NULL|none|None|nan|NaN)\s*(?:[,!.:;\n]|\z)"
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
        r"|<html>\s*<head>\s*<title>\d{3} |upstream (?:connect error|request timeout)|no healthy upstream"
        r"|agent stopped due to |sorry, need more steps to process this request|invalid format: missing 'action"
        r"|could not parse (?:llm|model) output"
        r"|(?:an (?:internal |unexpected )?error (?:has )?occurred|something went wrong)\b[^\n]{0,160}\s*\z)"
    ),
    "prompt_leak": (
        r"(?i)\A\s*(?:system(?: prompt)?: ?)?you are (?:an? |the )?[\w ,'-]{0,60}\b(?:assistant|chat"
        r" ?bot|agent|AI"
        r"|language model)\b|^#{2,3} (?:instruction|response|system|input|assistant|user|human):\s*$"
        r"|\b(?:here (?:is|are)|these are) my (?:system prompt|(?:system |initial )instructions)\b|\bmy"
        r" system prompt (?:is"
        r"|says|reads)\b"
    ),
    "lorem_ipsum": r"(?i)\blorem ipsum dolor\b",
}
_IN_LINES = "(?m)"
_REPORTED = {"tool_fence": "tool_markup"}
_MARKUP = ("tool_markup", "special_token")
_MAX_MATCHES = 50
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
        r"(?i)\b(?:special tokens?|control tokens?|chat template|tokeni[sz]|delimiter|chatml|fine-?tun"
        r"|(?:end|start|stop|eos|bos)(?:[- ]of[- ]\w+)?[- ]tokens?)"
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
    text, or mentions the markup in a sentence. Where `json` or `json_schema` is configured, valid JSON passes.
    """

    name = "known_failure"
    version = "2"
    labels = ("error_type",)
    reads_text = True
    patterns: Mapping[str, str] = {name: _IN_LINES + pattern for name, pattern in _PATTERNS.items()}  # type: ignore[misc]
    failure_text = "answers matched a known failure"
    failing_example = {"output": "Dear {{customer_name}}, your parcel is on its way."}
    signals_loop = True

    def __init__(self, parameters: Parameters | None = None) -> None:
        super().__init__(parameters)
        self._expects_json = False

    def identity(self) -> dict[str, Any]:
        """Return the identity; a feature whose answers are JSON has another statistic."""
        return super().identity() | ({"expects_json": True} if self._expects_json else {})

    def join(self, evaluators: Collection[Evaluator]) -> None:
        """Where JSON is configured, a valid answer does not fail for its form."""
        self._expects_json = any(isinstance(evaluator, JsonEvaluator) for evaluator in evaluators)

    def depends_only_on_labels(self, event: Any) -> bool:
        """Return whether the call failed or has no text that could contain a loop."""
        return bool(event.error_type) or not event.output

    def suspects(self, events: Sequence[Any]) -> Sequence[int]:
        """Return those whose output is a loop."""
        return [index for index, event in enumerate(events) if has_loop(event.output)]

    def __call__(self, event: Any, hits: Collection[str]) -> Verdict:
        """Fail with the kind of failure as reason."""
        if event.error_type:
            return SKIPPED_ERROR
        output = event.output
        if not output:
            return SKIPPED_NO_TEXT
        if hits:
            whole = text_to_scan(output)
            text = without_code(whole.encode()).decode()
            for kind in _PATTERNS:
                if kind not in hits or not _occurs(kind, whole if kind == "tool_fence" else text, event):
                    continue
                if self._expects_json and decode_json(output)[0] is PASSED:
                    return PASSED
                return failed(f"known failure: {_REPORTED.get(kind, kind)}")
        if has_loop(output) and not _asked_to_repeat(event.input):
            if self._expects_json and decode_json(output)[0] is PASSED:
                return PASSED
            return failed("known failure: repetition")
        return PASSED


_COMPILED = {name: re2.compile(_IN_LINES + pattern) for name, pattern in _PATTERNS.items()}


def _occurs(kind: str, text: str, event: Any) -> bool:
    topic, check = _TOPIC_WORDS.get(kind), _EXACT_CHECKS.get(kind)
    for match in islice(_COMPILED[kind].finditer(text), _MAX_MATCHES):
        if event.input and match[0].strip() in event.input:
            continue
        begins_line = kind in _MARKUP and text[match.start() - 1 : match.start()] in ("", "\n")
        if topic and not begins_line and topic.search(text[: match.start()] + " " + text[match.end() :]):
            continue
        if check is None or check(match, text):
            return True
    return False


def _is_tool_call(match: Any, text: str) -> bool:
    if match.start() and match[0].startswith("\n"):  # behind the text
        return True
    is_json = match[0].lstrip().startswith("{") or match[0].rstrip().endswith('"')
    return not is_json or is_tool_call_json(text)


def _is_error(match: Any, text: str) -> bool:
    return is_error_body(text) if match[0].lstrip().startswith("{") else len(text) < 2_000


def _is_leak(match: Any, text: str) -> bool:
    matched = match[0]
    if matched.startswith("#"):
        return True
    return "my" in matched.lower() or _INSTRUCTS.search(text) is not None


def _is_prose(match: Any, text: str) -> bool:
    return _CODE_LINE.search(text) is None and _FORMULA.search(text) is None


def _is_no_mention(match: Any, text: str) -> bool:
    """Return False if the text only mentions a token: as a word of a sentence, or in quotation marks."""
    before, after = text[: match.start()], text[match.end() :]
    line = before.rpartition("\n")[2]
    if line[-1:] in _QUOTES and after[:1] in _QUOTES and line and after:
        return False
    if match[0].startswith("</s>") and "<s>" in before:  # struck text of HTML
        return False
    if not line and _SUBJECT_OF_A_SENTENCE.match(after):
        return False
    in_sentence = line[-1:] == " " and (line[-2:-1].isalnum() or line[-2:-1] == ",")
    return not (in_sentence and _SENTENCE_GOES_ON.match(after))


_CODE_LINE = re2.compile(
    r"(?m)[;{]\s*$|^\s*- [\w.-]+:|^\s*(?:def|class|import|from|function|const|let|var|if|for|#include|- name:"
    r"|apiVersion:|export"
    r"|return)\b[^.!?]*$|</?[a-z]+[ >]|^\s*[\w.-]+:\s*[\"'{\[]|\{%"
)
_FORMULA = re2.compile(r"\\[A-Za-z]+[{^_ ]|\$[^$\n]*\{\{")  # LaTeX doubles braces, too
_QUOTES = "\"'`“”‘’«»„()"
_SENTENCE_GOES_ON = re2.compile(r"[.,;:!?)](?:\s|\z)| [a-z(]")
_SUBJECT_OF_A_SENTENCE = re2.compile(
    r" (?:(?:and|or) \S{3,40} )?(?:is|are|was|were|means?|marks?|begins?|ends?|opens?|closes?|wraps?|denotes?|stands? for|separates?"
    r"|tells?|signals?|indicates?) [a-z]"
)
_EXACT_CHECKS: dict[str, Callable[[Any, str], bool]] = {
    "placeholder": _is_prose,
    "tool_markup": lambda match, text: _is_tool_call(match, text) and _is_no_mention(match, text),
    "special_token": _is_no_mention,
    "provider_error": _is_error,
    "prompt_leak": _is_leak,
}


def _asked_to_repeat(prompt: str | None) -> bool:
    return prompt is not None and any(
        word in prompt.lower() for word in ("repeat", " times", "wiederhol", "répét", "repit", "ripet")
    )
