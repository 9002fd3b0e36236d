"""Names of languages and formats of texts."""

from __future__ import annotations

from softfail.sanitize import sanitize

FORMATS = {
    "empty": "empty",
    "json": "JSON",
    "code_fence": "in code fences",
    "table": "tables",
    "code": "bare code",
    "headings": "Markdown with headings",
    "list": "lists",
    "prose": "prose",
}
LANGUAGES = {
    **{"af": "Afrikaans", "ar": "Arabic", "az": "Azerbaijani", "be": "Belarusian", "bg": "Bulgarian"},
    **{"bn": "Bengali", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek"},
    **{"en": "English", "es": "Spanish", "et": "Estonian", "eu": "Basque", "fa": "Persian", "fi": "Finnish"},
    **{"fr": "French", "gu": "Gujarati", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian"},
    **{"hy": "Armenian", "id": "Indonesian", "is": "Icelandic", "it": "Italian", "ja": "Japanese"},
    **{"ka": "Georgian", "kk": "Kazakh", "kn": "Kannada", "ko": "Korean", "lt": "Lithuanian"},
    **{"lv": "Latvian", "mk": "Macedonian", "ml": "Malayalam", "mr": "Marathi", "nl": "Dutch"},
    **{"no": "Norwegian", "pa": "Punjabi", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian"},
    **{"ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sq": "Albanian", "sr": "Serbian"},
    **{"sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "th": "Thai", "tl": "Tagalog"},
    **{"tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese"},
}


def label_name(category: str, label: str) -> str:
    """Return the name of a language or format; a label that has none is shown as it is.

    >>> label_name("output_language", "de"), label_name("output_format", "code"), label_name("x", "new")
    ('German', 'bare code', 'new')
    """
    names = FORMATS if category == "output_format" else LANGUAGES
    return names.get(label) or sanitize(label, 100) or "empty"
