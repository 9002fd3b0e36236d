"""Language detection of a text, and its counts in a window."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.languages import language_detection
from monitor.languages.language_detection import LANGUAGES, MAX_CHARS, detect_language
from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from tests.monitor.ingest.event_records import record_of

SENTENCES = {
    "ar": ("تم شحن طلبك يوم الثلاثاء وسيصل يوم الجمعة.", "آسف، لا أستطيع المساعدة في ذلك."),
    "cs": (
        "Vaše objednávka byla odeslána v úterý a dorazí v pátek.",
        "Omlouvám se, ale s tím vám nemohu pomoci.",
    ),
    "da": (
        "Din ordre blev afsendt tirsdag og ankommer fredag.",
        "Beklager, men det kan jeg ikke hjælpe dig med.",
    ),
    "de": (
        "Ihre Bestellung wurde am Dienstag verschickt und kommt am Freitag an.",
        "Ja, das Paket ist unterwegs.",
    ),
    "el": ("Η παραγγελία σας στάλθηκε την Τρίτη και θα φτάσει την Παρασκευή.",),
    "en": (
        "Your order was shipped on Tuesday and arrives on Friday.",
        "I'm sorry, but I can't help with that.",
        "Paris is the capital of France.",
    ),
    "es": (
        "Su pedido fue enviado el martes y llegará el viernes.",
        "Lo siento, pero no puedo ayudarle con eso.",
    ),
    "fa": ("سفارش شما روز سه‌شنبه ارسال شد و جمعه می‌رسد.",),
    "fr": (
        "Votre commande a été expédiée mardi et arrivera vendredi.",
        "Je suis désolé, mais je ne peux pas vous aider avec cela.",
    ),
    "he": ("ההזמנה שלך נשלחה ביום שלישי ותגיע ביום שישי.",),
    "hi": ("आपका ऑर्डर मंगलवार को भेजा गया था और शुक्रवार को पहुँचेगा।",),
    "it": (
        "Il suo ordine è stato spedito martedì e arriverà venerdì.",
        "Mi dispiace, ma non posso aiutarla con questo.",
    ),
    "ja": (
        "ご注文の商品は火曜日に発送され、金曜日に到着します。",
        "申し訳ありませんが、お手伝いできません。",
    ),
    "ko": ("주문하신 상품은 화요일에 발송되어 금요일에 도착합니다.", "죄송하지만 도와드릴 수 없습니다."),
    "nl": (
        "Uw bestelling is dinsdag verzonden en komt vrijdag aan.",
        "Het spijt me, maar daar kan ik niet bij helpen.",
    ),
    "no": (
        "Bestillingen din ble sendt på tirsdag og kommer fram på fredag.",
        "Beklager, men det kan jeg ikke hjelpe deg med.",
    ),
    "pl": (
        "Twoje zamówienie zostało wysłane we wtorek i dotrze w piątek.",
        "Przepraszam, ale nie mogę w tym pomóc.",
    ),
    "pt": (
        "O seu pedido foi enviado na terça-feira e chegará na sexta-feira.",
        "Desculpe, mas não posso ajudar com isso.",
    ),
    "ru": (
        "Ваш заказ был отправлен во вторник и прибудет в пятницу.",
        "Извините, но я не могу с этим помочь.",
    ),
    "sv": (
        "Din beställning skickades på tisdagen och kommer fram på fredag.",
        "Tyvärr kan jag inte hjälpa dig med det.",
    ),
    "th": ("คำสั่งซื้อของคุณถูกจัดส่งเมื่อวันอังคารและจะถึงวันศุกร์",),
    "tr": (
        "Siparişiniz salı günü gönderildi ve cuma günü elinize ulaşacak.",
        "Üzgünüm, bu konuda size yardımcı olamam.",
    ),
    "uk": ("Ваше замовлення було відправлено у вівторок і прибуде в п'ятницю.",),
    "vi": ("Đơn hàng của bạn đã được gửi vào thứ Ba và sẽ đến vào thứ Sáu.",),
    "zh": (
        "您的订单已于星期二发货，将于星期五送达。",
        "抱歉，我无法帮助您处理这个问题。",
        "您的訂單已於星期二出貨，將於星期五送達。",
    ),
}
NO_LANGUAGE = (
    "",
    " ",
    "A",
    "(A).",
    "C. Somewhat worried",
    "(E). Refused.",
    "Yes",
    "[No]",
    "OK",
    "positive",
    "42",
    "17077",
    "\x00",
    "\ud800",
    "a" * 5000,
    "ha " * 50,
    "Berlin, Hamburg, München",
    "John Smith, Maria Garcia, Wei Chen",
    "pizza margherita, tiramisu, espresso",
    "Toyota Corolla, Honda Civic, Ford Focus, Renault Clio",
    "SELECT name FROM users WHERE id = 3",
    "def f(x): return x + 1",
    "https://example.com/a/b?c=d",
    '{"name": "Anna Schmidt", "city": "Toulouse", "items": ["vino", "sushi"], "total": 12}',
    "0123456789" * 100,
    "🙂 👍 🎉 🚀 🙏" * 20,
    "```python\nfor item in items:\n    print('the answer is here and it is written in English', item)\n```",
    "```\nvotre commande arrivera vendredi et la facture est jointe",
)
TEXTS = [text for texts in SENTENCES.values() for text in texts]
ENGLISH, FRENCH = SENTENCES["en"], SENTENCES["fr"]


@pytest.mark.parametrize(
    ("language", "text"), [(language, text) for language, texts in SENTENCES.items() for text in texts]
)
def test_a_sentence_is_detected_in_its_language(language, text):
    assert detect_language(text) == language


@pytest.mark.parametrize("text", NO_LANGUAGE)
def test_short_texts_names_and_code_have_no_language(text):
    assert detect_language(text) is None


@given(st.text() | st.lists(st.sampled_from([*TEXTS, *NO_LANGUAGE])).map(" ".join))
def test_any_text_has_a_supported_language_or_none(text):
    assert detect_language(text) in (None, *LANGUAGES)


@given(st.sampled_from(TEXTS), st.text())
def test_the_unread_part_of_a_long_text_does_not_matter(text, more):
    begin = (text + " ") * (MAX_CHARS // len(text) + 1)
    assert detect_language(begin) == detect_language(begin + more)


@pytest.mark.parametrize("text", TEXTS)
def test_accent_encoding_capitals_and_embedded_code_do_not_matter(text):
    expected = detect_language(text)
    assert detect_language(unicodedata.normalize("NFD", text)) == expected
    assert detect_language(text.upper()) == expected
    assert (
        detect_language(
            f'```json\n{{"status": "this is not what the answer is written in"}}\n```\n{text}'
            " https://example.com/the/and/of"
        )
        == expected
    )


def test_a_detection_does_not_depend_on_previous_detections():
    asked_first = (
        "from monitor.languages.language_detection import detect_language; import json, sys;"
        " print(json.dumps([detect_language(text) for text in json.load(sys.stdin)]))"
    )
    backwards = subprocess.run(
        [sys.executable, "-c", asked_first],
        input=json.dumps(TEXTS[::-1]),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(backwards.stdout) == [detect_language(text) for text in TEXTS][::-1]


def test_the_model_needs_no_writable_disk(monkeypatch):
    def nowhere(*_: Any, **__: Any) -> None:
        raise FileNotFoundError("no usable temporary directory")

    for name in ("TemporaryFile", "NamedTemporaryFile", "mkstemp", "mkdtemp"):
        monkeypatch.setattr(f"tempfile.{name}", nowhere)
    language_detection._model.cache_clear()
    assert detect_language(FRENCH[0]) == "fr"


def test_scores_are_summed_in_64_bits():
    """In 32 bits, and with BLAS, the last digits depend on the processor and its threads. This test also
    fails if the replaced method is renamed.
    """
    model = language_detection._model()
    assert model._raw_score(ENGLISH[0].encode()).dtype == "float64"


def test_close_relatives_and_uncertain_texts_are_left_to_the_model():
    """CLD2 is sure that these Danish and Dutch sentences are Norwegian and Afrikaans."""
    by_cld2 = language_detection._by_cld2
    assert by_cld2("You can return the parcel within thirty days of the delivery, free of charge.") == "en"
    assert by_cld2(SENTENCES["no"][0]) is None
    assert by_cld2("Your order, Ihre Bestellung, votre commande") is None
    assert by_cld2("control \x00 characters \ud800 in a text that goes on for long enough") in (None, "en")


def test_every_listed_language_is_supported_by_the_model():
    assert set(language_detection._model().labels) == {*LANGUAGES, "zxx"}
    assert list(LANGUAGES) == sorted(set(LANGUAGES))


def test_the_doctest_passes():
    assert doctest.testmod(language_detection) == (0, 1)


def measured(records: list[FileRecord]) -> dict[str, dict[str, Any]]:
    """Return the windows of segments by model."""
    watch = Watch(Config())
    watch.apply(records)
    windows = [json.loads(message.value) for message in watch.finish().messages["windows"]]
    return {window["model"]: window["metrics"] for window in windows if window["level"] == "segment"}


def test_a_window_counts_the_languages_of_inputs_and_outputs_unweighted():
    records = [
        record_of(
            nth,
            input=FRENCH[0],
            output=ENGLISH[0] if nth < 4 else "A",
            sample_probability=0.5 if nth % 2 else 0.01,
        )
        for nth in range(8)
    ]
    metrics_by_model = measured(records)["m"]
    assert metrics_by_model["input_language"] == {"n": 8.0, "counts": {"fr": 8.0}}
    assert metrics_by_model["output_language"]["counts"] == {"en": 4.0}


def test_without_texts_there_are_no_languages():
    assert (
        not {"input_language", "output_language"}
        & measured([record_of(nth, output_chars=9) for nth in range(5)])["m"].keys()
    )
