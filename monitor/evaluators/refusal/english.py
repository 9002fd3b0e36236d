"""Patterns of English refusals: subject, negated modality (ability or will), and the refused action.

Patterns are RE2 for one clause of plain text (straight apostrophes, single spaces), matched
case-insensitively.
"""

from __future__ import annotations

_ADVERB = r"(?:(?:\w+ly|also|just|still|however|at this time|at the moment|afraid|sorry),? )?"
_TO = (
    r"(?:able|allowed|permitted|authori[sz]ed|designed|programmed|equipped|trained|qualified|supposed"
    r"|intended|built|configured"
    r"|in a position|going|willing) to"
)
_CANNOT = (
    rf"(?:\bI,? {_ADVERB}(?:can ?not|can'?t|won'?t(?: be able to)?|shouldn't|should not|will not(?: be able"
    r" to)?|(?:would not"
    rf"|wouldn't) be able to"
    rf"|refuse to|"
    rf"(?:do not|don't) (?:feel comfortable|feel able to|wish to|want to))"
    rf"|\bI(?: am|'m) {_ADVERB}(?:unable to|not {_TO}|incapable of|unwilling"
    r" to|(?:prohibited|forbidden|prevented"
    rf"|restricted) from|not (?:at all )?comfortable(?: with)?)"
    rf"|^(?:sorry,? |unfortunately,? |apologies,? )*(?:can ?not|can't|unable to|not able to)) {_ADVERB}"
)
_WE_CANNOT = (
    rf"\bwe(?: {_ADVERB}| )(?:can ?not|can'?t|won'?t be able to|will not be able to|are"
    rf" {_ADVERB}(?:unable|not able) to"
    rf"|'re {_ADVERB}(?:unable|not able) to) {_ADVERB}"
)
_ASSIST = (
    r"(?:help(?:ing)?|assist(?:ing)?|aid(?:ing)?|fulfil{1,2}(?:ing)?|comply(?:ing)?|answer(?:ing)?"
    r"|engag(?:e|ing)"
    r" (?:in|with)"
    r"|participat(?:e|ing)"
    r"|support(?:ing)?|condon(?:e|ing)|facilitat(?:e|ing)|accommodat(?:e|ing)|proceed|continu(?:e|ing)"
    r" (?:with|this"
    r"|the conversation)|process (?:this|that|your|the) \w+"
    r"|complet(?:e|ing) (?:this|that|your|the) (?:task|request)|do(?:ing)? (?:that|this|so)|carry out"
    r" (?:this|that|your|the)"
    r"|satisfy (?:this|that|your)|grant"
    r"|respond(?:ing)? to (?:this|that|your|such|the)|discuss(?:ing)?|entertain|tak(?:e|ing) part|cater|be of"
    r" (?:any )?(?:help"
    r"|assistance|service)"
    r"|provid(?:e|ing) (?:you with )?(?:\w+"
    r" )?(?:assistance|help|support|instructions|guidance|that|this|such)|handle (?:this"
    r"|that|your))"
)
_EXPRESS = (
    r"(?:provid(?:e|ing)|giv(?:e|ing)|offer(?:ing)?|shar(?:e|ing)|tell(?:ing)?"
    r" (?:you|if|whether|what|which|who|from|for)"
    r"|say (?:whether|if|what|which|who|how|for|with)"
    r"|express(?:ing)?|generat(?:e|ing)|creat(?:e|ing)|writ(?:e|ing)|produc(?:e|ing)|mak(?:e|ing) (?:a |an"
    r" |any |such |personal "
    r"|predictions|judge?ments|decisions|recommendations|assumptions)"
    r"|predict|determin(?:e|ing)|verify|confirm|brows(?:e|ing)|search(?:ing)?"
    r" (?:the|for)|retriev(?:e|ing)|look(?:ing)? up"
    r"|identify|translat(?:e|ing)|summari[sz](?:e|ing)"
    r"|speculat(?:e|ing)|comment(?:ing)?|advis(?:e|ing)|recommend(?:ing)?|suggest(?:ing)?|endors(?:e|ing)"
    r"|promot(?:e|ing)"
    r"|encourag(?:e|ing)|disclos(?:e|ing)|reveal(?:ing)?"
    r"|describ(?:e|ing)|explain(?:ing)?|evaluat(?:e|ing)|assess(?:ing)?|judge|rate|choos(?:e|ing)"
    r"|select(?:ing)?|state|tak(?:e"
    r"|ing) (?:a |any |sides)|form|perform"
    r"|send (?:you|emails?|messages?)|execut(?:e|ing)|run (?:code|this|that|the|your)|act"
    r" as|role-?play|pretend|impersonat(?:e"
    r"|ing)|draw|guarantee|reply|respond(?:ing)?|talk(?:ing)? about"
    r"|answer|diagnos(?:e|ing)|prescrib(?:e|ing)|interpret|analy[sz](?:e|ing)|reproduc(?:e|ing)|quot(?:e|ing)"
    r" (?:the|from)"
    r"|find (?:any |the |an? |that |this |specific |relevant |more )?(?:\w+ )?"
    r"(?:information|answer|data|details|results?|mention|reference|record)"
    r"|(?:see|view|hear|open|access|read|watch|play|display|visit|listen to|look at|show) (?:\S+"
    r" ){0,4}?(?:images?|photos?"
    r"|pictures?|videos?|audio|files?|attachments?|documents?|links?"
    r"|web"
    r" ?sites?|urls?|internet|web|pages?|screens?|content|camera|accounts?|data(?:bases?)?|information"
    r"|records?|emails?))"
)
_AI_NOUN = (
    r"(?:AI|A\.I\.|artificial intelligence|(?:large )?language model|machine learning model|chat"
    r" ?bot|(?:virtual|digital) assistant"
    r"|computer program)"
)
_AI = (
    r"(?:an? |the )?(?:\w+[ -]){0,3}?"
    + _AI_NOUN
    + r"(?: \(?(?:language|model|assistant|chatbot|system|program|developed|created|trained|made|designed"
    r"|tool|based|AI)\b[^,.;]*)?"
)
_NOT = (
    r"(?:n't|\bnot\b|\bcannot\b|\bunable\b|\bno\b|\black\b|\bincapable\b|\bneutral\b|\bwithout\b"
    r"|\bneither\b|\bnever\b|\bonly\b"
    r"|\bdecline\b)"
)
_PERSONAL = (
    r"(?:opinions?|beliefs?|feelings?|emotions?|preferences?|experiences?|views?|viewpoints?|values?"
    r"|perspectives?|perceptions?"
    r"|attitudes?|tastes?|interpretations?"
    r"|understanding|judge?ments?|knowledge|circumstances?|situations?|assessments?|choices?|predictions?"
    r"|expectations?"
    r"|thoughts?|identity|lives|life|habits?|priorities)"
)
_INFORMATION = (
    r"(?:favou?rites?|access|ability|abilities|capability|capabilities|capacity|information|data|details"
    r"|knowledge|context"
    r"|insight|means"
    r"|answers?|authority|"
    r"physical (?:body|form)|consciousness|" + _PERSONAL + r")"
)
_IT = (
    r"\b(?:this|that|it|these|(?:the|your|my|an?|any) (?:\w+"
    r" )?(?:answers?|questions?|responses?|opinions?|information)|answers?"
    r"|responses?|opinions?)(?: \w+){0,3}?"
)

DIRECT_REFUSALS = {
    "cannot_help": _CANNOT + _ASSIST + r"\b",
    "we_cannot_help": (
        _WE_CANNOT
        + r"(?:help(?: you)? with|assist|fulfil{1,2}|comply with|answer (?:this|that|your|such)|process"
        r" (?:this"
        r"|that|your) request|provide (?:assistance|help))\b"
    ),
    "declines": (
        r"\bI(?:'m| am|'ll|'d)? (?:\w+ ){0,4}?(?:decline|refuse)\b(?:"
        r" (?:to|this|that|your|the|any|such|answering|providing"
        r"|helping|discussing|participating|engaging|giving|sharing)\b|[.!,]|$)"
    ),
    "rather_not": (
        r"\bI(?:'d| would) (?:\w+ )?(?:rather|prefer) not(?: to)?"
        r" (?:answer|discuss|say|share|talk|engage|continue|comment"
        r"|go into|get into|respond|provide|give|take (?:sides|part)|help|speculate)\b|\bI(?:'d| would)"
        r" prefer to (?:stop|end|not)\b"
        r"|\bI (?:try|tend|aim"
        r"|choose|prefer) not to (?:share|discuss|express|give|take|answer|continue|engage|talk|comment)\b"
        r"|\blet's (?:talk about|try|change|move on to|switch to|discuss) (?:something else|(?:a|the)"
        r" (?:different |other "
        r"|new )?(?:topic|subject)|another (?:topic|subject))\b"
    ),
    "against_rules": (
        r"\b(?:against|violates?|violation of|goes against|contrary to|conflicts? with|outside(?: of)?|not"
        r" within"
        r"|beyond) (?:my|our|openai's|the (?:content|usage|safety|community)) (?:\w+ ){0,3}?"
        r"(?:programming|guidelines|polic(?:y|ies)|principles|rules|terms|scope|capabilities|purpose"
        r"|expertise)\b"
        r"|\bmy (?:\w+ )?(?:programming|guidelines|instructions|polic(?:y|ies)) (?:\w+ )?(?:do not|don't|does"
        r" not|doesn't"
        r"|prohibits?|prevents?|forbids?|restricts?)"
    ),
    "cannot_be_done": (
        r"\b(?:your|this|that|the|such) (?:request|prompt|query|question|input|message) (?:\w+"
        r" )?(?:cannot|can't"
        r"|could not|couldn't|can not) be (?:\w+ )?"
        r"(?:fulfil{1,2}ed|processed|completed|answered|accommodated|met)"
    ),
    "inappropriate": (
        r"\b(?:it (?:is|would be|'s)|that (?:is|would be|'s)|it's|that's) (?:\w+ )?(?:inappropriate|unethical"
        r"|not (?:\w+ )?(?:appropriate|ethical|possible|within my|my place)|illegal"
        r"|irresponsible|impossible|wrong) (?:for (?:me|an ai\b[^,.;]*) )?to (?:\w+ )?"
        r"(?:" + _ASSIST[3:-1] + "|" + _EXPRESS[3:-1] + r")\b"
    ),
    "out_of_scope": (
        r"\bI(?: am|'m)? ?(?:can |could )?only (?:able to )?(?:help|assist|answer|discuss|respond|provide"
        r" information"
        r"|talk)\b"
        r"|\b(?:outside|beyond) (?:of )?(?:my|what I can|the scope of (?:what|my))\b|\bI(?:'ll"
        r"| will) (?:have to )?pass on (?:this|that)\b"
        r"|\bsomething I (?:can ?not|can't|won't|am not able to|'m not able to)"
        r" (?:do|help|assist|answer|discuss|talk)\b"
    ),
    "not_done": (
        r"\b(?:that|this|it)(?: is|'s) not something (?:that )?(?:I|we)(?: can|'m| am| will|'re|"
        r" are)\b|\bthere(?: is"
        r"|'s) nothing I can (?:do|say)\b"
    ),
}
"""Kind -> pattern of a direct refusal, which courtesies around it do not weaken."""

WITHHELD_ANSWERS = {
    "cannot_say": _CANNOT + r"(?:(?:" + _EXPRESS[3:-1] + r")\b)",
    "could_not": (
        r"\b(?:I|we) (?:was|were|am|'m) ?(?:not able|unable) to"
        r" (?:find|locate|answer|generate|retrieve|process|understand"
        r"|complete|determine)\b"
        r"|\bI (?:could not|couldn't|did not|didn't|can ?not|can't) (?:find|locate|retrieve|see) (?:any |an"
        r" |the |enough "
        r"|relevant |specific |sufficient |a )?(?:\w+ )?"
        r"(?:information|answers?|data|details|results?|mention|records?|documents?)\b"
    ),
    "has_no": (
        r"\bI(?: \w+ly| still| also)? (?:do not|don't|do n't|did not|didn't) (?:\w+ly )?(?:have|possess"
        r"|hold)\b(?: \w+[- ]?\w*,?){0,4}? " + _INFORMATION + r"\b"
        r"|\bI (?:have no|lack|'ve no)\b(?: \S+){0,3}? (?:idea|way|" + _INFORMATION[3:] + r"\b"
    ),
    "does_not_know": (
        r"(?:^|sorry,? |afraid |unfortunately,? |honestly,? )I (?:do not|don't|really don't|do not really)"
        r" know\b"
        r"|^I(?:'m| am) not (?:\w+ )?(?:sure|certain|aware)\b(?:$| (?:how|what|if|whether|of|about)\b)|^(?:no"
        r" comment"
        r"|no answer|no response)$"
        r"|^(?:that|this|it)(?:'s| is) (?:a )?(?:unknown|impossible to (?:say|answer|know|determine))"
    ),
    "as_an_ai": (
        rf"\b(?:because|since|as) I(?: am|'m) (?:just |only )?{_AI}(?:$|,)|"
        rf"\b(?:as|being|since i am|since i'm|because i am|because i'm) {_AI}(?:,| and| I\b)[^.]*{_NOT}"
        rf"|\bI(?: am|'m) (?:just |only |merely |simply )?{_AI}\b[^.]*{_NOT}|\bI(?: am|'m)"
        rf" (?:just|only|merely|simply) {_AI}"
        rf"|\b(?:answered|done|provided|given|decided) by an (?:AI|artificial)"
    ),
    "did_not_understand": (
        r"\bI (?:did not|didn't|do not|don't) (?:quite |fully )?(?:understand|get|catch) (?:that|you|your|the"
        r" question"
        r"|what)\b|\bI(?: am|'m) still learning\b"
    ),
    "context_lacks": (
        r"\b(?:the|this|your) (?:\w+ ){0,2}?(?:context|documents?|text|passage|articles?|sources?|search"
        r" results"
        r"|knowledge base|information|data) "
        r"(?:\w+ ){0,2}?(?:does not|doesn't|do not|don't) (?:contain|provide|include|have"
        r"|give) (?:\w+ ){0,3}?(?:information|details?|answers?)\b"
        r"|\banswer (?:is|was) not (?:provided|given|mentioned|found|available|contained|stated) in\b"
        r"|\bthere(?: is|'s) no (?:\w+"
        r" )?(?:information|mention)\b[^.]*\b(?:context|documents?|text|passage|article)\b"
        r"|^not enough information(?: (?:provided|given|available))?$"
    ),
    "opinions_differ": (
        r"\b(?:everyone|different people|people|each person) (?:has|have|may have|hold|holds)"
        r" (?:different|their own"
        r"|varying) (?:opinions?|views?|beliefs?|preferences?|perspectives?|tastes?)"
        r"|\b(?:opinions?|views?|answers?) (?:on (?:this|that) )?(?:may |can |will |would"
        r" )?(?:differ|vary)\b(?: (?:on"
        r"|about|by|from|widely|greatly)\b|$)|\bup to (?:each|every|the) (?:individual|person)\b"
    ),
    "does_not_do": (
        r"\bI (?:do not|don't) (?:\w+ )?(?:provide|offer|give|discuss|engage in|answer|share|express|take"
        r" (?:sides|positions)"
        r"|comment)\b"
    ),
    "subjective": (
        rf"\bthere(?: is|'s) no (?:single )?(?:right or wrong|correct|definitive) answer\b|{_IT}(?:,?"
        r" (?:is|are|would be"
        rf"|may be|can be)|'s) (?:\w+ ){{0,4}}?(?:subjective"
        rf"|a matter of (?:personal )?(?:{_PERSONAL[3:]}(?:$|,| and | or ))|\bthis is a (?:\w+"
        r" )?(?:subjective"
        rf"|personal) (?:question|matter)"
    ),
    "depends": (
        rf"{_IT}(?: and)? (?:(?:would|will|may|might|can|could) )?(?:\w+ )?(?:depends?|(?:is"
        r" )?dependent|var(?:y|ies)"
        rf"|differs?)\b[^.]*\b(?:individual|person|personal|respondent|people|{_PERSONAL[3:]}\b"
    ),
    "not_answerable": (
        rf"{_IT} (?:can ?not|can't|could not) (?:\w+ )?be (?:\w+ly )?(?:answered|determined|provided|given)\b"
        r"|\b(?:not|isn't|is not) (?:\w+ )?(?:applicable|relevant) to (?:me|an AI)\b|\bthere(?: is|'s| isn't"
        r"| is not) (?:not enough|no|insufficient|enough|sufficient) information "
        r"(?:\w+ ){0,3}?to (?:answer|respond)|\bthere is no (?:definitive|objective|universal) answer to this"
        r" question\b"
        r"|^(?:this|the|that|your) question (?:requires?|asks? for|is asking for|involves?) (?:a |an "
        r"|your )?(?:\w+ )?personal (?:opinion|information|experience|judge?ment|belief|preference)"
    ),
}
"""Kind -> pattern of a withheld answer; an answer may still follow."""

TRIGGER_PATTERNS = {
    "inappropriate": (
        r"\b(?:inappropriate|unethical|not (?:\w+ )?(?:appropriate|ethical|possible|within my|my"
        r" place)|illegal"
        r"|irresponsible|impossible|wrong) (?:for (?:me|an AI)\b|to )"
    ),
    "as_an_ai": (
        rf"\b(?:as|being|am|I'm|by) (?:just |only |merely |simply )?(?:an? |the )?(?:\w+[ -])*{_AI_NOUN}"
    ),
    "subjective": (
        rf"\bsubjective\b|\bthere(?: is|'s) no (?:single )?(?:right or wrong|correct|definitive) answer\b"
        rf"|\ba matter of (?:personal )?{_PERSONAL}|\bthis is a (?:\w+ )?personal (?:question|matter)"
    ),
    "depends": (
        rf"\b(?:depends?|dependent|depending|vary|varies|differs?)\b[^.]*\b(?:individual|person|personal"
        rf"|respondent|people"
        rf"|{_PERSONAL[3:]}"
    ),
    "not_answerable": (
        r"\b(?:can ?not|can't|could not) (?:\w+ )?be (?:\w+ly )?(?:answered|determined|provided|given)\b"
        r"|\bapplicable to (?:me|an AI)|\brelevant to (?:me|an AI)"
        r"|\b(?:enough|no|insufficient|sufficient) information (?:\w+ )*to (?:answer|respond)|\banswer to"
        r" this question\b"
        r"|\bquestion (?:\w+ )+personal\b"
    ),
}
"""Kind -> cheaper pattern for raw text, for kinds whose own pattern begins with frequent words.

It must match wherever the pattern of the kind matches.
"""
