"""Formats of keys and tokens that their vendors publish, as data.

Each format is matched inside a word of 16 or more characters, from a place where no letter, digit, ``_`` or
``-`` stands before it. Sources: GitHub's list of secret scanning patterns, the rules of gitleaks and the
detectors of trufflehog, for prefixes and lengths; the vendors' documentation.
"""

from __future__ import annotations

import re

_ALNUM, _WORD, _HEX = "[A-Za-z0-9]", "[A-Za-z0-9_-]", "[0-9a-fA-F]"

# vendor -> format
FORMATS: dict[str, str] = {
    "1Password": rf"A3-[A-Z0-9]{{6}}-(?:[A-Z0-9]{{11}}|[A-Z0-9]{{6}}-[A-Z0-9]{{5}})(?:-[A-Z0-9]{{5}}){{3}}|ops_eyJ{_WORD}{{50,}}",
    "AI providers": (
        rf"sk-(?:proj|svcacct|admin|service|None|ant|or|lf|litellm|cp|user)-{_WORD}{{16,}}|sk-{_ALNUM}{{20,}}(?![-_])"
        rf"|(?:gsk|xai|pplx|csk|tvly)[_-](?=[A-Za-z]{{0,200}}[0-9]){_ALNUM}{{20,}}|(?:r8|fw|jina|e2b"
        rf"|tgp_v1)_(?=[A-Za-z]{{0,200}}[0-9]){_WORD}{{20,}}"
        rf"|tvly-(?:dev|prod)-{_WORD}{{20,}}|lsv2_(?:pt|sk)_{_WORD}{{32,}}|(?:nvapi|pk-lf)-{_WORD}{{20,}}"
        rf"|fc-{_HEX}{{32}}|pcsk_{_WORD}{{40,}}"
        rf"|(?:hf|api_org)_{_ALNUM}{{20,}}|pa-{_ALNUM}{{20}}{_WORD}{{20,}}"
    ),
    "Adobe, Age, Alibaba, Tencent": r"p8e-[a-zA-Z0-9]{32}|AGE-SECRET-KEY-1[A-Z0-9]{50,}|LTAI[A-Za-z0-9]{12,24}(?![A-Za-z0-9])"
    r"|AKID[A-Za-z0-9]{32,36}(?![A-Za-z0-9])",
    "Airtable": rf"pat{_ALNUM}{{14}}\.{_HEX}{{64}}",
    "Artifactory": rf"AKCp{_ALNUM}{{60,}}|cmVmd{_ALNUM}{{59}}",
    "Asana": r"[0-9]/[0-9]{13,18}(?:/[0-9]{13,18})?:[0-9a-f]{32}",
    "Atlassian, Bitbucket": r"AT(?:ATT|CTT|BB|SCA)[A-Za-z0-9_=.-]{24,}",
    "AWS": r"(?:A3T[A-Z0-9]|AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ANVA|AIPA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])|ABSK[A-Za-z0-9+/=]{60,}"
    r"|IQoJb3JpZ2lu[A-Za-z0-9+/=%_-]{40,}|FwoGZXIvYXdz[A-Za-z0-9+/=%_-]{40,}",
    "Azure": r"[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{30,40}|[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{20,}|[A-Za-z0-9]{70,80}AZDO[A-Za-z0-9]{4}",
    "Buildkite, CircleCI": rf"bk[ua]a?_{_HEX}{{40}}|CCI(?:PAT|PRJ)_{_ALNUM}{{16,}}_{_HEX}{{32,}}",
    "Clojars, ClickHouse": rf"CLOJARS_[a-z0-9]{{60}}|4b1d{_ALNUM}{{38}}(?![A-Za-z0-9])",
    "Cloudflare": rf"v1\.0-{_HEX}{{24}}-{_HEX}{{100,}}|cf(?:ut|k|at)_{_WORD}{{36,}}",
    "Contentful, Dropbox": rf"CFPAT-{_WORD}{{40,}}|sl\.(?:u\.)?{_WORD}{{100,}}",
    "Databricks": rf"dapi{_HEX}{{32}}(?:-[0-9])?",
    "DigitalOcean": rf"do[oprc]_v1_{_HEX}{{40,}}",
    "Discord": r"[MNO][A-Za-z0-9_-]{22,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{25,40}",
    "Docker": rf"dck(?:r_pat|r_oat)_{_WORD}{{20,}}",
    "Doppler": rf"dp\.(?:pt|st|ct|scim|audit|sa)\.(?:[a-z0-9_-]{{2,35}}\.)?{_ALNUM}{{40,44}}",
    "Duffel, Dynatrace": rf"duffel_(?:test|live)_[A-Za-z0-9_=-]{{43}}|dt0[a-z][0-9]{{2}}\.{_ALNUM}{{8,24}}\.{_ALNUM}{{64}}",
    "EasyPost": rf"EZ[AT]K{_ALNUM}{{54}}",
    "Facebook": r"EAA[A-Za-z0-9]{80,}|[0-9]{15,16}(?:\||%7C)[A-Za-z0-9_-]{27,40}",
    "Figma": rf"fig[doru]h?_{_WORD}{{36,}}",
    "Flutterwave": rf"FLW(?:SECK|PUBK)(?:_TEST)?-{_ALNUM}{{12,32}}(?:-X)?",
    "Fly.io": r"fo1_[A-Za-z0-9_-]{43}|fm[12][ar]?_[A-Za-z0-9+/]{60,}={0,3}",
    "Frame.io, Freemius": r"fio-u-[A-Za-z0-9_=-]{64}",
    "GitHub": rf"gh[pousr]_{_ALNUM}{{20,}}|github_pat_[A-Za-z0-9_]{{20,}}",
    "GitLab": rf"gl(?:pat|dt|rtr?|ft|imt|agent|cbt|oas|ptt|ffct|soat|wt)-[A-Za-z0-9_.-]{{20,}}|GR1348941{_WORD}{{20}}",
    "Google": rf"AIza{_WORD}{{35}}|ya29\.{_WORD}{{20,}}|GOCSPX-{_WORD}{{24,}}|1//0{_WORD}{{40,}}|AQ\.Ab8{_WORD}{{40,}}",
    "Grafana": rf"gl(?:sa|c)_[A-Za-z0-9+/]{{32,}}={{0,3}}(?:_{_HEX}{{8}})?",
    "Harness": rf"(?:pat|sat)\.{_WORD}{{22}}\.{_ALNUM}{{24}}\.{_ALNUM}{{20}}",
    "HashiCorp": rf"{_ALNUM}{{14}}\.atlasv1\.[A-Za-z0-9_=-]{{60,}}|hv[sbr]\.{_WORD}{{24,}}",
    "Heroku": rf"HRKU-{_WORD}{{36,}}",
    "HubSpot": rf"pat-(?:na|eu|ap)[0-9]-{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}",
    "Infracost": rf"ico-{_ALNUM}{{32}}(?![A-Za-z0-9])",
    "Intra42": rf"s-s4t2(?:ud|af)-{_HEX}{{64}}",
    "JWT": r"eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){0,3}|ZXlK[A-Za-z0-9+/=]{40,}",
    "Klaviyo": rf"pk_{_HEX}{{34}}(?![A-Za-z0-9])",
    "Linear": rf"lin_(?:api|oauth)_{_ALNUM}{{32,}}",
    "LaunchDarkly": rf"(?:sdk|api|mob)-{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}",
    "Mailchimp, Mailgun": rf"{_HEX}{{32}}-us[0-9]{{1,2}}(?![0-9])|(?:pub)?key-{_HEX}{{32}}|{_HEX}{{32}}-{_HEX}{{8}}-{_HEX}{{8}}(?![-0-9a-fA-F])",
    "Mailersend, Mapbox": rf"mlsn\.{_HEX}{{64}}|[ps]k\.eyJ{_WORD}{{20,}}\.{_WORD}{{20,}}",
    "MaxMind": rf"{_ALNUM}{{6}}_{_ALNUM}{{29}}_mmk",
    "MongoDB Atlas": rf"mdb_sa_(?:sk|id)_{_WORD}{{24,}}",
    "Netlify": rf"nf[pcoub]_{_ALNUM}{{36,}}",
    "New Relic": rf"NR(?:AK|II|JS|AL|RA|IQ)-{_WORD}{{19,}}|{_HEX}{{36}}NRAL",
    "Notion": rf"ntn_[0-9]{{11}}{_ALNUM}{{35}}|secret_{_ALNUM}{{43}}",
    "npm, PyPI, crates.io": rf"npm_{_ALNUM}{{30,}}|pypi-{_WORD}{{40,}}|cio{_ALNUM}{{32}}(?![A-Za-z0-9])",
    "NuGet": r"oy2[a-z0-9]{43}(?![a-z0-9])",
    "Octopus": r"API-[A-Z0-9]{25,26}(?![A-Za-z0-9])",
    "Okta": rf"00{_WORD}{{40}}(?![A-Za-z0-9_-])(?<=[A-Za-z].)",
    "OpenShift": rf"sha256~{_WORD}{{43}}",
    "PagerDuty": rf"u\+{_WORD}{{18}}(?![A-Za-z0-9_-])",
    "PEM, in base64": r"LS0tLS1CRUdJTi[A-Za-z0-9+/=]{50,}",
    "Plaid": rf"access-(?:sandbox|development|production)-{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}",
    "PlanetScale, Prefect": rf"pscale_(?:tkn|oauth|pw|app_secret)_[A-Za-z0-9_=.-]{{32,}}|pn[ub]_{_ALNUM}{{36}}",
    "PostHog": rf"ph[cxs]_{_ALNUM}{{30,}}",
    "Postman": rf"PMA[KT]-{_WORD}{{24,}}",
    "Pulumi": rf"pul-{_HEX}{{40}}",
    "ReadMe": r"rdme_[a-z0-9]{70}",
    "Render, Resend": rf"rnd_{_ALNUM}{{28,}}|re_{_ALNUM}{{8}}_{_ALNUM}{{20,}}",
    "RubyGems": rf"rubygems_{_HEX}{{48}}",
    "Scaleway": r"SCW[A-Z0-9]{17}(?![A-Za-z0-9])",
    "Scalingo": rf"tk-us-{_WORD}{{48}}",
    "SendGrid, Sendinblue": rf"SG\.{_WORD}{{16,}}\.{_WORD}{{16,}}|xkeysib-{_HEX}{{64}}-{_ALNUM}{{16}}|xsmtpsib-{_HEX}{{64}}-{_ALNUM}{{16}}",
    "Sentry": r"sntry[usi]_[A-Za-z0-9+/=_-]{40,}",
    "Settlemint, Shippo": rf"sm_(?:aat|pat|sat)_{_ALNUM}{{16,}}|shippo_(?:live|test)_{_HEX}{{40}}",
    "Shopify": rf"shp(?:at|ca|pa|ss|tka|ua)_{_HEX}{{32}}",
    "Slack": r"xox[a-z](?:\.xox[bp])?-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}|xwfp-[A-Za-z0-9-]{10,}",
    "SonarQube": rf"sq[upa]_{_HEX}{{40}}",
    "Sourcegraph": rf"sgp_(?:(?:{_HEX}{{16}}|local)_)?{_HEX}{{40}}|slk_{_HEX}{{64}}",
    "Square": rf"sq0[a-z]{{3}}-{_WORD}{{22,60}}|EAAA{_WORD}{{56,}}",
    "Stripe": rf"sk_{_HEX}{{40,}}(?![A-Za-z0-9])|(?:[srp]k|ek)_(?:live|test|prod)_{_ALNUM}{{10,}}|whsec_[A-Za-z0-9+/=]{{24,}}",
    "Supabase": rf"sb_(?:secret|publishable)_{_WORD}{{20,}}|sbp_(?:v0_)?{_HEX}{{40}}",
    "Tailscale": rf"tskey-[a-z]+-{_WORD}{{20,}}",
    "Telegram": rf"[0-9]{{7,12}}:AA{_WORD}{{30,36}}(?![A-Za-z0-9_-])|[0-9]{{8,10}}:A{_WORD}{{34}}(?![A-Za-z0-9_-])",
    "Twilio": rf"SK{_HEX}{{32}}(?![A-Za-z0-9])",
    "Twitter": r"A{20,}[A-Za-z0-9%]{60,}",
    "Typeform": r"tfp_[A-Za-z0-9_.=-]{40,}",
    "Vercel": rf"vc[aikpr]_{_ALNUM}{{24,}}|vercel_blob_rw_{_ALNUM}{{16,}}_{_ALNUM}{{24,}}",
    "WakaTime": rf"waka_{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}",
    "Yandex": rf"AQVN{_WORD}{{35,38}}|y[0-3]_{_WORD}{{50,}}|t1\.[A-Z0-9a-z_-]+={{0,2}}\.[A-Z0-9a-z_-]{{86}}={{0,2}}",
}
"""A format of each vendor. The names are for readers; a match becomes ``<SECRET>`` whoever issued it."""

_DIGIT = re.compile("[0-9]")
_FORMAT = re.compile(f"(?<![A-Za-z0-9_-])(?:{'|'.join(FORMATS.values())})")
# `KEY_sk-...`: an underscore or dash may stand before these
_FORMAT_INSIDE = re.compile(
    r"(?<=[_-])(?:gh[pousr]_[A-Za-z0-9]{36}|sk-(?:proj|ant)-[A-Za-z0-9_-]{16,}|glpat-[A-Za-z0-9_-]{20,})"
)

_WEBHOOK_PARTS = ("hook", "bot", "ifttt", "googleapis", "logic.azure")
"""Substrings of the addresses below; searched first, because that is fast."""

_WEBHOOK = re.compile(
    r"(?:hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/"
    r"|discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/(?=[0-9])"
    r"|[a-z0-9.-]{1,80}\.webhook\.office\.com/webhookb2/|outlook\.office(?:365)?\.com/webhook/"
    r"|hooks\.zapier\.com/hooks/(?:catch|standard)/|hook\.(?:[a-z0-9]+\.)?(?:make|integromat)\.com/"
    r"|maker\.ifttt\.com/(?:use|trigger/[^\s/]{1,80}/(?:json/)?with/key)/|chat\.googleapis\.com/v1/spaces/"
    r"|open\.(?:feishu\.cn|larksuite\.com)/open-apis/bot/v2/hook/|oapi\.dingtalk\.com/robot/send\?"
    r"|qyapi\.weixin\.qq\.com/cgi-bin/webhook/send\?|[a-z0-9.-]{1,80}\.logic\.azure\.com(?::443)?/workflows/"
    r"|api\.telegram\.org/bot(?=[0-9])|[a-z0-9.-]{1,80}/hooks/(?=[a-z0-9]{26}(?![a-z0-9])))"
    r"([^\s\"'`<>)\]\\]{8,})"
)


# Every format has a row of 20 such characters, or of 25 with dots and signs between them, or a part of the last.
_ROW = re.compile("[A-Za-z0-9_-]{14}")
_LONG_ROW = re.compile("[A-Za-z0-9_-]{20}")
_MIXED_ROW = re.compile("[A-Za-z0-9_.=~+/%|-]{25}")
_SHORT = re.compile(r"k_|xox|SG\.|u\+|LTAI|pat[A-Za-z0-9]{14}|xapp-|xwfp-")  # with a row of 14 to 19
_LEAST_MIXED = 25
_SHORT_PARTS = ("eyJ", "k_", "xox", "SG.", "u+", "LTAI", "pat", "xapp-", "xwfp-")
_ROWS = bytes(
    45 if char.isalnum() or char in "_-" else 43 if char in ".=~+/%|" else 32 for char in map(chr, range(128))
) + bytes([32] * 128)
"""Byte -> ``-`` for the characters of ``_ROW``, ``+`` for the others of ``_MIXED_ROW``, else a space."""
_LONG, _MIXED = b"-" * 20, b"-" * _LEAST_MIXED
_ONLY_UUID = re.compile(r"[^A-Za-z0-9_-]*[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}[^A-Za-z0-9_-]*")


def has_webhook_part(text: str) -> bool:
    """Return whether a text has a part of a webhook address; faster than a look at each word."""
    return "/" in text and any(part in text for part in _WEBHOOK_PARTS)


def has_format_part(text: str) -> bool:
    """Return whether a text has a part of a known format: a row of characters, or letters of the short formats."""
    rows = text.encode("ascii", "replace").translate(_ROWS)
    if _LONG in rows or _MIXED in rows.replace(b"+", b"-"):
        return True
    for part in _SHORT_PARTS:  # noqa: SIM110  # any() takes twice as long
        if part in text:
            return True
    return False


def redact_formats(word: str, may_be_webhook: bool = True) -> str:
    """Replace webhook addresses and the keys of known formats in a word.

    Args:
        word: characters without white space.
        may_be_webhook: result of ``has_webhook_part`` for the text around it.

    >>> redact_formats("token=ghp" + "_" + 36 * "a1"), redact_formats("/sk-blog-about-something-2024")
    ('token=<SECRET>', '/sk-blog-about-something-2024')
    """
    if may_be_webhook and "/" in word:
        word = _WEBHOOK.sub(lambda match: match[0][: match.start(1) - match.start()] + "<SECRET>", word)
    if not _DIGIT.search(word) and "hf_" not in word and "api_org_" not in word:
        return word  # all other formats have digits
    if not _may_be_format(word) or _ONLY_UUID.fullmatch(word):
        return word
    word = _FORMAT.sub("<SECRET>", word)
    if "_gh" in word or "_sk-" in word or "-sk-" in word or "_glpat-" in word or "-gh" in word:
        word = _FORMAT_INSIDE.sub("<SECRET>", word)
    return word


def _may_be_format(word: str) -> bool:
    """Return whether a word has characters in a row as the formats have them; faster than the formats."""
    if "eyJ" in word or (len(word) >= _LEAST_MIXED and _MIXED_ROW.search(word)):
        return True
    return _ROW.search(word) is not None and (
        _LONG_ROW.search(word) is not None or _SHORT.search(word) is not None
    )
