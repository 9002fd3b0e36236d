"""Questions and answers of the demo, written for it."""

from __future__ import annotations

import random

REFUSALS = (
    "I'm sorry, but I can't help with that request.",
    "I apologize, but I'm unable to assist with this. Is there anything else?",
    "As an AI language model, I cannot provide an answer to that question.",
    "I'm afraid I can't help with questions of this kind.",
    "Sorry, I cannot assist with that.",
    "I'm not able to provide information about this order. I'm sorry for the inconvenience.",
)

_FILL = {
    "thing": (
        "desk lamp",
        "rain jacket",
        "coffee grinder",
        "phone case",
        "hiking boots",
        "kettle",
        "backpack",
        "bike light",
    ),
    "days": ("two", "three", "four", "five", "six"),
    "city": ("Lyon", "Leeds", "Graz", "Porto", "Ghent", "Bremen", "Turin", "Malmö"),
    "number": tuple(str(number) for number in range(41_000, 41_900, 7)),
    "place": ("warehouse", "depot", "sorting centre", "local branch"),
    "part": ("battery", "strap", "filter", "lid", "zip"),
}

_EXCHANGES: dict[str, tuple[tuple[str, str], ...]] = {
    "support-bot/answer": (
        (
            "Where is my order {number}? I ordered a {thing} last week.",
            (
                "Your {thing} left our {place} yesterday and should reach {city} within {days} days. "
                "The carrier sends you a link on the morning of delivery."
            ),
        ),
        (
            "The {part} of my {thing} broke after {days} weeks. What can I do?",
            (
                "That is covered by the guarantee. Open Orders, choose number {number}, and press Report a"
                " fault; a new {part} is sent the same day."
            ),
        ),
        (
            "Can I still change the address to {city}?",
            (
                "Yes, until the parcel leaves the {place}. Go to Orders, then Delivery, and enter the address"
                " in {city}; the price stays the same."
            ),
        ),
        (
            "How do I return a {thing}?",
            (
                "Print the label under Orders, put the {thing} into any box and hand it in at a parcel shop."
                " The money is back within {days} working days."
            ),
        ),
    ),
    "search/summarise": (
        (
            "Summarise what buyers say about the {thing}.",
            (
                "Most buyers like how sturdy the {thing} is and that delivery took {days} days. "
                "A few from {city} found the {part} fiddly, and two wanted a longer guarantee."
            ),
        ),
        (
            "Sum up the reviews of the last month for the {thing}.",
            (
                "Reviews are mostly warm: good value, quick delivery, honest pictures. "
                "The {part} is the usual complaint; {days} buyers had it replaced without trouble."
            ),
        ),
    ),
    "search/suggest": (
        ("{thing} for the rain", "waterproof {thing}, {thing} with cover, spare {part} for {thing}"),
        ("gift {city}", "{thing}, gift card, travel guide {city}"),
    ),
    "catalogue/describe": (
        (
            "Describe the {thing}, article {number}, in three sentences.",
            (
                "A {thing} for every day, made to be repaired rather than replaced. "
                "The {part} comes off with one screw. Ships from our {place} within {days} days."
            ),
        ),
        (
            "Write a product text for a {thing} with a new {part}.",
            (
                "Meet the {thing} with its new {part}: lighter, quieter, and easier to clean. Tested for"
                " {days} months on the streets of {city}."
            ),
        ),
    ),
}


def exchange(feature: str, draw: random.Random) -> tuple[str, str]:
    """Return a question and its answer."""
    question, answer = draw.choice(_EXCHANGES[feature])
    values = {name: draw.choice(choices) for name, choices in _FILL.items()}
    return question.format_map(values), answer.format_map(values)


FEATURES = tuple(_EXCHANGES)
