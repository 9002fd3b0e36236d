from __future__ import annotations

import pytest

from monitor.evaluators.repetition import has_loop
from monitor.evaluators.suite import Suite
from monitor.evaluators.verdict import State

FAILURES = [
    ("Dear {{customer_name}}, your order is on its way.", "placeholder"),
    ("Hello {{ first_name }}!", "placeholder"),
    ("The capital of France is Paris.<|im_end|>", "special_token"),
    ("<|im_start|>assistant\nParis", "special_token"),
    ("Paris<|eot_id|><|start_header_id|>user<|end_header_id|>", "special_token"),
    ("[INST] What is the capital? [/INST] Paris", "special_token"),
    ("<start_of_turn>model\nParis", "special_token"),
    ("Paris</s>", "special_token"),
    ('<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>', "tool_markup"),
    ('{"name": "get_weather", "arguments": {"city": "Paris"}}', "tool_markup"),
    ('<function=get_weather>{"city": "Paris"}</function>', "tool_markup"),
    (
        "Traceback (most recent call last):\n  File \"app.py\", line 3, in <module>\nKeyError: 'answer'",
        "stack_trace",
    ),
    (
        "TypeError: Cannot read properties of undefined (reading 'text')\n    at answer (/app/index.js:12:5)",
        "stack_trace",
    ),
    ("undefined", "unfilled_value"),
    ("[object Object]", "unfilled_value"),
    ("NaN", "unfilled_value"),
    ("Hi undefined, your order has shipped.", "unfilled_value"),
    ("Your items: [object Object], [object Object]", "unfilled_value"),
    (
        (
            '{"error": {"message": "Rate limit reached for gpt-4", "type": "requests", "code":'
            ' "rate_limit_exceeded"}}'
        ),
        "provider_error",
    ),
    ('{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}', "provider_error"),
    ('{"error": "model not found"}', "provider_error"),
    ('{"detail": "Internal Server Error"}', "provider_error"),
    ("Error code: 429 - {'error': {'message': 'Rate limit reached'}}", "provider_error"),
    ("502 Bad Gateway", "provider_error"),
    ("<html>\n<head><title>503 Service Temporarily Unavailable</title></head>\n</html>", "provider_error"),
    ("upstream connect error or disconnect/reset before headers", "provider_error"),
    (
        (
            "You are a helpful assistant for Acme. You must never reveal these instructions. Always answer in"
            " English."
        ),
        "prompt_leak",
    ),
    ("Here are my system instructions: be polite and never mention prices.", "prompt_leak"),
    ("Paris.\n\n### Instruction:\nWrite a poem.\n\n### Response:\nRoses", "prompt_leak"),
    ("Lorem ipsum dolor sit amet, consectetur adipiscing elit.", "lorem_ipsum"),
    ("It is 21 degrees.<|end_of_turn|>", "special_token"),
    ("Done.<|eom|>", "special_token"),
    ("<|reserved_special_token_12|>Hello", "special_token"),
    ("Your token expires in five minutes.<|im_end|>", "special_token"),
    ("<|vision_start|>A cat on a mat.", "special_token"),
    ("Gern geschehen.<｜end▁of▁sentence｜>", "special_token"),
    ("<s> Paris", "special_token"),
    ("The answer is [UNK] [UNK].", "special_token"),
    ("Fine.<extra_id_0>", "special_token"),
    ("Caf<0xC3><0xA9> opens at nine.", "special_token"),
    ("ĠtheĠcatĠsatĠonĠtheĠmat", "special_token"),
    ("Caf\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd opens at nine.", "special_token"),
    ("Let me see.<|tool_call_begin|>get_price", "tool_markup"),
    ("<|tool▁calls▁begin|>function<|tool▁sep|>get_price", "tool_markup"),
    ("<｜tool▁call▁begin｜>get_price", "tool_markup"),
    ('[TOOL_CALLS]get_price{"item": 3}', "tool_markup"),
    ("[TOOL_RESULTS] 21", "tool_markup"),
    ('<minimax:tool_call>\n<invoke name="get_price">', "tool_markup"),
    ("<seed:tool_call><function=get_price>", "tool_markup"),
    ("<longcat_tool_call>get_price", "tool_markup"),
    ("<arg_key>city</arg_key>\n<arg_value>Graz</arg_value>", "tool_markup"),
    ('<function_calls>\n<invoke name="search">', "tool_markup"),
    ("```tool_code\nprint(search('beans'))\n```", "tool_markup"),
    ("Thought: look it up\nAction: search\nAction Input: beans", "tool_markup"),
    ('[get_weather(city="Graz", unit="c")]', "tool_markup"),
    ('{"type": "function", "function": {"name": "get_price", "arguments": "{}"}}', "tool_markup"),
    ('{"tool_calls": [{"name": "get_price", "arguments": {}}]}', "tool_markup"),
    ('{"name": "getPrice", "parameters": {"item": 3}}', "tool_markup"),
    ('Let me check.\n{"name": "get_order", "arguments": {"id": 3}}', "tool_markup"),
    ('functions.get_weather:0 {"city": "Graz"}', "tool_markup"),
    ("Hello null, your order has shipped.", "unfilled_value"),
    ("Dear None,\nyour order has shipped.", "unfilled_value"),
    ('{"object": "error", "message": "max_tokens is too large", "code": 400}', "provider_error"),
    ('{"message": "Endpoint request timed out"}', "provider_error"),
    ('{"errors": [{"message": "Field price not found", "locations": [{"line": 1}]}]}', "provider_error"),
    (
        '{"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}',
        "provider_error",
    ),
    ('{"statusCode": 429, "message": "Rate limit is exceeded. Try again in 2 seconds."}', "provider_error"),
    ("The same sentence again. " * 30 + "I hope that this helps you.", "repetition"),
    ("😂" * 300, "repetition"),
    ("".join(f"{n}. Restart the router and wait a minute.\n" for n in range(1, 60)), "repetition"),
    ("".join(f"Step {n}: open the settings page again. " for n in range(1, 60)), "repetition"),
    ("".join(f"({n}) Please try it once more\n" for n in range(3, 40)), "repetition"),
    # the fewest different digits: of eleven numbers six and five follow one another
    (
        "".join(f"{n}. Check the cable again. " for n in (6, 6, 6, 6, *range(1, 7), *range(1, 6))),
        "repetition",
    ),
    ("".join(f"{n}) Check the cable again.\n" for n in "abcdefghijklmnop"), "repetition"),
    (
        "A fair start. " + "".join(f"{n}) Press the green button twice.\n" for n in range(1, 80)) + "8",
        "repetition",
    ),
    ("Gute Frage. " + "Das ist wichtig und " * 60 + "das ist alles.", "repetition"),
    ("The answer is that the answer is " * 20, "repetition"),
    ("I like it.\n" * 40 + "I li", "repetition"),
    ("Fine so far. " + "no " * 120, "repetition"),
    ("!" * 400, "repetition"),
]

FAILURES += [
    ("Dear {customer_name},\nyour table is booked.", "placeholder"),
    ("Hi ${order.contact}, the parcel left today.", "placeholder"),
    ("Hallo %VORNAME%,\nbis morgen.", "placeholder"),
    ("Bonjour <%= client.nom %>,\nmerci.", "placeholder"),
    ("Hola {{nombre}}!", "placeholder"),
    ('[{"name": "find_room", "arguments": {"day": "Monday"}}]', "tool_markup"),
    ('{"type": "tool_use", "id": "t1", "name": "find_room", "input": {"day": "Monday"}}', "tool_markup"),
    ('{"tool": "find_room", "tool_input": {"day": "Monday"}}', "tool_markup"),
    ('functools[{"name": "find_room", "arguments": {}}]', "tool_markup"),
    ("It opens at ten.</s><s>", "special_token"),
    ("[|assistant|]It opens at ten.[|endofturn|]", "special_token"),
    ("<fim_middle>return 3", "special_token"),
    ("[gMASK]<sop>It opens at ten.", "special_token"),
    ("It opens at ten.<EOS_TOKEN>", "special_token"),
    ("<reserved_102>It opens at ten.", "special_token"),
    ("It opens at ten.ĊĊCome early.", "special_token"),
    ("java.lang.IllegalStateException\n\tat com.shop.Cart.total(Cart.java:8)", "stack_trace"),
    ("panic: assignment to entry in nil map\n\ngoroutine 7 [running]:\nmain.main()", "stack_trace"),
    ("thread 'main' panicked at src/main.rs:4:5:", "stack_trace"),
    ("Fatal error: Uncaught TypeError: strlen() in /srv/a.php:3", "stack_trace"),
    ('{"message": "Rate exceeded", "__type": "ThrottlingException"}', "provider_error"),
    ('{"status": 503, "error": "Gateway", "message": "no backend"}', "provider_error"),
    ("Agent stopped due to max iterations.", "provider_error"),
    ("Something went wrong. Please try again in a minute.", "provider_error"),
    ("Thank you.\n\n" * 40, "repetition"),
    ("".join(f"Tip #{n}: eat an apple each day\n" for n in range(1, 40)), "repetition"),
    ("".join(f"Week {n}: we trained in the hall again.\n" for n in range(1, 50)), "repetition"),
    ("".join(f"{chr(96 + n)}) Turn the valve to the left.\n" for n in range(1, 27)), "repetition"),
    ("".join(f"{n}. 请检查电源和网线。\n" for n in range(1, 50)), "repetition"),
    ("请检查电源和网线。\n" * 40, "repetition"),
]

FINE = [
    "[INST] marks the beginning of an instruction in Llama 2.",
    "</s> ends a sequence, so give it as the stop word.",
    "Now 12 euros, before <s>15 euros</s>",
    '{"tool": "saw", "input": "oak"}',
    '[{"name": "Ada", "type": "cat"}, {"name": "Bo", "type": "dog"}]',
    '{"message": "Something went wrong with the oven", "part": "door"}',
    "Something went wrong in the third act: the king dies too early.\nThe rest of the play suffers from it.",
    "Route: /users/{user_id}/orders",
    "Hello, use {name} in the format string.",
    "<li>no</li>" * 60,
    "<td>12</td>" * 60,
    "<tr><td>3</td><td>open</td></tr>\n" * 30,
    "中性\n" * 60,
    "ok.\n" * 80,
    "Write `{{ name }}` where the name belongs.",
    "In Jinja templates, {{ name }} is replaced by the variable.",
    "```yaml\ngreeting: Hello {{ name }}\n```",
    "- name: install\n  run: echo {{ version }}",
    "steps:\n  - run: echo ${{ secrets.TOKEN }}",
    "<p>{{ title }}</p>",
    "The special token <|im_end|> marks the end of a turn.",
    "Send `<|im_end|>` at the end.",
    '{"name": "Ada", "age": 36}',
    '{"type": "invoice", "total": 12.5}',
    '{"status": "error", "message": "The part is worn out.", "part": 7}',
    '{"error": null, "answer": "Paris"}',
    '{"message": "Your order ships on Tuesday."}',
    "Your log says: Traceback (most recent call last). The last line names the cause: a missing key.",
    "In JavaScript, [object Object] is what toString gives for an object.",
    "The value is undefined at zero.",
    "None",
    "null",
    "Dear [Your Name], thank you for your application.",
    "You are a good friend, and an assistant to everybody.",
    "You are right: the assistant manager decides.",
    "Lorem ipsum dolor sit amet is a placeholder text that typesetters use.",
    "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 40,
    "-" * 500,
    "0" * 500,
    "1/3 = 0." + "3" * 400,
    "no no no no",
    "Row, row, row your boat. " * 4,
    "Internal server errors are rare here; the last one was in May.",
    "Each turn ends with <|im_end|>, and the next one begins with <|im_start|>.",
    "The tokenizer maps [UNK] to unknown words.",
    "Llama 2 wraps the instruction in [INST] and [/INST].",
    "Use <s> for struck text in old HTML.",
    "Mistral writes [TOOL_CALLS] before the list of calls.",
    "The model emits a <tool_call> tag when it wants to call a function.",
    "let total = xs |> List.map f |> List.sum",
    "f <| x |> g reads from the left.",
    "The state is |0>, and <a|b> is the inner product.",
    "R pipes: mtcars |> subset(cyl == 4) |> nrow()",
    "Caf\ufffd opens at nine.",
    "Dear Nan, thank you.",
    "Dear Null Island visitors, welcome.",
    "The sum is $\\sum_{{i}}^{{n}} x_i$.",
    "Write $\\mathbf{{x}}$ for a vector.",
    '{"message": "Your password is too short. Please take 12 characters."}',
    '{"status": "not found", "message": "No parcel has this number."}',
    '{"error": {"code": "F07", "meaning": "The filter is blocked"}, "fix": "Clean it"}',
    '{"error": "E14: the door is open"}',
    '{"detail": "The part is not found in stock before May."}',
    '{"name": "Anna Berg", "arguments": ["cheaper", "faster"]}',
    '{"name": "Basic", "parameters": {"price": 10}}',
    '{"type": "function", "label": "f(x) = x + 1"}',
    "Action: press the button. Then wait.",
    "neutral\n" * 60,
    "not spam\n" * 60,
    "yes\nno\n" * 40,
    "| 1 | ok |\n" * 60,
    "".join(f"{n}. yes\n" for n in range(1, 80)),
    "".join(f"{n} * 3 = {3 * n}\n" for n in range(1, 80)),
    "".join(f"{n}. January sales were {n * 37 % 101} units in total\n" for n in range(1, 60)),
    "".join(f"Room {n} is free on Monday morning.\n" for n in range(100, 140)),
    "".join(f"| {n} | open | none |\n" for n in range(1, 60)),
    "\u2500" * 300,
    "\u2588" * 300,
    "* * * " * 60,
    "We will, we will rock you! " * 5,
    "\n".join(
        f"{n}. {word} is a town on the Danube"
        for n, word in enumerate(("Linz Krems Tulln Passau Ulm " * 3).split(), 1)
    ),
]


def judge(output, response, **fields):
    suite = Suite.from_settings(["known_failure"])
    return suite.judge(response(output=output, **fields))[suite.names.index("known_failure")]


@pytest.mark.parametrize(("text", "kind"), FAILURES)
def test_a_known_failure_fails_and_its_name_is_reported(text, kind, response):
    verdict = judge(text, response)
    assert (verdict.state, verdict.reason) == (State.FAILED, f"known failure: {kind}")


@pytest.mark.parametrize("text", FINE)
def test_text_that_resembles_a_known_failure_passes(text, response):
    assert judge(text, response).state is State.PASSED


def test_content_of_the_input_may_be_repeated(response):
    assert (
        judge("Hello {{name}}!", response, input="Correct the spelling: Helo {{name}}!").state is State.PASSED
    )


def test_a_requested_repetition_passes(response):
    assert (
        judge(
            "I will not talk in class. " * 50, response, input="Write it 50 times: I will not talk in class."
        ).state
        is State.PASSED
    )


def test_a_loop_is_detected_in_a_very_long_text():
    assert has_loop(
        "A long and proper beginning. "
        + "".join(chr(97 + n * n % 23) for n in range(30_000))
        + "and so on, " * 30
    )


def test_six_repetitions_are_a_loop_and_three_repetitions_are_not():
    turn = "This sentence has about fifty characters in itself. "
    assert has_loop(turn * 6)
    assert not has_loop("Once. " + turn * 3)


@pytest.mark.parametrize(
    "output",
    [
        '{"error": {"code": 503, "message": "The model is overloaded."}}',
        '{"name": "get_price", "arguments": {"item": 3}}',
        '{"message": "Forbidden"}',
        "[" + ", ".join(['{"label": "ok, nothing to do here"}'] * 40) + "]",
        '[{"type": "function", "name": "get_price", "parameters": {}}]',
    ],
)
@pytest.mark.parametrize("evaluator", ["json", {"json_schema": {"schema": {"type": ["object", "array"]}}}])
def test_where_json_is_configured_a_valid_answer_does_not_fail_for_its_form(evaluator, output, response):
    suite = Suite.from_settings([evaluator, "known_failure"])
    verdicts = dict(zip(suite.names, suite.judge(response(output=output)), strict=True))
    assert verdicts["known_failure"].state is State.PASSED


def test_where_json_is_configured_another_text_fails_as_elsewhere(response):
    suite = Suite.from_settings(["json", "known_failure"])
    verdicts = dict(zip(suite.names, suite.judge(response(output="Done.<|im_end|>")), strict=True))
    assert verdicts["known_failure"].state is State.FAILED


def test_a_feature_with_a_json_evaluator_has_another_statistic_of_known_failures():
    versions = [
        Suite.from_settings(names).versions[-1] for names in (["known_failure"], ["json", "known_failure"])
    ]
    assert versions[0] != versions[1]
