"""Patterns of English answers that are withheld: no access, no opinion, no knowledge. Form as in ``english``."""

from __future__ import annotations

from monitor.evaluators.refusal.english import CANNOT

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
    r"|answer|diagnos(?:e|ing)|prescrib(?:e|ing)|interpret|analy[sz](?:e|ing)|reproduc(?:e|ing) (?:\S+ ){0,3}?(?:lyrics|texts?"
    r"|articles?|poems?|songs?|passages?|chapters?|material)|quot(?:e|ing)"
    r" (?:the|from)"
    r"|find (?:any |the |an? |that |this |specific |relevant |more )?(?:\w+ )?"
    r"(?:information|answer|data|details|results?|mention|reference|record)"
    r")"
)
_ACCESS = (
    r"(?:access(?:ing)?|see|view|hear|open|read|watch|play|display|visit|listen to|look at|show) (?:\S+ ){0,4}?"
    r"(?:images?|photos?|pictures?|videos?|audio|files?|attachments?|documents?|links?|web ?sites?|urls?"
    r"|internet|web|pages?|screens?|content|camera|accounts?|data(?:bases?)?|information|records?|emails?"
    r"|orders?|systems?)"
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

WITHHELD_ANSWERS = {
    "no_access": (
        rf"{CANNOT}(?:directly )?{_ACCESS}\b"
        r"|\bI (?:do not|don't|currently don't) (?:\w+ )?have (?:\w+ ){0,3}?access\b"
    ),
    "cannot_say": CANNOT + r"(?:(?:" + _EXPRESS[3:-1] + r")\b)",
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
    "never_does": (
        r"^(?:to \w+ \w+, |for (?:\w+ ){1,2}reasons,? )?I (?:(?:do not|don't) (?:\w+ )?(?:write|create|generate"
        r"|produce|identify|assist|promote|support|reveal)|(?:never|would never|will never) (?:share|provide|help"
        r"|assist|reveal|disclose|give|write|support)) \w+"
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
    "cannot": (
        r"^(?:(?:I'm (?:\w+ )?(?:afraid|sorry)|\w+ly),? (?:but )?)?I(?: can ?not| can't| am (?:unable|not able) to|'m"
        r" (?:unable|not able) to) \w+[^:]{0,50}$"
    ),
}
"""Kind -> pattern of a withheld answer; an answer may still follow."""

TRIGGER_PATTERNS = {
    "as_an_ai": (
        rf"\b(?:as|being|am|I'm|by) (?:just |only |merely |simply )?(?:an? |the )?(?:\w+[ -])*\b{_AI_NOUN}"
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
