from __future__ import annotations

import html
import json

import pytest

from monitor.evaluators.refusal.unwrap import unwrapped
from monitor.evaluators.suite import Suite
from monitor.evaluators.verdict import State

ENGLISH = "I'm sorry, but I can't help with that."
REFUSALS = [ENGLISH, "Dabei kann ich nicht helfen.", "抱歉，我无法回答这个问题。"]
WRAPPINGS = {
    "json": lambda text: json.dumps({"summary": text, "items": []}),
    "json-unescaped": lambda text: json.dumps({"summary": text}, ensure_ascii=False),
    "json-list": lambda text: json.dumps([text]),
    "json-nested": lambda text: json.dumps({"a": [{"b": {"c": text}}]}),
    "json-in-json": lambda text: json.dumps({"result": json.dumps({"answer": text})}),
    "json-fenced": lambda text: f"```json\n{json.dumps({'answer': text}, indent=1)}\n```",
    "json-introduced": lambda text: f"Here is the JSON:\n{json.dumps({'answer': text})}",
    "json-introduced-and-fenced": lambda text: f"Here it is:\n```json\n{json.dumps({'answer': text})}\n```",
    "json-cut-off": lambda text: json.dumps({"answer": text, "items": []})[:-6],
    "json-refusal-field": lambda text: json.dumps({"refusal": text, "answer": None}),
    "python": lambda text: str({"answer": text}),
    "fence": lambda text: f"```\n{text}\n```",
    "fence-of-tildes": lambda text: f"~~~text\n{text}\n~~~",
    "html": lambda text: f'<div class="a"><p>{text}</p></div>',
    "xml": lambda text: f"<response>\n{text}\n</response>",
    "entities": html.escape,
    "entities-twice": lambda text: html.escape(html.escape(text)),
    "entities-typographic": lambda text: text.replace("'", "&rsquo;"),
    "bold": lambda text: f"**{text}**",
    "italic": lambda text: f"_{text}_",
    "heading": lambda text: f"# {text}",
    "quoted-lines": lambda text: f"> {text}",
    "no-break-spaces": lambda text: text.replace(" ", "\u00a0"),
    "backslashes": lambda text: text.replace("'", "\\'"),
    "json-labelled": lambda text: "json\n" + json.dumps({"answer": text}),
    "json-with-thoughts": lambda text: json.dumps(
        {"thinking": "I can answer this. Let me see.", "answer": text}
    ),
    "yaml": lambda text: f'answer: "{text}"',
    "escapes": lambda text: text.replace("'", "\\u2019"),
    "backticks": lambda text: text.replace("'", "`"),
    "repr": lambda text: f"AIMessage(content={text!r}, additional_kwargs={{}})",
    "html-line-break": lambda text: f"<p>{text.replace(', ', ',<br/>')}</p>",
    "html-spans": lambda text: " ".join(f"<span>{word}</span>" for word in text.split()),
    "unquoted-key": lambda text: f'{{answer: "{text}"}}',
    "labelled-fence": lambda text: f"Output:\n```\n{text}\n```",
    "latin-1": lambda text: text.replace("'", "\u2019").encode().decode("latin-1"),
    "label": lambda text: f"**Answer:** {text}",
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_in_a_wrapping_fails(text, wrapping, response):
    wrapped = WRAPPINGS[wrapping](text)
    assert Suite.from_settings(["refusal"]).judge(response(output=wrapped))[1].state is State.FAILED, wrapped


@pytest.mark.parametrize(
    "text", ["I’m sorry, but I can’t help.", "Je ne peux pas répondre.", "Я не могу помочь."]
)
def test_a_refusal_in_a_wrong_encoding_fails(text, response):
    garbled = text.encode().decode("cp1252", "replace")
    assert Suite.from_settings(["refusal"]).judge(response(output=garbled))[1].state is State.FAILED


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"refusal": null, "answer": "It ships on Tuesday."}\n```',
        '{"customer_message": "I cannot help with that", "category": "complaint"}',
        '{"label": "refusal", "score": 0.91}',
        '```python\nprint("I cannot help with that")\n```',
        '```\nif (!ok) throw new Error("I can\'t help with that");\n```',
        "<p>Use the phrase &quot;I can&#39;t help with that&quot; as the fallback.</p>",
        "> I can't help with that.\n\nThis line is from the log of Tuesday.",
        "Caf&eacute; opens at 8 &amp; closes at 6.",
        "Use this reply:\n```\nI can't help with that.\n```",
        "| Phrase | Kind |\n|---|---|\n| I won't do that | refusal |\n| Sure | answer |",
        '{"utterance": "I cannot use this lamp", "intent": "return"}',
        '{"thinking": "I cannot see the photo, so I go by the text.", "answer": "It is a lamp."}',
        '"I can\'t help with that" occurs 12 times in the log.',
    ],
)
def test_a_wrapped_answer_passes(text, response):
    assert Suite.from_settings(["refusal"]).judge(response(output=text))[1].state is State.PASSED


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"answer": "I am sorry to say no.", "id": "x1"}', "I am sorry to say no."),
        ('{"a": "one two three", "input": "four five six"}', "one two three"),
        ("plain & simple", "plain & simple"),
        ("```sql\nSELECT 1\n```", "```sql\nSELECT 1\n```"),
        ('["a \\ud800 b c"]', "a ? b c"),
    ],
)
def test_the_content_of_a_wrapping_is_returned(text, words):
    assert unwrapped(text) == words
