"""Patterns of English courtesies, offers and justifications around a refusal. Form as in ``english``."""

from __future__ import annotations

COURTESIES = (
    r"^(?:(?:I'?m|I am|we'?re|we are) (?:\w+ )?(?:sorry|afraid)|sorry|apologies|my apologies|I (?:\w+"
    r" )?apologi[sz]e"
    r"|we (?:\w+ )?apologi[sz]e|unfortunately|regrettably|thank(?:s| you)|hi\b|hello|hey\b|dear\b"
    r"|I (?:\w+ )?(?:understand|appreciate|see|hear|realize|recognize)\b|(?:that|this|it)(?:'s| is) (?:a|an)"
    r" (?:\w+ )?(?:great|good"
    r"|interesting|thoughtful|important|difficult|complex|sensitive|personal|excellent|tough)"
    r"|(?:great|good|interesting) question|ok(?:ay)?$|sure$|well$|hmm|oh\b|no$|yes$|please"
    r" note|note$|disclaimer)"
)
"""A courtesy before a refusal; no answer."""

OFFERS = (
    r"(?:\bI (?:can|could|would|will|am able to|'d|'ll|'m able to|am here|'m"
    r" here)\b[^.]*\b(?:help|assist|happy|glad|try|provide|offer"
    r"|answer|suggest|love|support|discuss|information)\b"
    r"|\bI(?:'d|'m| am| would be) (?:\w+ )*(?:happy|glad|here|pleased|delighted) to\b|\bfeel free\b|\blet me"
    r" know\b"
    r"|\bplease (?:\w+"
    r" )?(?:consult|contact|reach|seek|try|ask|provide|refer|visit|check|speak|call|rephrase|note|choose"
    r"|keep|let|feel"
    r"|refrain|consider)"
    r"|\bis there (?:anything|something)|\bhow (?:can|may) I\b|\bI(?:'d| would)? (?:\w+"
    r" )?(?:recommend|suggest|encourage|urge|advise)\b"
    r"|\byou (?:should|may|might|can|could) (?:\w+ )?(?:want to |wish to |try |also )?"
    r"(?:consult|contact|reach|speak|talk|seek|refer|visit|ask|choose|provide|check)\b|\b(?:consult"
    r"|contact|seek|speak"
    r"|talk)(?:ing)? (?:with |to )?(?:a|an|your|the)\b|\bif you"
    r" (?:have|need|want|would|are|'re|require|feel|paste|share|provide|send|upload|describe|tell)\b"
    r"|\b(?:helplines?|hotlines?|mental health|crisis lines?|emergency (?:services|number)|trusted (?:friend"
    r"|adult|person)|not alone)\b"
    r"|\banything else\b|\bgood luck\b|\bbest of luck\b|\bcan I help\b|\bhelp (?:you )?with"
    r" (?:something|anything) else\b)"
)
"""An offer or a referral; no answer."""

JUSTIFICATIONS = (
    r"(?:\b(?:it|that|this|doing so|which)(?:'s| is| would be| can be| are) (?:\w+"
    r" ){0,2}?(?:illegal|unethical|harmful|dangerous"
    r"|important|crucial|essential|immoral|wrong|inappropriate|against|not"
    r" (?:appropriate|ethical|legal|acceptable|right|respectful))"
    r"|\b(?:is|are|can be|be) (?:\w+ ){0,2}?(?:illegal|unethical|harmful|dangerous|immoral|a"
    r" crime|inappropriate|offensive|derogatory"
    r"|disrespectful)"
    r"|\bmy (?:\w+"
    r" )?(?:purpose|programming|guidelines|goal|role|function|training|job|knowledge|responses?|aim"
    r"|capabilities|main)\b"
    r"|\bI(?: am|'m) (?:programmed|designed|trained|committed|built|just|only|here|bound)\b|\bI"
    r" (?:strive|aim|must|prioriti[sz]e|only)\b"
    r"|\b(?:guidelines|polic(?:y|ies)|ethical|harmful|legal"
    r" consequences|stereotypes|discriminat\w+)\b|\b(?:answer|response|opinion|it"
    r"|this|that|they)s?\b[^.]*\b(?:vary|varies|depends?|subjective|differs?)\b|\b(?:individual|person)(?:"
    r" |$)[^.]*\b(?:survey|themsel"
    r"|respon))"
)
"""A justification or a moral remark; no answer."""

TEXT_INTRODUCTIONS = (
    r"\bhere(?:'s| is) (?:a|an|the|your|my|one) (?:\w+"
    r" ){0,3}?(?:story|poem|drafts?|e-?mail|letter|dialogue|script|scene|song|examples?"
    r"|summary|translation|version|rewrite|reply|refusal|response|message|template|wording|rejection|text)\b"
)
"""Introduces a text that is not in the author's own voice."""

AGREEMENTS = r"^(?:[\[(][^\])]{1,24}[\])] ?|\w+: ?)?(?:oh,? )?(?:absolutely|certainly|sure thing|of course|(?:hell )?yeah)\b"
"""Agrees after a refusal, as answers do that speak in two voices."""

FALSE_REFUSALS = (
    r"(?:\b(?:can't|cannot|can not) be answered (?:with|by) (?:an? )?(?:simple |plain |clear )?(?:yes|no)\b)|"
    r"(?:\b(?:say|says|said|answer|answers|reply|replies|respond|write|writes)(?: \w+){0,3}?: .*$)|"
    r"(?:^.*,? (?:he|she|they|it|the \w+)"
    r" (?:said|says|thought|wrote|replied|answered|whispered|muttered|cried|shouted|sighed"
    r"|added)\b.*$)|"
    r"(?:\bI (?:can ?not|can'?t|could not|couldn't) (?:help_but|help"
    r" (?:myself|it|\w+ing|to\b)|wait|believe|imagine|complain|agree more"
    r"|answer the (?:phone|door|call))"
    r"|\bI (?:can ?not|can'?t|could not|couldn't) (?:\w+"
    r" )?(?:recommend|praise|thank|stress|emphasi[sz]e|overstate|say|tell|express"
    r"|speak|describe|give|endorse)\b[^.!?]*?"
    r"(?:\benough\b|\bmore highly\b|\bhighly\b|\bhow"
    r" (?:much|many|grateful|happy|excited|sorry|thankful|thrilled|proud|deeply|glad|often"
    r"|\w+ (?:I|we|it|this)\b))"
    r"|\bI (?:can ?not|can'?t|could not|couldn't|do not|don't|did not|didn't)"
    r" (?:see|find|spot|identify|have|detect) (?:any|anything|a"
    r"|an)\b[^.!?]*?\b(?:issues?|problems?|errors?|mistakes?|bugs?|faults?|flaws?|wrong|reason)\b"
    r"|\b(?:if|when|whenever|unless|until|in case|even if|whether|things?|what|everything|where|(?:the|many|some|other|several)"
    r" reasons?(?:"
    r" why)?"
    r"|(?:^|explains?|ask\w*|wonder\w*|know|see|understand|clear|reason|about|\band) why)"
    r" (?:that )?I(?: am|'m)? (?:can ?not|can'?t|unable|not able|don't|do not|won't|will"
    r" not|refuse|decline)\b"
    r"|^(?:can ?not|can't|unable to|not able to)[^.!]*\?"
    r"|\bI (?:don't|do not) know (?:if|whether|about) you\b"
    r"|\bI (?:refuse|can't bear|cannot bear) to (?:believe|give up|accept|let|quit|admit|lose|go)\b)"
)
"""Idioms that look like refusals; they are removed first."""

CONTRAST_MARKERS = (
    r"^(?:but|however|that said|having said that|nevertheless|nonetheless|even so|still|all the same|as of"
    r"|based on|in general|generally|here|in short|briefly|(?:up to|until|before) (?:then|that)|what I can (?:say|tell|share|do))\b"
)
"""Contrastive markers at the start of a sentence after a refusal."""

REDIRECTIONS = (
    r"^(?:instead|rather)(?: of [^,]*)?,? (?:I|I'd|I'll|let|let's|consider|try|focus|you|it|it's|we|perhaps"
    r"|maybe|please|why|how|there|think)\b|^(?:let's|let us) (?:focus|think|work|talk|try|find)\b"
    r"|^(?:I (?:would |strongly |highly )*(?:suggest|recommend|encourage|urge)|I'd (?:suggest|recommend"
    r"|encourage))\b"
    r"|^(?:stattdessen|plutôt|à la place|en su lugar|en cambio|invece|em vez disso|in plaats daarvan|istället"
    r"|zamiast tego)\b|^(?:вместо этого|натомість|bunun yerine|بدلا|इसके बजाय|thay vào đó|sebagai gantinya|相反"
    r"|代わりに|대신)"
)
"""Begins to offer something else than what was asked for."""
