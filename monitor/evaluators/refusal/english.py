"""Patterns of English refusals: subject, negated modality (ability or will), and the refused action.

Patterns are RE2 for one clause of plain text (straight apostrophes, single spaces), matched
case-insensitively.
"""

from __future__ import annotations

_ADVERB = r"(?:(?:\w+ly|also|just|still|however|at this time|at the moment|afraid|sorry|in good conscience|not even),? )?"
_TO = (
    r"(?:able|allowed|permitted|authori[sz]ed|designed|programmed|equipped|trained|qualified|supposed"
    r"|intended|built|configured|in a position|going|willing|prepared|inclined|at liberty|free|here) to"
)
_TWICE = (  # "cannot and will not"
    r"(?:,? (?:and|or|nor) (?:I )?(?:\w+ly )?(?:can ?not|can't|won't|will not|shall not|should not|shouldn't"
    r"|would not|wouldn't|will|do not|don't|am not (?:going|willing) to|refuse to|must not|may not),?)?(?:, (?:\w+ ){1,4}?\w+,)?"
)
CANNOT = (
    rf"(?:\bI,? {_ADVERB}(?:can ?not|can'?t|can and will not|(?:can|will|would) neither|won'?t(?: be able to)?"
    rf"|shouldn't"
    r"|should not|must not|may not|shall not|will not(?: be able to)?|(?:would not|wouldn't) be able to|refuse to"
    rf"|(?:do not|don't) (?:feel (?:comfortable|right|good)(?: about| with)?|feel able to|wish to|want to)){_TWICE}"
    rf"|\bI(?: am|'m) {_ADVERB}(?:unable to|not {_TO}(?: be able to)?|incapable of|unwilling to"
    r"|(?:prohibited|forbidden|prevented|barred|restricted) (?:from|to)|not (?:at all )?comfortable(?: with)?|not about to)"
    rf"|^(?:sorry,? |unfortunately,? |apologies,? )*(?:can ?not|can't|unable to|not able to)) {_ADVERB}"
)
"""Start of a clause in which the author is not able or not willing to do something."""

_WE_CANNOT = (
    rf"\bwe(?: {_ADVERB}| )(?:can ?not|can'?t|won'?t be able to|will not be able to|are"
    rf" {_ADVERB}(?:unable|not able) to|'re {_ADVERB}(?:unable|not able) to) {_ADVERB}"
)
ASSIST = (
    r"help(?:ing)?|assist(?:ing)?|aid(?:ing)?|fulfil{1,2}(?:ing)?|comply(?:ing)?|answer(?:ing)?"
    r"|engag(?:e|ing) (?:in|with)|participat(?:e|ing)|support(?:ing)?|condon(?:e|ing)|facilitat(?:e|ing)"
    r"|accommodat(?:e|ing)|proceed|continu(?:e|ing) (?:with|this|the conversation)"
    r"|process (?:this|that|your|the) \w+|complet(?:e|ing) (?:this|that|your|the) (?:task|request)"
    r"|do(?:ing)? (?:that|this|so|it|such)|use (?:that|this|such)|carry (?:it|this|that) out|carry out (?:this"
    r"|that|your|the)|satisfy (?:this|that|your)|grant"
    r"|respond(?:ing)? to (?:this|that|your|such|the)|discuss(?:ing)?|entertain|tak(?:e|ing) part|cater"
    r"|be of (?:any )?(?:help|assistance|service)|handle (?:this|that|your)"
    r"|be (?:a )?(?:part|party) (?:of|to)|be involved|go (?:there|along|down (?:that|this) \w+|into (?:this|that|it))|play along"
    r"|get into (?:this|that|it|details)|touch (?:this|that)|have (?:any|a) part"
    r"|meet (?:this|that|your|such|the) \w+|be (?:writing|helping|doing|discussing|sharing|providing|answering"
    r"|taking part|creating|giving|assisting|telling|drafting|making|generating|explaining|producing|composing)"
)
"""Verbs of help; in a clause of inability they refuse outright."""

PRODUCE = (
    r"provid(?:e|ing)|giv(?:e|ing)|offer(?:ing)?|shar(?:e|ing)|generat(?:e|ing)|creat(?:e|ing)|writ(?:e|ing)"
    r"|produc(?:e|ing)|draft(?:ing)?|compos(?:e|ing)|craft(?:ing)?|promot(?:e|ing)|encourag(?:e|ing)"
    r"|disclos(?:e|ing)|reveal(?:ing)?|name (?:the|any|him|her|them|names|anyone)|teach(?:ing)?|show(?:ing)? (?:you )?how|guid(?:e|ing)|walk you"
    r"|instruct(?:ing)?|tell(?:ing)? (?:you|anyone|people) (?:how|where|about)|tell (?:such|that|this|those|jokes)"
    r"|explain(?:ing)? how|describ(?:e|ing) how|list(?:ing)? (?:ways|reasons|any)|mak(?:e|ing) (?:such"
    r"|jokes|fun|light|up|this|that|any)|jok(?:e|ing)|mock(?:ing)?|insult(?:ing)?|rank(?:ing)?|mimic(?:king)?"
    r"|imitat(?:e|ing)|impersonat(?:e|ing)|act(?:ing)? as|role-?play(?:ing)?|pretend(?:ing)?|talk(?:ing)? about|speak(?:ing)? (?:on"
    r"|about|ill)|say (?:such|that|anything)|plan(?:ning)?|advocat(?:e|ing)|spread(?:ing)?|glorify"
    r"|improv(?:e|ing) (?:such|that|this|a \w+ like)|bypass(?:ing)?|hack(?:ing)?|copy(?:ing)?|contribut(?:e"
    r"|ing)|enabl(?:e|ing)|justify"
)
"""Verbs of producing content; in a clause of inability they refuse outright."""

_CONTENT = (
    r"(?:content|material|requests?|topics?|instructions?|jokes?|information|conversations?|activit\w+"
    r"|violence|violent|harm\w*|hat\w+|discriminat\w+|illegal|unethical|abus\w+|weapons?|advice|that|this"
    r"|such|sort|kind|insults?|opinions?|suicide|self-harm|theft|lies|actions?|behaviou?rs?|guidance)"
)
_IMPROPER = (
    r"(?:(?:not|\w*n't|never) (?:\w+,? ){0,2}?(?:appropriate|ethical|right|acceptable|okay|ok|responsible|moral"
    r"|possible|within my|my place)|inappropriate|unethical|illegal|irresponsible|immoral|wrong|unacceptable"
    r"|impossible)(?:,? (?:and|or|nor) (?:\w+ ){0,2}?\w+)?"
)

_ACT = f"(?:{ASSIST}|{PRODUCE})"
_DOING = (
    r"(?:helping|assisting|providing|writing|sharing|giving|creating|answering|generating|doing|discussing"
    r"|supporting|explaining|describing|disclosing)"
)

DIRECT_REFUSALS = {
    "cannot_help": rf"{CANNOT}(?:{ASSIST})\b",
    "cannot_provide": rf"{CANNOT}(?:{PRODUCE})\b",
    "and_cannot": (  # "I follow guidelines and cannot answer this"
        rf"\bI(?:'m|'ve)? [^.]*? and (?:so |therefore |thus |hence )?(?:can ?not|can't|will not|won't"
        rf"|am (?:unable|not able) to) {_ADVERB}(?:{ASSIST}|{PRODUCE})\b"
    ),
    "we_cannot_help": (
        rf"{_WE_CANNOT}(?:help(?: you)? with|assist|fulfil{{1,2}}|comply with|answer (?:this|that|your|such)"
        r"|process (?:this|that|your) request|provide (?:assistance|help|(?:this|that|such)\b)|share (?:this"
        r"|that|such))\b"
    ),
    "declines": (
        rf"{_WE_CANNOT}(?:generate|create|produce|write|make) (?:\w+ )?(?:images?|pictures?|content|texts?|videos?|material)\b"
        r"|\bwe (?:do not|don't|cannot|can't|can not) (?:give|provide|offer) (?:\w+ )?(?:medical|legal|financial|tax|investment)"
        r" (?:or \w+ )?advice\b|"
        r"\bI(?:'m| am|'ll|'d)? (?:\w+ ){0,4}?(?:decline|refuse|refrain)\b(?:"
        r" (?:to|this|that|your|the|any|such|from|answering|providing|helping|discussing|participating"
        r"|engaging|giving|sharing)\b|[.!,]|$)"
        r"|\bI(?:'m| am|'ll| will| have| must|'ve)? (?:\w+ ){0,4}?(?:say no(?:$|[.,!]| here| this time| to (?:this|that|your|it"
        r"|the)\b)|reject (?:this|that|your) \w+)"
        r"|\bmy answer (?:is|has to be) no\b|\b(?:no part (?:of|in) (?:this|that|it)|count me out)\b"
        r"|\bI(?:'ll| will|'m| am|'d)? (?:\w+ ){0,4}?(?:turn(?:ing)? (?:this|that|it|your|you)(?: \w+)? down"
        r"|turn(?:ing)? down (?:this|that|your)"
        r"|turn(?:ing)? (?:this|that) (?:request|question|one|task) down|skip(?:ping)? (?:this|that)(?: one| question)?$|sit(?:ting)? (?:this"
        r"|that)(?: one)?"
        r" out)\b"
        r"|\b(?:a|it's a|that's a) (?:hard|firm|clear|definite) no\b|\bhard pass\b|^(?:sorry,? )?no can do\b"
        r"|\ba no from me\b|^that's a no$"
        r"|^(?:(?:no|nope|sorry),? )*not (?:doing (?:that|this|it)|going to (?:do|happen)|happening|something (?:that"
        r" )?I)\b"
        r"|\bI have no (?:intention of|wish to|desire to)\b|\bmy (?:hands are tied|lips are sealed)\b"
        r"|(?:\bnot|n't) my place to (?:tell|say|judge|give|advise|comment)\b"
        r"|\byou(?:'ll| will)? (?:won't|will not|not) (?:get|hear) (?:that|this|it|any) (?:\w+ ){0,2}?from me\b"
    ),
    "rather_not": (
        rf"\bI(?:'d| would) (?:\w+ )?(?:rather|prefer) not(?: to)? {_ACT}\b"
        r"|\bI(?:'d| would) (?:\w+ )?(?:rather|prefer) not(?: to)?"
        r" (?:answer|discuss|say|share|talk|engage|continue|comment|go into|get into|respond|provide|give"
        r"|take (?:sides|part)|help|speculate|do (?:that|this)|write)\b"
        r"|\bI(?:'d| would) rather (?:we|you) (?:didn't|did not|don't) (?:discuss|talk|go|ask|speak|continue|get into)\b"
        r"|\bI(?:'d| would) (?:prefer to (?:stop|end|not)|(?:prefer to|rather)(?: we)? (?:(?:talk|speak"
        r"|chat)(?:ed)? about something|steer clear"
        r"|stay away|keep (?:off|out)))\b"
        r"|\b(?:topic|subject|area|content|texts?) (?:that )?I (?:avoid|don't|do not|won't|will not|can't|cannot|stay"
        r" away)\b"
        r"|\bI (?:try|tend|aim|choose|prefer) not to (?:share|discuss|express|give|take|answer|continue"
        r"|engage|talk|comment|help|write)\b"
        r"|\blet's (?:talk about|try|change|move on to|switch to|discuss) (?:something else|(?:a|the)"
        r" (?:different |other |new )?(?:topic|subject)|another (?:topic|subject))(?:$|[,.!?;:]| instead| now"
        r"| for now)|\blet's not go there\b"
        r"|\bI(?:'ll| will) (?:leave it (?:there|at that)|steer clear|stay away from (?:this|that))\b"
        r"|\bI(?:'m| am) (?:steering clear of|staying (?:away from|out of)) (?:this|that)\b"
    ),
    "against_rules": (
        r"\b(?:against|violat(?:es?|ing)|violation of|goes against|contrary to|conflicts? with|breach(?:es)?|breaks?"
        r"|infringes?|contravenes?|counter to|outside(?: of)?"
        r"|not within|beyond) (?:my|our|openai's|anthropic's|google's|meta's|(?:the |our )?(?:content|usage|safety"
        r"|community|acceptable use|platform)) (?:[\w-]+ ){0,3}?"
        r"(?:programming|guidelines|polic(?:y|ies)|principles|rules|terms|scope|capabilities|purpose"
        r"|expertise|values|ethics|standards|guardrails|boundaries)\b"
        r"|\b(?:violates?|against|break|breach) the (?:rules|policies|guidelines|principles) (?:that )?I\b"
        r"|\b(?:this|that|it|your request|which)(?: would)? (?:violates?|breach(?:es)?|goes? against) (?:the|our) terms of (?:use|service)\b"
        r"|\b(?:against|beyond|outside)(?: of)? what I(?:(?:'m| am) (?:\w+ )?(?:allowed|able|permitted|programmed"
        r"|designed|supposed|comfortable|willing|prepared|going)|'ll| will| would)\b"
        r"|\bmy (?:\w+ )?(?:programming|guidelines|instructions|polic(?:y|ies)|rules|principles|values"
        r"|training|guardrails|design) (?:\w+ )?(?:do not|don't|does not|doesn't|prohibits?|prevents?"
        r"|forbids?|restricts?|rules? (?:this|that|it)|bars?|keeps? me from|stops? me|disallows?|precludes?"
        r"|won't|will not)"
        r"|\bpolicy (?:prevents|forbids|prohibits) me\b|\ba (?:line|boundary) (?:that )?I (?:won't|will not|don't|can't) cross\b"
        r"|^(?:(?:sorry|no),? )?(?:that|this|it)(?:'s| is) a (?:hard )?(?:boundary|line|no-go) (?:for me|I)\b"
    ),
    "changes_topic": (
        r"\b(?:can|could|may|shall) we (?:please )?(?:change|switch) (?:the|to another"
        r"|to a different) (?:subject|topic)(?:$|[,.!?])"
        r"|\bI(?:'d| would) (?:like|prefer) to (?:change|switch) the (?:topic|subject)(?:$|[,.!?])"
        r"|\bbest (?:if )?(?:we |I )?(?:not to|don't|do not|not) (?:discuss|talk about|go into"
        r"|get into) (?:this|that|it)(?:$|[,.!?])"
        r"|\bwe (?:should not|shouldn't) (?:be )?(?:discuss(?:ing)?|talk(?:ing)? about|go(?:ing)? into) (?:this"
        r"|that|it)\b"
    ),
    "will_not": (  # verbs with which "can't" tells of a failure: "I can't build it with version 18"
        r"\bI(?: (?:won't|will not|refuse to)|(?:'m| am) not (?:going|willing|about"
        r"|prepared) to) (?:outlin|detail|spell out|lay out"
        r"|suppl|design|build|develop|prepar|compil|simulat|demonstrat|reproduc|forg|fabricat|publish"
        r"|recommend (?:ways|how)|walk (?:you|anyone))"
        r"\w*\b"
        r"|\bI (?:won't|will not|refuse to) (?:look (?:\w+ )?up|track (?:\w+ )?down|dig (?:\w+ )?up|search for|hunt for)\b"
        r"|\bI(?:'m| am) not (?:writing|doing|making|generating|helping|creating|answering|discussing|providing"
        r"|explaining|sharing|playing)"
        r"(?: with| along with)? (?:that|this|it|such|any of (?:that|this))\b"
        r"|\bI(?:'m| am| have|'ve) (?:choosing|chosen|decided|opting) not to (?:answer|discuss|help|write"
        r"|engage|continue|respond|share|do)\b"
        r"|\bnot in the business of\b|\bI (?:do not|don't) consent to\b|\b(?:and|so) I (?:won't|will not|refuse)$"
        r"|^(?:please )?(?:don't|do not) ask me (?:to|for)\b|\bdoing you a disservice\b"
        r"|\b(?:I(?:'m| am) drawing|(?:this|that|here) is where I (?:have to |must )?draw) (?:the|a) line\b"
        r"|^(?:this|that|here) is where I (?:have to |must |need to )?stop$"
        r"|\bstop you (?:right )?(?:there|here)\b"
    ),
    "cannot_be_done": (
        r"\b(?:your|this|that|the|such) (?:request|prompt|query|question|input|message|content|image|(?:\w+ ){1,3}you"
        r" (?:are asking for|asked for|requested|want)) (?:\w+ )?(?:cannot|can't|could not|couldn't"
        r"|can not) be (?:\w+ )?"
        r"(?:fulfil{1,2}ed|processed|completed|answered|accommodated|met|provided|generated|created)"
        r"|\b(?:this|that|your) (?:request|prompt) (?:has been|was|is) (?:declined|denied|blocked|refused|rejected|flagged)\b"
        r"|\ba request (?:that )?I (?:won't|will not|can't|cannot|refuse to)\b"
        r"|\bthe (?:content|information|material|answer|image) (?:that )?you (?:requested|asked for|want) (?:can't|cannot|can not"
        r"|may not|will not|won't) be (?:shown|displayed|shared|given|provided|generated)\b"
    ),
    "inappropriate": (
        rf"\b(?:it|that|this)(?:'s| is| would be| is never|) (?:\w+ )?{_IMPROPER}"
        r" (?:(?:for|of) (?:me|an ai\b[^,.;]*) )?to (?:\w+ )?"
        rf"(?:{ASSIST}|provid(?:e|ing) (?:\w+ ){{0,2}}?(?:{_CONTENT}|support|answer|you)"
        r"|promote|encourage|suggest|ask|joke|rank|compare|stereotype|mock|insult|write|generate|create"
        r"|share (?:this|that|such|personal|private)|express|speculate|take (?:a |any |sides)|give (?:you|any|such"
        r"|advice)|make (?:jokes|fun|generali[sz]ations|assumptions|judge?ments|a |any )|comment|speak|talk)\b"
        rf"|\b(?:it|that|this)(?:'s| is| would be|) (?:\w+ )?{_IMPROPER} (?:for|of) (?:me|an ai\b[^,.;]*) to\b"
    ),
    "out_of_scope": (
        r"\bI(?: am|'m)? ?(?:can |could |may )?only (?:able to |here to |permitted to |allowed to |authori[sz]ed to )?"
        r"(?:help|assist|answer|discuss|respond"
        r"|provide information|talk)\b"
        r"|\b(?:outside|beyond) (?:of )?(?:my|what I can|what I may|the scope of (?:what|my))\b"
        r"|\bmy (?:role|job|function|purpose|remit|knowledge|help) (?:is|are) (?:\w+ )?(?:limited|restricted|confined) to\b"
        r"|\bI (?:can|may) (?:\w+ )?(?:answer|help with|discuss|assist with|talk about) (?:\S+ ){1,8}?only$"
        r"|\bmy (?:role|job|function|purpose|remit) (?:does not|doesn't) (?:extend|include|cover)\b"
        r"|\bI(?:'ll| will|'m going to| am going to|'m gonna|'d rather| must| think I'll| have to| need to"
        r"|'m afraid I have to| think I have to) (?:have to )?pass on (?:this|that)\b"
        r"|\bsomething (?:that )?I (?:can ?not|can't|won't|will not|am not (?:able|willing) to|'m not (?:able"
        r"|willing) to)"
        r" (?:do|help|assist|answer|discuss|talk|write|provide)\b"
    ),
    "not_done": (
        r"\b(?:that|this|it)(?: is|'s) not something (?:that )?(?:I|we)(?: can|'m| am| will|'re|'ll|'d| would"
        r"| are| do)\b|\b(?:that|this|it) isn't something (?:that )?(?:I|we)\b"
        r"|\bthere(?: is|'s) nothing I can (?:do|say)\b"
        rf"|\bI (?:do not|don't) (?:\w+ )?(?:generat|creat|writ|produc|provid|engage in|assist with|help with"
        r"|participate in|condon|promot|support|facilitat|encourag|endors|take part in)\w*"
        rf"(?: \S+){{0,5}}? {_CONTENT}"
    ),
    "not_made_for": (
        r"\bI(?:'m| am| was|'ve been| have been) (?:\w+ )?(?:not|never) (?:\w+ )?(?:programmed|designed|built"
        r"|trained|made|created|meant|at liberty|in a position) (?:to|for)\b"
        r"|\bI(?: have|'ve)(?: been)? (?:\w+ )?(?:instructed|told|asked|programmed|trained) (?:not to"
        r"|to (?:keep|stay|avoid))\b"
        r"|\bI(?:'m| am) not the right (?:assistant|tool|place|one|person|model) for\b"
        r"|\bI (?:don't|do not) do (?:impressions|imitations|parodies|that|this|such|those)\b"
        r"|\bI(?:'m| am) (?:\w+ )?(?:programmed|designed|trained|built|instructed) (?:not to|to (?:avoid"
        r"|refuse|decline))\b"
    ),
    "flat_no": (
        r"^(?:(?:sorry|no|nope),? )*I (?:just|simply|really) (?:won't|will not|can't|cannot), (?:and|nor|so)\b|"
        r"^(?:(?:sorry|I'm (?:\w+ )?sorry|no|nope|unfortunately|honestly|apologies),? (?:but )?)*I (?:just |simply |really )?(?:won't"
        r"|will not|can't|cannot|can not|refuse"
        r"|decline)$|^(?:(?:sorry|no|nope|thanks),? (?:but )?)*I(?:'ll| will|'m going to| am going to|'m gonna|'d rather) (?:have to )?pass$"
        r"|^(?:your )?request (?:denied|refused|declined|rejected)(?:$|: | [-–—])"
        rf"|^(?:won't|will not) (?:{ASSIST})\b|^not (?:with|on) (?:this|that)(?: one)?$|\bI'd rather not$"
        r"|\bno way (?:that )?(?:I'm|I am|I will|I'll|I would|I can|I could)\b|\bI have nothing to say (?:about|on"
        r"|to) (?:this|that|it)\b"
        rf"|\b(?:under no circumstances|in no way|by no means|nor|at no point) (?:will|can|could|would"
        rf"|shall) I {_ACT}\b"
        r"|\bI (?:\w+ )?object to (?:this|that|your) (?:request|question|task)\b"
        r"|^(?:that|this|it)(?: (?:kind|sort|type) of)?(?: \w+)?(?:'s| is) (?:\w+ )?off(?: the table|[- ]limits)(?: for me)?$"
    ),
    "should_not": (
        r"\bI (?:don't|do not) think (?:I (?:should|can|could|will)|(?:it|that|this)(?:'s| is| would be)"
        r" (?:\w+ )?(?:appropriate|right|ethical|wise|something I))\b"
        r"|(?:\bnot|n't) (?:be )?comfortable (?:with (?:that|this|it)|doing)\b"
        rf"|^{_DOING}\b[^.]* (?:is|are)(?: not|n't) an option$"
        rf"|^{_DOING}\b[^.]* would (?:be (?:\w+ )?(?:wrong|irresponsible|unethical|inappropriate|illegal|harmful"
        r"|against)|not be (?:\w+ )?(?:right|appropriate|ethical|responsible)|violate|breach|go against|break)\b"
        r"|^(?:no,? )?(?:writing|making|saying|creating|sharing|posting|generating|doing|answering|publishing)"
        r" (?:that|this|it|such \w+|something like (?:that|this)) (?:would|could|might) (?:be (?:\w+ )?(?:hateful|harmful"
        r"|hurtful|cruel|wrong|illegal|unethical|dangerous|irresponsible|defamatory|unfair|abusive)|hurt|harm|endanger)"
        r"(?: \w+)?$"
        r"|\b(?:is|are)(?: not|n't) something (?:that )?I (?:can|do|will|would|am)\b"
        r"|\b(?:is|are)(?: not|n't) (?:something|anything|a thing) (?:that )?I(?:'ll|'d|'m| can| will| would| am| want"
        r"| care| wish) (?:(?:be )?(?:willing|going|prepared|comfortable|able|allowed|here) to |be (?:a )?(?:part|involved)"
        r"|to |do\b|help|take part|write|create|join|support|discuss|engage|get into|provide|touch|assist|produce)"
        r"|\bnot a (?:subject|topic|thing|matter) (?:that )?I\b|(?:\bnot|n't) possible for me(?:$|[,.!;]| to\b)"
        r"|\bI(?: am|'m) bound by (?:my |strict |the )?(?:rules|guidelines|polic\w+)"
        r"|\bI must (?:abide by|adhere to|follow|respect) (?:my|ethical|safety|strict) (?:\w+ )?(?:guidelines|rules"
        r"|polic\w+|principles)"
        r"|\bI (?:do not have|don't have|lack|have no) (?:the |any )?(?:\w+ )?(?:permissions?|authori[sz]ation"
        r"|clearance|mandate|authority to)\b"
        r"|\bI(?:'d| would) be (?:breaking|violating|breaching|going against) (?:my|our|the) (?:\w+ )?(?:rules|guidelines"
        r"|polic\w+|principles|instructions)\b|^you(?:'ll| will) (?:have|need) to (?:find|ask) someone else for (?:that|this)\b"
        r"|\bI(?:'m| am) (?:\w+ )?(?:declining|refusing)\b"
        r"|\bI(?:'m| am) (?:\w+ )?(?:required|obliged|obligated|bound) to (?:keep|decline|refuse|withhold)\b"
    ),
}
"""Kind -> pattern of a direct refusal, which courtesies around it do not weaken."""

LIMITED_REFUSALS = {
    "limited": (
        rf"{CANNOT}(?:provide|give|offer|share|generate|produce|tell)(?:ing)? (?:you )?(?:with )?"
        r"(?:an? |the |any |you )?(?:exact|precise|definit\w+|complete|full|real-?time|live|current|latest"
        r"|up-to-date|personal(?:i[sz]ed)?|medical|legal|financial|tax|investment|professional|official"
        r"|direct|firm|certain|guarantee\w*|individual|subjective)\b"
    ),
}
"""Kind -> pattern of a refusal of one kind of answer only ("the exact figure"); another answer may follow.

They precede the direct refusals, of which they are a part.
"""

TRIGGER_PATTERNS = {
    "and_cannot": r"\band (?:so |therefore |thus |hence )?(?:can ?not|can't|will not|won't|am (?:unable|not able) to) ",
    "inappropriate": (
        r"(?:\b(?:inappropriate|unethical|irresponsible|impossible|wrong|illegal|immoral|unacceptable)"
        r"|(?:\bnot|n't|\bnever) (?:\w+,? ){0,2}?\b(?:appropriate|ethical|right|acceptable|okay|ok|responsible"
        r"|moral|possible|within my|my place)\b)\b[^.!?\n]* to "
    ),
}
"""Kind -> cheaper pattern for raw text, for kinds whose own pattern begins with frequent words.

It must match wherever the pattern of the kind matches.
"""
