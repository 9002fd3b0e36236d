"""The thoughts of a reasoning model are separated from its answer; an answer about tags stays whole."""

from __future__ import annotations

import doctest

import pytest

from monitor.normal_form import reasoning
from monitor.normal_form.reasoning import answer_of, may_think

THOUGHT = (
    "The user asks for the price.\nI can't help with medical questions, but this is none.\nSo: 12 euros."
)
ANSWER = "It costs 12 euros."
TAGS = {
    "DeepSeek, Qwen, GLM": ("<think>", "</think>"),
    "Claude by prompt": ("<thinking>", "</thinking>"),
    "Claude, older": ("<antThinking>", "</antThinking>"),
    "Nemotron, Granite": ("<reasoning>", "</reasoning>"),
    "EXAONE, Gemini by prompt": ("<thought>", "</thought>"),
    "plural": ("<thoughts>", "</thoughts>"),
    "Reflection": ("<reflection>", "</reflection>"),
    "scratchpad": ("<scratchpad>", "</scratchpad>"),
    "Seed-OSS": ("<seed:think>", "</seed:think>"),
    "Kimi": ("◁think▷", "◁/think▷"),
    "Magistral": ("[THINK]", "[/THINK]"),
    "Sky-T1": ("<|begin_of_thought|>", "<|end_of_thought|>"),
    "Command A": ("<|START_THINKING|>", "<|END_THINKING|>"),
    "Apertus": ("<|inner_prefix|>", "<|inner_suffix|>"),
    "gpt-oss": ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    "Gemma": ("<|channel>thought\n", "<channel|>"),
    "reasoning tokens": ("<|reasoning_start|>", "<|reasoning_end|>"),
    "MedGemma": ("<unused94>thought\n", "<unused95>"),
    "brackets": ("[REASONING]", "[/REASONING]"),
    "planning": ("<planning>", "</planning>"),
    "capitals": ("<THINK>", "</THINK>"),
    "blanks": ("< think >", "</ think >"),
    "attributes": ('<thinking mode="deep">', "</thinking>"),
}
TITLED = {
    "Ollama": f"Thinking...\n{THOUGHT}\n...done thinking.\n\n{ANSWER}",
    "Granite": f"Here is my thought process:\n\n{THOUGHT}\n\nHere is my response:\n\n{ANSWER}",
    "Apriel": f"Here are my reasoning steps:\n{THOUGHT}\n[BEGIN FINAL RESPONSE]\n{ANSWER}\n[END FINAL RESPONSE]",
    "HuatuoGPT": f"## Thinking\n\n{THOUGHT}\n\n## Final Response\n\n{ANSWER}",
    "Open WebUI": f'<details type="reasoning" done="true">\n<summary>2 s</summary>\n> {THOUGHT}\n</details>\n{ANSWER}',
    "gpt-oss": f"analysis{THOUGHT}assistantfinal{ANSWER}",
}
WHOLE = [
    "# Thinking\n\nThis chapter is about thinking.",
    "Thinking... that is what the label says while the answer loads.",
    "Here is my thought process: I sort the list first, then I count.",
    "[REASONING] is the name of the column.",
    "<details>\n<summary>More</summary>\nIt opens at nine.\n</details>",
    "In HTML there is no <think> tag; browsers show what is inside.",
    "The model closes its thoughts with </think> before it answers.",
    "<think> is a tag with which models begin their thoughts.",
    "<thinking> and </thinking> mark thoughts in the prompt of Claude.",
    "Put `<think>` at the start and `</think>` at the end.",
    'Search for "</think>" and cut there.',
    "```python\nTAG = '<think>'\nprint(text.split('</think>')[1])\n```",
    "Write:\n```\n<think>\nplan\n</think>\nanswer\n```",
    "Use (<reasoning>) for the first part.",
    "Models emit <think>…</think> pairs; strip these before you show the text.",
    "a < b and b > c",
    "The tags are:\n- <think> opens\n- </think> closes",
    "The [THINK] button opens the panel.",
]


@pytest.mark.parametrize(("opening", "closing"), TAGS.values(), ids=TAGS)
def test_thoughts_before_an_answer_are_left_out_with_or_without_their_opening_tag(
    opening: str, closing: str
) -> None:
    for separator in ("", "\n", "\n\n"):
        assert answer_of(f"{opening}{THOUGHT}{separator}{closing}{separator}{ANSWER}") == ANSWER
        assert answer_of(f"{opening}\n{THOUGHT}\n{closing}\n\n{ANSWER}") == ANSWER
    assert answer_of(f"{THOUGHT}\n{closing}\n{ANSWER}") == ANSWER


@pytest.mark.parametrize(("opening", "closing"), TAGS.values(), ids=TAGS)
def test_thoughts_without_an_answer_leave_nothing(opening: str, closing: str) -> None:
    assert answer_of(f"{opening}{THOUGHT}") == ""
    assert answer_of(f"{opening}{THOUGHT}{closing}\n").strip() == ""
    assert answer_of(f"\n {opening}\n{THOUGHT}\n{closing}").strip() == ""


@pytest.mark.parametrize("text", WHOLE)
def test_an_answer_that_quotes_a_tag_stays_whole(text: str) -> None:
    assert answer_of(text) == text


def test_several_blocks_are_left_out_and_the_text_between_them_stays() -> None:
    text = f"<think>{THOUGHT}</think>\nFirst: 12 euros.\n<think>Is there more?</think>\nSecond: 14 euros."
    assert answer_of(text).split("\n") == ["First: 12 euros.", "", "Second: 14 euros."]


def test_an_unclosed_block_behind_an_answer_is_left_out() -> None:
    assert answer_of(f"{ANSWER}\n<think>\nWas that right?").strip() == ANSWER


def test_a_tag_that_the_thoughts_quote_does_not_end_them() -> None:
    assert answer_of(f'<think>I close with "</think>" and `</think>`.\n{THOUGHT}</think>\n{ANSWER}') == ANSWER
    assert answer_of(f"<think>Do I open <think> again?\n{THOUGHT}</think>\n{ANSWER}") == ANSWER


def test_nested_and_repeated_closing_tags_end_the_thoughts_once() -> None:
    assert answer_of(f"<think>a\n<think>{THOUGHT}</think>\nb\n</think>\n{ANSWER}") == ANSWER
    assert answer_of(f"{THOUGHT}</think>\n</think>\n{ANSWER}") == ANSWER


def test_the_wrapper_around_the_answer_behind_thoughts_is_left_out() -> None:
    assert answer_of(f"<think>{THOUGHT}</think>\n<answer>{ANSWER}</answer>") == ANSWER
    assert (
        answer_of(f"<|begin_of_thought|>{THOUGHT}<|end_of_thought|>\n<|begin_of_solution|>{ANSWER}") == ANSWER
    )


@pytest.mark.parametrize("text", TITLED.values(), ids=TITLED)
def test_thoughts_under_a_title_of_their_own_are_left_out(text: str) -> None:
    assert may_think(text)
    assert answer_of(text) == ANSWER
    assert answer_of("\n" + text) == ANSWER


def test_code_in_thoughts_and_a_fence_in_the_answer_change_nothing() -> None:
    answer = '```json\n{"price": 12}\n```'
    assert answer_of(f"<think>Like ```json\n{THOUGHT}</think>\n{answer}") == answer


def test_a_text_of_many_tags_takes_linear_time() -> None:
    assert answer_of("<think>" * 50_000) == ""
    assert set(answer_of("\n</think>" * 50_000)) <= set("\n</think>")
    assert isinstance(answer_of("a <think> b </think> c " * 20_000), str)


def test_the_doctests_pass() -> None:
    assert doctest.testmod(reasoning).failed == 0
