"""Separate the thoughts of a reasoning model from its answer.

A server with the right parser for its model returns thoughts in a field of their own. Without it they come in
the text, between tags that differ by model family; the opening tag is often part of the prompt, so only the
closing one arrives; a limit leaves the closing one out. An answer may also be *about* such tags.

Source: the reasoning parsers of vLLM and SGLang; model cards of the families in ``_NAMES`` and ``_PAIRS``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, islice

import re2

# <think> DeepSeek, Qwen, GLM, MiniMax, Hunyuan; <seed:think> Seed-OSS; <thought> EXAONE; others by prompt
_NAMES = (
    r"(?:\w{1,12}:)?(?:think|thinking|thoughts?|reasoning|reason|reflection|scratchpad|ant_?thinking"
    r"|inner_?monologue|chain_?of_?thought|cot|internal_?thoughts?|thought_?process|analysis|planning|deliberation|self_?reflection)"
)
_SPECIAL_NAMES = r"(?:think(?:ing)?|thoughts?|reasoning)"
_PAIRS = (
    (rf"<[ ]?{_NAMES}(?:\s[^<>\n]{{0,80}})?[ ]?>", rf"</[ ]?{_NAMES}[ ]?>"),
    (r"◁think▷", r"◁/think▷"),  # Kimi
    (r"\[(?:THINK(?:ING)?|REASONING|THOUGHTS?)\]", r"\[/(?:THINK(?:ING)?|REASONING|THOUGHTS?)\]"),  # Magistral
    # Sky-T1, Command A and others: <|begin_of_thought|>, <|START_THINKING|>, <|reasoning_start|>
    (rf"<[|｜](?:(?:begin|start)[_▁](?:of[_▁])?)?{_SPECIAL_NAMES}(?:[_▁](?:start|begin))?[|｜]>",
     rf"<[|｜](?:/|end[_▁](?:of[_▁])?){_SPECIAL_NAMES}[|｜]>|<[|｜]{_SPECIAL_NAMES}[_▁]end[|｜]>"),
    (r"<unused94>(?:thought\b)?", r"<unused95>"),  # MedGemma
    (r"<\|inner_prefix\|>", r"<\|inner_suffix\|>"),  # Apertus
    # gpt-oss: channels; what is not final is thought
    (r"(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)(?:[ ][^<\n]{0,60})?<\|message\|>",
     r"(?:<\|end\|>)?(?:<\|start\|>assistant)?<\|channel\|>final(?:[ ][^<\n]{0,60})?<\|message\|>"),
    (r"<\|channel>thought\b", r"<channel\|>"),  # Gemma
)  # fmt: skip
_OPENING = "|".join(opening for opening, _ in _PAIRS)
_CLOSING = "|".join(closing for _, closing in _PAIRS)
_TAG = re.compile(f"(?P<opening>{_OPENING})|(?P<closing>{_CLOSING})", re.IGNORECASE)
_BRACKETS = re.compile(r"\[/?(?i:THINK|REASONING|THOUGHT)")  # "[" alone is found much faster
# Where a tag may begin, found in linear time: no match of it contains the beginning of another tag.
_CANDIDATE = re2.compile(
    r"(?i)<[ ]?/?[ ]?(?:[\pL\pN_]{1,12}:)?(?:think|thought|reason|reflection|scratchpad|ant|inner|chain|cot|internal"
    r"|analysis|planning|deliberation|self)"
    r"|<[|｜](?:/|(?:begin|start|end)[_▁](?:of[_▁])?)?(?:think|thought|reasoning)|<\|inner_(?:prefix|suffix)\|"
    r"|<\|start\|>assistant|<\|end\|>|<\|channel|<channel\||<unused9[45]>|◁/?think▷|\[/?(?:THINK|REASONING|THOUGHT)"
)
_CODE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]+`", re.DOTALL)
_QUOTES = "\"'`“”‘’«»„()"
_SENTENCE_END = ".!?…。！？:;)]}>\"'*”’"
_ABOUT_THE_TAG = re.compile(
    r"(?:[,)\"'`”’.]\s|[ ](?:is|are|was|were|tags?|elements?|tokens?|blocks?|marks?|means?|stands?|denotes?|and|or"
    r"|tells?|begins?|opens?|starts?|wraps?|closes?|ends?|isn't|…|\.\.\.|in|at|as|for|to|around)\b)"
)
_WRAPPER = re.compile(
    r"\s*(?:<(answer|response|output|solution|final_answer|final)>(.*?)(?:</\1>\s*)?|<\|begin_of_solution\|>(.*?)(?:<\|end_of_solution\|>\s*)?"
    r"|<\|START_RESPONSE\|>(.*?)(?:<\|END_RESPONSE\|>\s*)?)\Z",
    re.DOTALL | re.IGNORECASE,
)
_TITLED = re.compile(
    r"\s*(?:analysis(?=[A-Z\W]).*?assistantfinal"  # gpt-oss without its tokens
    r"|Thinking\.\.\.[ ]*\n.*?\n\.\.\.done thinking\."  # Ollama's command line
    r"|Here is my thought process:.*?\n\W{0,4}Here is my response:"  # Granite
    r"|Here are my reasoning steps:.*?\[BEGIN FINAL RESPONSE\]"  # Apriel
    r"|#{1,3} (?:Thinking|Reasoning)\s*\n.*?\n#{1,3} (?:Final (?:Response|Answer)|Response|Answer)\s*\n"  # HuatuoGPT-o1
    r"|<details type=\"reasoning\"[^<>]*>.*?(?:</details>|\Z))",  # Open WebUI
    re.DOTALL,
)
"""Thoughts under a title or in an element of their own, at the beginning of a text."""
_TITLES = ("analysis", "Thinking...", "Here is my", "Here are my", "#", "<details")
_END_OF_TITLED = re.compile(r"\[END FINAL RESPONSE\]\s*\Z")
_END_OF_ANSWER = re.compile(r"(?:<\|(?:return|end)\|>)\s*\Z")
_MAX_TAGS = 10_000
"""Tags that are read; the thoughts of real models have one pair."""


def may_think(text: str) -> bool:
    """Return whether a text may contain thoughts; it costs a tenth of a microsecond for a text without any."""
    return (
        "<" in text
        or "◁" in text
        or ("[" in text and _BRACKETS.search(text) is not None)
        or text.startswith(_TITLES)
        or (text[:1].isspace() and text.lstrip().startswith(_TITLES))
    )


def answer_of(text: str) -> str:
    """Return the answer in a text: all of it but the thoughts, which may leave nothing.

    >>> answer_of("<think>They ask for the price.</think>It costs 12 euros.")
    'It costs 12 euros.'
    >>> answer_of("They ask for the price.\\n</think>\\n\\nIt costs 12 euros.")
    'It costs 12 euros.'
    >>> answer_of("In HTML there is no <think> tag.")
    'In HTML there is no <think> tag.'
    """
    if text.lstrip().startswith(_TITLES) and (match := _TITLED.match(text)):
        return _END_OF_TITLED.sub("", text[match.end() :]).strip()
    tags = _tags(text)
    if (first := next(tags, None)) is None:
        return text
    kept, begin, is_thought, has_thought = [], 0, False, False
    code = _CodeSpans(text)
    quoted_line = -1  # end of the last line with an opening tag that opens nothing
    for tag in chain((first,), tags):
        start, end = tag.span()
        if tag["opening"] is not None:
            if is_thought:
                continue
            if not _opens(text, start, end):
                quoted_line = text.find("\n", end) if start > quoted_line else quoted_line
                quoted_line = len(text) if quoted_line < 0 else quoted_line
                continue
            if code.covers(begin, start):
                continue
            kept.append(text[begin:start])
            is_thought = has_thought = True
        elif is_thought:
            if _is_quoted(text, start, end):
                continue
            begin, is_thought = end, False
        elif start > quoted_line and _closes(text, start, end):
            if code.covers(begin, start):
                continue
            kept, begin, has_thought = [], end, True  # the opening tag was part of the prompt
    if not has_thought:
        return text
    if not is_thought:
        kept.append(text[begin:])
    answer = "".join(kept).strip()
    answer = _END_OF_ANSWER.sub("", answer) if "<|message|>" in text else answer
    if wrapped := _WRAPPER.fullmatch(answer):
        answer = next(part for part in wrapped.groups()[1:] if part is not None).strip()
    return answer


def _tags(text: str) -> Iterator[re.Match[str]]:
    """Yield the tags among the first candidates, from left to right, without overlap."""
    data = text.encode("utf-8", "surrogatepass")
    is_ascii = len(data) == len(text)
    position = byte = end = 0
    for candidate in islice(_CANDIDATE.finditer(data), _MAX_TAGS):
        start = candidate.start()
        position = start if is_ascii else position + len(data[byte:start].decode("utf-8", "surrogatepass"))
        byte = start
        if position >= end and (tag := _TAG.match(text, position)) is not None:
            end = tag.end()
            yield tag


def _is_quoted(text: str, start: int, end: int) -> bool:
    before, after = text[start - 1 : start], text[end : end + 1]
    return before != "" and before in _QUOTES and after != "" and after in _QUOTES


def _opens(text: str, start: int, end: int) -> bool:
    """Return whether an opening tag begins thoughts: it begins a line, or follows a whole sentence."""
    if _is_quoted(text, start, end) or _ABOUT_THE_TAG.match(text, end, end + 40):
        return False
    before = text[max(0, start - 40) : start].rstrip(" \t")
    return (
        not before or before[-1] in "\r\n\ufeff" or (before[-1] in _SENTENCE_END and before[-1] not in ":(")
    )


def _closes(text: str, start: int, end: int) -> bool:
    """Return whether a closing tag without an opening one ends thoughts: by itself, or behind a sentence."""
    if _is_quoted(text, start, end) or _ABOUT_THE_TAG.match(text, end, end + 40):
        return False
    before, after = text[start - 1 : start], text[end : end + 1]
    return not before or before in "\r\n" or before in _SENTENCE_END or not after or after in "\r\n"


class _CodeSpans:
    """The code in a text, found from left to right, once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._next = _CODE.search(text)

    def covers(self, begin: int, position: int) -> bool:
        """Return whether a position is in code that begins at ``begin`` or later; neither ever decreases."""
        while (span := self._next) is not None and (span.start() < begin or span.end() <= position):
            self._next = _CODE.search(self._text, max(begin, span.end() if span.start() >= begin else begin))
        return span is not None and span.start() < position
