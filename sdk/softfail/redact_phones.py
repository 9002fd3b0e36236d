"""Decide whether a run of digits is a phone number: by country code, national format, or a word beside it.

No library: national formats need no region here because a separator pattern or a word is the evidence
(docs/decisions/0052-redaction-by-evidence.md).
"""

from __future__ import annotations

import re

from softfail.redact_digit_runs import Run
from softfail.redact_numbers import Span

MOST_OF_A_PHONE = 15
"""Digits of a phone number with its country code. Source: ITU-T E.164."""
_NATIONAL_DIGITS = {
    code: (int(least), int(most))
    for code, least, most in re.findall(
        r"([0-9]+):([0-9]+)-([0-9]+)",
        "1:10-10 7:10-10 20:8-10 27:9-9 30:10-10 31:9-9 32:8-9 33:9-9 34:9-9 36:8-9 39:8-11 40:9-9 41:9-9"
        " 43:7-13 44:9-10 45:8-8 46:7-10 47:8-8 48:9-9 49:7-12 51:8-9 52:10-11 53:7-8 54:10-11 55:10-11"
        " 56:9-9 57:8-10 58:10-10 60:8-10 61:9-9 62:8-12 63:8-10 64:8-10 65:8-8 66:8-9 81:9-10 82:8-11"
        " 84:9-10 86:9-11 90:10-10 91:10-10 92:9-10 93:9-9 94:9-9 95:7-10 98:10-10",
    )
}
"""Country code -> digits of a national number. Source: ITU-T E.164 and the national numbering plans."""
_THREE_DIGIT_CODE = re.compile(
    "21[12368]|2[2346][0-9]|25[0-8]|29[0179]|35[0-9]|37[0-8]|38[0-35-79]|42[013]|5[09][0-9]|67[02-9]|68[0-35-9]|69[0-2]"
    "|80[08]|85[02356]|87[08]|88[0-368]|96[0-8]|97[0-79]|99[2-689]"
)

_STRONG = (
    r"(?:phone|telefon[oe]?|t[ée]l[ée]phone|tel[ée]fono|mobile?|m[óo]vil|handy|whats ?app|cellulare|celular|cellphone"
    r"|(?<![a-z])(?:tele?|tlf|ph|cell|mob|fax|gsm|viber|sms|telp|hp|natel|portable|komórka|puhelin|telnr)(?![a-z]{3})"
    r"|телефон|тел|моб|факс|電話|电话|手机|手機|携帯|联系方式|ファックス|전화|휴대폰|연락처|팩스|هاتف|جوال|فون|फोन|मोबाइल|điện thoại|τηλ|โทร)"
)
_LINK = (
    r"(?:[\s:=.,?#(\"'`>\[\\_：;~|/*-]|numbers?|nummer|n[úu]mero|numéro|num|номер|no|nr|n°|is|was|ist|est|es|are"
    r"|at|on|to|or|und|and|y"
    r"|office|work|home|mobile|cell|direct|line|main|private|me|us|her|him|them|me at|international|support"
    r"|contact|of"
    r"|は|が|を|も|是|为|号码|號碼|番号|号|번호|는|은|value|\bid\b(?=\"))"
)
_WEAK = (
    r"(?:(?:(?<![a-z_])(?:call(?: me| us| him| her| them)?(?: back)?|ring(?: me| us| him| her)?|dial|reach(?: me"
    r"| us| him| her| you| them| out)?"
    r"|contact(?: me| us| him| her)?|text(?: me| us| him| her)?|texts? to|messages? to|sms to|office|reached"
    r"|registered|hotline|helpline"
    r"|(?:my|his|her|your|our|their|this|whose|what's (?:his|her|the)|personal|new|emergency|contact|work|home"
    r"|office|direct"
    r"|customer|client|support)(?:'s)?[ _-]number|numer telefonu|"
    # "call" in other languages
    r"ll[áa]m(?:a|e|ame|eme|enos|adme|ar|alo)|marque|liga(?:r|-me)?|ligue|chiam(?:a|ami|ate|atemi|are|i)"
    r"|appel(?:le|ez|er)(?:-moi)?|ring(?:a)?(?: meg| mig)"
    r"|bel(?:len)?(?: me| mij| ons)?|ruf(?:e|en)?(?: mich| sie| uns)?|anrufen|(?:za)?dzwoń|zavolej|volejte"
    r"|soita|hubungi|telepon|gọi|ara(?:yın)?"
    r"|cel|móvel|telemóvel|mobilní)|позвони\w*|звони\w*|набери\w*|зателефонуй\w*|дзвони\w*|номер|اتصل|رقم|कॉल"
    r"|打给|打給|致电)"
    r"(?:[\s:=?'\"]|al|ao|allo?|pod|para o|para|på|au|unter|an|nr|numer|número|numero|nummer|en el|no|на|по|على|"
    r"es|ist|est|è|é|की|पर|di|số|is|'s|was|at|on|to|under|via|has|changed|now|by|number|the|following|please)*)"
)
_BEFORE = re.compile(rf"(?:{_STRONG}(?:{_LINK})*+|{_WEAK})\Z")
_AFTER = re.compile(
    r"\s?[\s(\[,/-]\s?(?:mobile|mobil|cell|phone|tel\b|telephone|fax|home\b|work\b|office\b|handy|whatsapp"
    r"|direct\b|landline|携帯|手机|رقم|هاتف|телефон|mobiel|celular|móvil)",
    re.IGNORECASE,
)
_EXTENSION = re.compile(
    r"(?:;ext=|[ ,]{0,2}(?:(?:x|ext|extn|extension|durchwahl|poste|anexo|ramal|int|доб|toestel)[.: ]{0,2}"
    r"|#))[0-9]{1,6}(?![0-9A-Za-z_])",
    re.IGNORECASE,
)
_UNIT_AFTER = re.compile(
    r"\s?(?:[%€$£¥°]|(?:eur|usd|gbp|chf|jpy|bytes?|[kmgt]i?b|ms|ns|us|µs|sec|seconds?|rows?|items?|events?"
    r"|requests?|tokens?|records?"
    r"|times?|units?|points?|km|kg|m|hz|px|lines?|people|users?|dollars?|euros?)\b)",
    re.IGNORECASE,
)
_ROW_BEFORE = re.compile(
    r"(?:numbers|rows?|values?|series|sequence|draw|lotto|lottery|sizes?|digits|list|array|vector|matrix"
    r"|scores?|bytes|hex|data|columns?|results?"
    r"|counts?|ids?|samples?|indices|index|ports?|codes?|offsets?|years?|range|dates?)\W{0,3}\Z",
)
_NO_PHONE_BEFORE = re.compile(
    r"(?:\bean|\bgtin|\bupc|\bisbn|\bissn|\bimei|\bsku|barcode|order|invoice|serial|account|transaction"
    r"|reference|\bid|\bref|\brfc|\bdoi"
    r"|ticket|block|timestamp|offset|build|version|commit|revision|zip|postcode|postal|pages?|\bpp\.?|price"
    r"|amount|total|epoch|"
    r"case|\bsn|\bpid|\bport|\bline)(?:[\s:=#._\"'-]|number|no|nr|code|is)*\Z",
)
_BETWEEN = " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029:=#._\"'-"
_NO_PHONE_WORDS = (
    "an in pc bn sn ei ku de er ce al nt on id ef fc oi et ck mp ld it ip ge es pp ch se rt ne no nr is"
)
_NO_PHONE_ENDS = frozenset(re.findall("[a-z]+", _NO_PHONE_WORDS))
"""Last two letters of the words above, and of "number", "no", "nr", "code" and "is" after them."""
_SIGNS = frozenset("-+$\u20ac\u00a3^~&")
_JOINTS = frozenset(".,/")
_AMOUNT_BEFORE = re.compile(
    r"(?:\bby|grew|grown|rose|fell|changed|delta|diff|gained|gain|loss|profit|revenue|increased?|decreased?|up"
    r"|down)[\s:=]*\Z"
)
_AMOUNT_ENDS = frozenset(re.findall("[a-z]+", "by ew wn se ll ed ta ff in ss it ue up"))
"""Last two letters of the words above."""
_CLOCK = re.compile(r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])/(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]")


def phone(run: Run) -> Span | None:
    """Return the phone number of a run of digits with its extension, or None."""
    text, digits = run.text, run.all_digits
    if len(digits) > MOST_OF_A_PHONE or not _touches_nothing(run) or len(run.groups) > 7 or _is_no_phone(run):
        return None
    before = run.before(56)
    if _is_named_otherwise(before[-24:]):
        return None
    sign = text[run.start : run.first]
    is_phone = (
        _is_international(run, digits, before)
        if "+" in sign
        else _is_national(run, sign, digits, before) or _is_named(run, digits, before)
    )
    if not is_phone:
        return None
    extension = _EXTENSION.match(text, run.end)
    return Span(run.start, extension.end() if extension else run.end, "<PHONE>")


def _is_no_phone(run: Run) -> bool:
    """Return whether a run is no phone number whatever stands before it: a clock, four numbers with dots."""
    separators = run.separators()
    if "/" in separators and _CLOCK.match(run.text, run.first):
        return True
    return separators == [".", ".", "."] and all(end - start <= 3 for start, end in run.groups)


def _is_named_otherwise(before: str) -> bool:
    """Return whether the name of another number, like "order", stands before a run."""
    tail = before.rstrip(_BETWEEN)[-2:]
    return (tail in _NO_PHONE_ENDS or not tail.isascii()) and _NO_PHONE_BEFORE.search(before) is not None


def _touches_nothing(run: Run) -> bool:
    """Return whether the run is no part of a word, an identifier, a fraction or a time."""
    text, start, end = run.text, run.start, run.end
    previous, one_before = text[start - 1 : start], text[max(0, start - 2) : start - 1]
    if previous in _SIGNS:
        return False
    if previous == ":" and one_before.isdigit():  # the end of a time
        return False
    if previous in _JOINTS and (not one_before or one_before.isalnum() or one_before in "_-/."):
        return False
    after, second = text[end : end + 1], text[end + 1 : end + 2]
    if after == "_" or (after.isascii() and after.isalpha()):
        return bool(_EXTENSION.match(text, end))
    if after == "-" and second.isascii() and (second.isalnum() or second == "-"):
        return False
    return not (after in (".", ",", ":", "/") and second.isdigit())


def _is_international(run: Run, digits: str, before: str) -> bool:
    """Return whether a run with + is a number of E.164: a country code and as many digits as the country has."""
    if not 8 <= len(digits) <= 15 or digits[0] == "0":
        return False
    separators = run.separators()
    joined = "".join(separators)
    if "-" in joined or ")" in joined:
        return True
    if separators == ["."] and len(digits) - len(run.digits(0, 1)) < 9:  # a signed decimal number
        return False
    if _UNIT_AFTER.match(run.text, run.end):
        return False
    if separators and set(separators) == {" "} and _is_amount(before[-24:]):
        return False
    return _has_country_code(digits, 1 if "(0)" in run.text[run.start : run.end] else 0)


def _is_amount(before: str) -> bool:
    """Return whether a word like "grew by" stands before a number with a sign."""
    tail = before.rstrip(_BETWEEN)[-2:]
    return (tail in _AMOUNT_ENDS or not tail.isascii()) and _AMOUNT_BEFORE.search(before) is not None


def _is_hex_row(run: Run) -> bool:
    """Return whether all groups have four digits and two begin with 0, like code points: 0633 0645 0645."""
    return (
        all(end - start == 4 for start, end in run.groups)
        and sum(run.text[start] == "0" for start, _ in run.groups) > 1
    )


def _has_country_code(digits: str, trunk: int) -> bool:
    """Return whether digits begin with a country code and go on with as many as that country has."""
    for size in (1, 2):
        limits = _NATIONAL_DIGITS.get(digits[:size])
        if limits:
            return limits[0] <= len(digits) - size - trunk <= limits[1] + 1
    return bool(_THREE_DIGIT_CODE.match(digits)) and 6 <= len(digits) - 3 - trunk <= 11


def _is_national(run: Run, sign: str, digits: str, before: str) -> bool:
    """Return whether the groups and separators are those of a country's phone numbers."""
    groups, separators, shape = run.groups, run.separators(), run.shape()
    count = len(digits)
    if (
        len(groups) > 6
        or not 8 <= count <= 14
        or any(len(between.strip()) > 2 or "  " in between for between in separators)
    ):
        return False
    joined = "".join(separators)
    sizes = shape.split("-")
    if (
        digits.startswith("00") and sizes[0] != "1" and count >= 10 and len(groups) > 1
    ):  # 00 before a country code
        return (
            "/" not in joined
            and not _is_hex_row(run)
            and _has_country_code(digits[2:], 0)
            and _is_row_free(before)
        )
    nanp = len(sizes) >= 3 and sizes[-3:] == ["3", "3", "4"]
    if (
        nanp
        and digits[0] != "0"
        and (len(sizes) == 3 or (len(sizes) == 4 and digits[0] == "1" and sizes[0] == "1"))
    ):
        area, exchange = digits[-10:-7], digits[-7:-4]
        if "/" in joined:
            return separators == ["/", "-"] and area[0] in "23456789" and exchange[0] in "23456789"
        if ")" in joined or "-" in joined:
            return ")" in joined or "." not in joined or len(sizes) == 4
        return (
            area[0] in "23456789"
            and exchange[0] in "23456789"
            and area not in ("200", "300", "400", "600")
            and len(set(separators[-2:])) == 1
        ) and _is_row_free(before)
    if "(" in sign:  # an area code in brackets
        area = run.digits(0, 1)
        if ")" not in separators[0] if separators else True:
            return False
        year = len(area) == 4 and area[:2] in ("19", "20")
        return (
            2 <= len(area) <= 5
            and not year
            and 8 <= count <= 12
            and len(groups) >= 2
            and len(groups) <= 5
            and "/" not in joined
        )
    if digits[0] == "8" and sizes[:2] == ["1", "3"] and ")" in joined and count == 11:  # Russia
        return True
    if digits[0] == "1" and digits[1] in "3456789" and shape == "3-4-4":  # China
        return _is_row_free(before)
    return digits[0] == "0" and _is_leading_zero(run, sizes, joined, digits, before)


def _is_leading_zero(run: Run, sizes: list[str], joined: str, digits: str, before: str) -> bool:
    """Return whether a number with a trunk 0 is grouped like one: an area code, then two to eight digits each."""
    count = len(digits)
    if not 9 <= count <= 12 or len(sizes) < 2 or digits[1] == "0" or not _is_row_free(before):
        return False
    if _is_hex_row(run):
        return False
    if sizes == ["5", "4"] and joined == "-":  # a US postal code
        return False
    if not (2 <= int(sizes[0]) <= 5 or ")" in joined) or any(
        int(size) < 2 or int(size) > 8 for size in sizes[1:]
    ):
        return False
    if "/" in joined:
        return (
            joined.count("/") == 1
            and "/" in run.separators()[0]
            and run.before(1) != "["
            and int(sizes[1]) >= 2
        )
    if "." in joined:
        return set(joined) == {"."} and (
            sizes == ["2"] * 5
            or (len(sizes) in (3, 4) and 9 <= count <= 11 and int(sizes[0]) <= 4 and sizes[1] != "1")
        )
    return True


def _is_named(run: Run, digits: str, before: str) -> bool:
    """Return whether seven or more digits stand beside a word like "phone"."""
    if len(digits) < 7 or len(run.groups) > 6:
        return False
    if any("  " in between for between in run.separators()) and len(run.groups) > 3:
        return False
    if _BEFORE.search(before):
        return True
    return bool(_AFTER.match(run.text, run.end)) and len(digits) >= 8 and _is_row_free(before)


def _is_row_free(before: str) -> bool:
    """Return whether neither another number nor a word like "values" stands before a run."""
    tail = before.rstrip()
    return not (tail[-1:].isdigit() and before[-1:] == " ") and not _ROW_BEFORE.search(before[-20:])
