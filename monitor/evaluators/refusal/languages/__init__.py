"""Languages other than English: one a file; ``LANGUAGES`` lists all of them."""

from __future__ import annotations

from monitor.evaluators.refusal.language import Language
from monitor.evaluators.refusal.languages.arabic import ARABIC
from monitor.evaluators.refusal.languages.chinese import CHINESE
from monitor.evaluators.refusal.languages.dutch import DUTCH
from monitor.evaluators.refusal.languages.french import FRENCH
from monitor.evaluators.refusal.languages.german import GERMAN
from monitor.evaluators.refusal.languages.hindi import HINDI
from monitor.evaluators.refusal.languages.indonesian import INDONESIAN
from monitor.evaluators.refusal.languages.italian import ITALIAN
from monitor.evaluators.refusal.languages.japanese import JAPANESE
from monitor.evaluators.refusal.languages.korean import KOREAN
from monitor.evaluators.refusal.languages.polish import POLISH
from monitor.evaluators.refusal.languages.portuguese import PORTUGUESE
from monitor.evaluators.refusal.languages.russian import RUSSIAN
from monitor.evaluators.refusal.languages.spanish import SPANISH
from monitor.evaluators.refusal.languages.swedish import SWEDISH
from monitor.evaluators.refusal.languages.turkish import TURKISH
from monitor.evaluators.refusal.languages.ukrainian import UKRAINIAN
from monitor.evaluators.refusal.languages.vietnamese import VIETNAMESE

LANGUAGES: dict[str, Language] = {
    "de": GERMAN,
    "fr": FRENCH,
    "es": SPANISH,
    "it": ITALIAN,
    "pt": PORTUGUESE,
    "nl": DUTCH,
    "sv": SWEDISH,
    "pl": POLISH,
    "ru": RUSSIAN,
    "uk": UKRAINIAN,
    "tr": TURKISH,
    "ar": ARABIC,
    "hi": HINDI,
    "vi": VIETNAMESE,
    "id": INDONESIAN,
    "zh": CHINESE,
    "ja": JAPANESE,
    "ko": KOREAN,
}
"""ISO 639-1 code -> patterns and examples."""

CONTRAST_MARKERS = (
    r"^(?:aber|jedoch|allerdings|mais|cependant|toutefois|pero|sin embargo|ma|però|tuttavia|mas|porém"
    r"|no entanto|maar|echter|ale|jednak|men (?:jag|det|här|du|vi)|ancak|fakat|namun|tetapi)\b"
    r"|^(?:但是|但|不过|ただし|しかし|но |однако|проте|але |لكن|لكني|लेकिन|nhưng|하지만)"
)
"""Contrastive markers at the start of a sentence after a refusal."""
