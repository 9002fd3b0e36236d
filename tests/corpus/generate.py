"""Write `events.ndjson.gz` and `arrivals.gz`, the recorded input of the corpus.

`python -m tests.corpus.generate` replaces both files. They are recorded in git, and the tests read only the
recorded files: another Python may draw other random numbers. After a change here record the expected outputs
anew with `python -m tests.corpus.record`.

The world lasts 26 hours of event time, from 2026-03-02T06:00Z on: 200 busy minutes, a night, and half an hour
of the next morning.
"""

from __future__ import annotations

import gzip
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
BEGIN = datetime(2026, 3, 2, 6, tzinfo=UTC)
BUSY_MIN, MORNING_MIN, END_MIN = 200.0, 1530.0, 1565.0

ANSWERS = (
    "Your parcel left our warehouse on Tuesday and should reach you on Friday afternoon.",
    "The total of the invoice is 42.50 euros, and you can pay it by card or by bank transfer.",
    "Open Settings, choose Orders, then press Return next to the article you want to send back.",
    "The train leaves at nine from platform two and the journey takes about three hours with one change.",
    "You can change the delivery address until the parcel has been handed over to the carrier.",
    "Yes.",
    "The meeting notes list four open tasks: budget, hiring, the new office, and the spring release.",
    "Paris is the capital of France, and about two million people live within its borders.",
)
TRANSLATIONS = {
    "de": (
        "Ihr Paket hat unser Lager am Dienstag verlassen und kommt am Freitag bei Ihnen an.",
        "Sie können die Lieferadresse ändern, solange das Paket noch nicht beim Zusteller ist.",
        "Die Rechnung über zweiundvierzig Euro liegt dieser Nachricht bei, vielen Dank für Ihre Geduld.",
    ),
    "fr": (
        "Votre commande a quitté notre entrepôt mardi et devrait arriver chez vous vendredi matin.",
        "Vous pouvez modifier l'adresse de livraison tant que le colis n'est pas parti.",
        "La facture est jointe à ce message, merci beaucoup pour votre patience.",
    ),
    "es": (
        "Su pedido salió de nuestro almacén el martes y debería llegar el viernes por la mañana.",
        "Puede cambiar la dirección de entrega mientras el paquete no haya salido.",
    ),
    "ja": ("ご注文の商品は火曜日に倉庫を出発し、金曜日の午後にお届けする予定です。",),
}
REFUSALS = (
    "I'm sorry, but I can't help with that request.",
    "As an AI language model, I am unable to answer that question.",
    "I cannot assist with this. Please contact a person.",
    "Es tut mir leid, aber dabei kann ich Ihnen leider nicht helfen.",
    "Je suis désolé, mais je ne peux pas vous aider avec cette demande.",
    "Lo siento, pero no puedo ayudar con esa solicitud.",
    "Mi dispiace, ma non posso aiutarti con questa richiesta.",
    "Desculpe, mas não posso ajudar com esse pedido.",
    "Het spijt me, maar ik kan u daar niet mee helpen.",
    "抱歉，我无法提供帮助。",
    "申し訳ありませんが、そのご質問にはお答えできません。",
)
NEAR_REFUSALS = (
    "I'm sorry to hear that your parcel was late; a refund of five euros is on its way to you.",
    "If the door does not open you cannot force it: call the service number on the label instead.",
)
LEAKS = ("Hello {{ customer_name }}, thank you for writing.", "<|im_start|>assistant", "It is fine. " * 30)
QUESTIONS = (
    "Where is my parcel, and when will it arrive at my home?",
    "How do I send an article back to you?",
    "Thanks",
)
GERMAN_QUESTION = "Wo ist mein Paket, und wann kommt es endlich bei mir zu Hause an?"


class Feature(NamedTuple):
    """A feature: who serves it, and how many events a minute it has while it is busy."""

    name: str
    provider: str
    models: tuple[str, ...]
    rate: float
    environment: str = "production"


FEATURES = (
    Feature("shop/search", "acme", ("large-2",), 6),
    Feature("shop/checkout", "acme", ("large-2", "small-1"), 6),
    Feature("bot/support", "acme", ("large-2",), 6),
    Feature("bot/summary", "orbit", ("small-1",), 5.5),
    Feature("desk/triage", "orbit", ("small-1",), 5.5),
    Feature("mail/drafts", "orbit", ("tiny-3",), 6),
    Feature("docs/translate", "acme", ("large-2",), 5.5),
    Feature("lab/sandbox", "acme", ("vector-1",), 4, "staging"),
)
FAULTS = (  # feature, fault, minutes since the beginning
    ("shop/search", "more errors", 50, 60),
    ("bot/summary", "errors", 55, 63),
    ("desk/triage", "errors", 55.2, 63),
    ("mail/drafts", "errors", 55.4, 63),
    ("mail/drafts", "refusals", 84, 98),
    ("desk/triage", "tokens", 100, 130),
    ("docs/translate", "languages", 80, 100),
    ("bot/support", "answering model", 88, END_MIN),
    ("shop/search", "errors", 108, 120),
    ("shop/checkout", "errors", 108.5, 120),
    ("bot/support", "errors", 109, 120),
    ("docs/translate", "errors", 109.5, 120),
    ("mail/drafts", "canary", 122, 134),
    ("bot/summary", "version", 124, END_MIN),
    ("bot/summary", "json", 130, 150),
    ("shop/checkout", "release", 135, END_MIN),
    ("lab/sandbox", "errors", 140, 155),
    ("shop/search", "slow", 150, 170),
    ("bot/summary", "silence", 160, 180),
    ("bot/support", "texts", 160, BUSY_MIN),
    ("mail/drafts", "refusals", 163, 169),
    ("mail/drafts", "refusals", 178, 184),
    ("mail/drafts", "refusals", 1548, END_MIN),
)
CREEPING = ("bot/support", "docs/translate", "shop/checkout")
CREEP, CREEP_MIN = (
    0.004,
    100.0,
)  # their inputs grow by this share a minute from then on, so that thresholds are crossed slowly
FADING = ("desk/triage", "docs/translate", "lab/sandbox")
NEXT_MORNING = ("shop/search", "mail/drafts", "bot/support")
QUICK_MIN, QUICK = 50.0, 2  # at first events come so many times as often, so that references are full early
CHANCES = {
    "large-2": 1.0,
    "small-1": 0.5,
    "tiny-3": 1.0,
    "vector-1": 0.25,
}  # that a call without error is sent
JUDGED = {"bot/support": 0.1, "docs/translate": 0.9}
CONTENT = {"mail/drafts": 0.5, "shop/checkout": 0.9}


class World:
    """Draw events in the order in which they arrive."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.number = 0
        self.lines: list[bytes] = []
        self.arrivals: list[int] = []
        self.sequences: dict[str, int] = {}

    def run(self) -> None:
        """Fill ``lines`` and ``arrivals``."""
        minutes = sorted(self._times())
        meter = 5.0
        odd = self._odd()
        for minute, feature in minutes:
            while meter <= min(minute, BUSY_MIN + 20):
                self._meters(meter)
                meter += 5.0
            while odd and odd[0][0] <= minute:
                self._add(odd[0][0], odd.pop(0)[1])
            self._event(minute, feature)

    def _times(self) -> list[tuple[float, Feature]]:
        times: list[tuple[float, Feature]] = []
        for feature in FEATURES:
            minute = self.random.random()
            while minute < BUSY_MIN:
                times.append((minute, feature))
                rate = feature.rate * (QUICK if minute < QUICK_MIN else 1)
                if feature.name in FADING and minute > BUSY_MIN - 30:
                    rate *= max(0.05, (BUSY_MIN - minute) / 30)
                minute += self.random.expovariate(rate)
            if feature.name in NEXT_MORNING:
                times.append((BUSY_MIN + 60 + self.random.random(), feature))
                minute = MORNING_MIN
                while (minute := minute + self.random.expovariate(4)) < END_MIN:
                    times.append((minute, feature))
        return times

    def _odd(self) -> list[tuple[float, bytes]]:
        """Generate invalid events, and events outside their time."""
        valid = json.dumps(self._response(FEATURES[0], 32, "")).encode()
        odd_lines = [
            (32.0, b"\xff\xfe\x00garbage"),
            (32.2, valid[:90]),
            (32.4, b"[" + valid + b"]"),
            (32.6, b"not JSON at all"),
            (32.8, b'{"kind":"trace","event_id":"x"}'),
            (33.0, self._broken(33, sample_probability=1.5)),
            (33.2, self._broken(33, sample_probability="1")),
            (33.4, self._broken(33, time="2026-03-02 09:00")),
            (33.6, self._broken(33, service="")),
            (33.8, self._broken(33, outcome="fine")),
            (34.0, self._broken(34, time="1969-12-31T23:59:59Z")),
            (62.0, self._broken(63.5)),  # a little ahead
            (63.0, self._broken(68.5)),  # more than five minutes ahead of its arrival
            (111.0, self._broken(109.0, time="2026-03-02T08:49:00+01:00")),
            (190.0, self._broken(40.0)),  # over two hours late
            (191.0, self._broken(3.0)),
            (1555.0, self._broken(1350.0)),
        ]
        odd_lines += [
            (minute + 0.5, self._broken(minute - self.random.uniform(1, 40))) for minute in range(40, 196, 3)
        ]
        # a producer that sends rubbish for two minutes
        odd_lines += [(84 + number / 15, self._broken(84, event_id="")) for number in range(30)]
        return sorted(odd_lines, key=lambda pair: pair[0])

    def _broken(self, minute: float, **fields: Any) -> bytes:
        feature = self.random.choice(FEATURES[:3])
        return json.dumps({**self._response(feature, minute, ""), **fields}, ensure_ascii=False).encode()

    def _event(self, minute: float, feature: Feature) -> None:
        faults = {
            fault for name, fault, begin, end in FAULTS if name == feature.name and begin <= minute < end
        }
        if "silence" in faults:
            return
        behind = 0.0
        chance = self.random.random()
        if chance < 0.01:
            behind = self.random.uniform(1, 8)
        event_minute = minute - self.random.random() / 60 - behind
        fault = next(
            (
                fault
                for fault in (
                    "errors",
                    "more errors",
                    "canary",
                    "refusals",
                    "json",
                    "tokens",
                    "languages",
                    "slow",
                    "texts",
                )
                if fault in faults
            ),
            "",
        )
        event = self._response(feature, event_minute, fault, faults)
        self._add(minute, json.dumps(event, ensure_ascii=self.random.random() < 0.3).encode())
        if self.random.random() < 0.06:
            self._add(minute, json.dumps(self._feedback(event, minute, fault)).encode())
        if self.random.random() < JUDGED.get(feature.name, 0):
            self._add(minute, json.dumps(self._evaluation(event, minute, fault)).encode())

    def _response(
        self, feature: Feature, minute: float, fault: str, faults: set[str] | None = None
    ) -> dict[str, Any]:
        rng, faults = self.random, faults or set()
        self.number += 1
        service, name = feature.name.split("/")
        model = (
            rng.choice(feature.models) if len(feature.models) == 1 else rng.choices(feature.models, (3, 1))[0]
        )
        event: dict[str, Any] = {
            "event_id": f"r{self.number:x}",
            "time": stamp(minute, rng),
            "service": service,
            "feature": name,
            "model": model,
        }
        if feature.environment != "production":
            event["environment"] = feature.environment
        event["provider"] = feature.provider
        event["response_model"] = (
            f"{model}-0401" if "answering model" in faults and rng.random() < 0.8 else f"{model}-0115"
        )
        event["prompt_version"] = "v8" if "version" in faults and rng.random() < 0.6 else "v7"
        event["sample_probability"] = CHANCES[model]
        self._where(event, feature, fault, faults)
        self._cost(event, feature, fault, minute)
        errors = {"errors": 0.75, "more errors": 0.09 * (minute - 50)}.get(fault, 0.006)
        if rng.random() < errors:
            event |= {
                "error_type": rng.choice(("timeout", "rate_limit", "overloaded")),
                "sample_probability": 1,
            }
            return event
        output, finish = self._output(feature, fault, rng)
        tokens = len(output) // 4 + bool(output)
        if "tokens" in faults:  # more and more of them
            tokens += round((minute - 100) * rng.uniform(2, 6))
        event |= {"output_tokens": tokens, "finish_reason": finish}
        if finish == "tool_calls":
            event["tool_calls"] = rng.randint(1, 3)
        if rng.random() < 0.2:
            event["outcome"] = rng.choices(
                ("ok", "parse_error", "schema_error", "downstream_error"), (980, 2, 1, 1)
            )[0]
        if rng.random() < 0.1:
            event["guardrail"] = rng.choices(("none", "flagged", "blocked"), (90, 8, 2))[0]
        if rng.random() < 0.02:
            event |= {
                "fallback": rng.choice(("model", "cache", "template")),
                "degradation_level": rng.randint(1, 5),
            }
        share = CONTENT.get(feature.name, 1.0)
        if share < 1:
            event["content_probability"] = share
        if feature.name != "lab/sandbox" and rng.random() < share:
            question = GERMAN_QUESTION if fault == "languages" else rng.choice(QUESTIONS)
            event |= {"input": question, "output": output}
            if feature.name == "desk/triage":
                event["context"] = "Ticket of a customer; contact jane.doe@example.com or +49 30 1234567."
        elif rng.random() < 0.5:
            event["output_chars"] = len(output)
        return event

    def _where(self, event: dict[str, Any], feature: Feature, fault: str, faults: set[str]) -> None:
        rng = self.random
        if feature.name == "shop/checkout":
            event["dimensions"] = {
                "region": rng.choices(("eu", "zürich"), (7, 3))[0],
                "tier": rng.choice(("gold", "free")),
            }
            event["service_version"] = "2.5.0" if "release" in faults else "2.4.1"
        if fault == "canary":
            event["variant"] = "canary"
        elif feature.name == "bot/summary":
            event["variant"] = rng.choice(("a", "b"))
        if feature.name in ("shop/search", "desk/triage"):
            self._numbered(event, f"{feature.name.replace('/', '-')}-1")
        if rng.random() < 0.3:
            event |= {"trace_id": f"{self.number:032x}", "session_id": f"s{rng.randrange(500)}"}

    def _numbered(self, event: dict[str, Any], producer: str) -> None:
        number = self.sequences.get(producer, 0)
        self.sequences[producer] = number + (2 if self.random.random() < 0.01 else 1)  # holes: lost events
        event |= {"producer_id": producer, "sequence": number}

    def _cost(self, event: dict[str, Any], feature: Feature, fault: str, minute: float) -> None:
        rng = self.random
        event["duration_s"] = round(rng.lognormvariate(-0.9, 0.4) * (12 if fault == "slow" else 1), 4)
        creep = 1 + CREEP * max(0.0, minute - CREEP_MIN) if feature.name in CREEPING else 1
        event["input_tokens"] = round(rng.randint(20, 900) * creep)
        if feature.name.startswith("shop/"):
            event |= {
                "time_to_first_token_s": round(rng.expovariate(8) * (12 if fault == "slow" else 1), 5),
                "cost_usd": round(rng.random() / 100, 7),
            }
        if feature.name.startswith("bot/"):
            event |= {
                "interaction": rng.choice(("sync", "progressive", "async")),
                "stages_s": {"retrieve": round(rng.random() / 4, 4)},
            }
        if rng.random() < 0.05:
            event |= {
                "cached_input_tokens": 12,
                "reasoning_tokens": rng.randrange(90),
                "attempt": rng.randint(1, 3),
                "cache_hit": True,
                "cold_start": False,
            }

    def _output(self, feature: Feature, fault: str, rng: random.Random) -> tuple[str, str]:
        odd = rng.random()
        if feature.name == "bot/summary":
            whole = json.dumps({"summary": rng.choice(ANSWERS), "tasks": rng.randrange(5)})
            if rng.random() < {"json": 0.45}.get(fault, 0.004):
                return rng.choice(
                    (whole[:-7], "Here is the summary: " + whole, json.dumps({"summary": 3}))
                ), "stop"
            return whole if odd > 0.1 else f"```json\n{whole}\n```", "stop"
        if feature.name == "desk/triage" and odd < 0.3:
            return "", "tool_calls"
        if odd < 0.004:
            return "", "stop"
        if odd < 0.007:
            return rng.choice(LEAKS), "stop"
        if odd < 0.012:
            return rng.choice(ANSWERS)[:40], "length"
        if odd < 0.015:
            return rng.choice(ANSWERS), "content_filter"
        if rng.random() < {"refusals": 0.5, "canary": 0.9}.get(fault, 0.008):
            return rng.choice(REFUSALS), "stop"
        if odd < 0.04:
            return rng.choice(NEAR_REFUSALS), "stop"
        if fault == "texts":
            return "Order status: shipped. Please rate this conversation with one to five stars.", "stop"
        if feature.name == "docs/translate":
            languages = ("fr", "es", "ja") if fault == "languages" else ("de", "de", "de", "fr")
            return rng.choice(TRANSLATIONS[rng.choice(languages)]), "stop"
        return rng.choice(ANSWERS), "stop"

    def _feedback(self, event: dict[str, Any], minute: float, fault: str) -> dict[str, Any]:
        rng = self.random
        labels = self._labels(event)
        answers: dict[str, Any] = {
            "accepted": rng.random() < (0.3 if fault in ("refusals", "languages") else 0.9),
            "regenerated": rng.random() < 0.1,
            "edit_distance": round(rng.random(), 3),
            "rating": rng.randint(1, 5),
            "task_s": round(rng.expovariate(0.02), 2),
            "outcome": rng.choice(("solved", "left")),
        }
        chosen = {field: item for field, item in answers.items() if rng.random() < 0.7}
        return {
            "kind": "feedback",
            "event_id": f"f{event['event_id']}",
            "response_id": event["event_id"],
            "time": stamp(minute, rng),
            **labels,
            **chosen,
        }

    def _evaluation(self, event: dict[str, Any], minute: float, fault: str) -> dict[str, Any]:
        rng = self.random
        passed = rng.random() < (0.4 if fault == "languages" else 0.93)
        return {
            "kind": "evaluation",
            "event_id": f"e{event['event_id']}",
            "response_id": event["event_id"],
            "time": stamp(minute, rng),
            **self._labels(event),
            "evaluator": "judge",
            "evaluator_version": "1",
            "passed": passed,
            "score": round(rng.uniform(0.5, 1) if passed else rng.uniform(0, 0.5), 4),
            "reason": "helpful" if passed else "off topic",
            "sample_probability": round(
                event["sample_probability"] * JUDGED.get(f"{event['service']}/{event['feature']}", 1), 6
            ),
        }

    def _labels(self, event: dict[str, Any]) -> dict[str, Any]:
        keep = ("service", "feature", "environment", "model", "prompt_version", "variant", "dimensions")
        fields = keep if self.random.random() < 0.8 else keep[:3]
        return {field: event[field] for field in fields if field in event}

    def _meters(self, minute: float) -> None:
        for name, producer, dropped in (
            ("shop/search", "shop-search-1", 0.03),
            ("desk/triage", "desk-triage-1", 0),
        ):
            service, feature = name.split("/")
            calls = int(min(minute, BUSY_MIN) * 12)
            sampled, lost = calls // 2, int(calls // 2 * dropped) if minute > 60 else 0
            meter = {
                "kind": "meter",
                "service": service,
                "feature": feature,
                "time": stamp(minute, self.random),
                "producer_id": producer,
                "started_at": "2026-03-02T05:59:30Z",
                "seen": calls,
                "sampled": sampled,
                "sent": sampled - lost,
                "dropped": lost,
            }
            self._add(minute, json.dumps(meter).encode())

    def _add(self, minute: float, line: bytes) -> None:
        arrival = BEGIN + timedelta(minutes=minute, seconds=0.4)
        self.lines.append(line)
        self.arrivals.append(
            max(round(arrival.timestamp() * 1000), self.arrivals[-1] if self.arrivals else 0)
        )


def stamp(minute: float, rng: random.Random) -> str:
    """Return the time as RFC 3339, in one of several forms."""
    time = BEGIN + timedelta(milliseconds=round(minute * 60_000))
    if rng.random() < 0.1:
        return time.isoformat()
    return time.isoformat().replace("+00:00", "Z")


def main() -> None:
    world = World(13)
    world.run()
    differences = [
        later - before for before, later in zip([0, *world.arrivals], world.arrivals, strict=False)
    ]
    for name, lines in (
        ("events.ndjson.gz", world.lines),
        ("arrivals.gz", [b"%d" % value for value in differences]),
    ):
        (HERE / name).write_bytes(gzip.compress(b"\n".join(lines) + b"\n", 9, mtime=0))
    print(f"{len(world.lines)} records, {(HERE / 'events.ndjson.gz').stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
