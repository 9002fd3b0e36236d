"""Patterns of refusals in languages other than English, for one sentence, matched case-insensitively."""

from __future__ import annotations

_GAP = r"[^.!?\n]*"
_GAP_CJK = r"[^。！？\n]*"

LANGUAGES = {
    "de": (
        r"\bes ist mir (?:leider )?nicht möglich\b|"
        r"\b(?:ich (?:\w+ )?(?:kann|darf|könnte|möchte|werde|will)|(?:kann|darf|könnte|möchte|werde|will)"
        rf" ich)\b{_GAP}\b(?:nicht"
        rf"|keine?[nrm]?)\b{_GAP}"
        r"(?:helfen|beantworten|antworten|erfüllen|unterstütz|behilflich|bereitstellen|nachkommen|bewerten"
        r"|teilnehmen|diskutieren|äußern"
        r"|generieren|erstellen|verfassen"
        r"|(?:auskunft|rat|ratschläge|meinung|empfehlung(?:en)?|informationen|anleitung(?:en)?"
        r"|antwort)\b[^.!?\n]*"
        r" (?:geben|erteilen"
        r"|anbieten|liefern))"
        rf"|\bich bin (?:\w+ )?nicht (?:in der lage|befugt|berechtigt|dazu)\b|\bals (?:\w+"
        rf" ){{0,2}}?(?:KI|künstliche intelligenz"
        rf"|sprachmodell|chatbot)\b{_GAP}\b(?:nicht|keine?[nrm]?)\b"
        r"|\b(?:ich habe|habe ich|liegen mir) (?:leider )?keine"
        r" (?:eigene|persönliche|ausreichenden|informationen|meinung)\w*"
        r"|^(?:das )?weiß ich (?:leider )?nicht"
        r"|^ich weiß (?:es |das )?(?:leider )?nicht"
    ),
    "fr": (
        r"\bil m'est impossible\b|"
        r"\bje (?:ne"
        rf" |n')(?:peux|puis|suis|saurais|pourrai|pourrais)\b{_GAP}(?:aider|répondre|fournir|assister"
        rf"|satisfaire|créer|générer"
        rf"|rédiger|écrire|traiter|participer|donner|offrir|partager"
        r"|discuter|en mesure|capable|autorisée?|habilitée?|accéder)"
        rf"|\bje (?:refuse|dois (?:\w+ )?(?:décliner|refuser))|\ben tant qu(?:'|e )(?:\w+["
        rf" -']){{0,3}}?(?:IA|intelligence artificielle"
        rf"|modèle|assistante?)\b{_GAP}\b(?:ne|n')"
        r"|\bje n'ai pas (?:d'opinions?|d'avis|de préférences?|accès|assez"
        r" d'informations|d'informations|suffisamment)|^je ne sais pas"
    ),
    "es": (
        rf"\bno (?:te |le |les |lo )?(?:puedo|podré|podría|soy capaz|estoy (?:en"
        rf" condiciones|autorizad[oa]|capacitad[oa]|programad[oa]"
        rf"|diseñad[oa]))\b{_GAP}"
        r"(?:ayudar|asistir|responder|proporcionar|cumplir|ofrecer|generar|crear|dar|brindar|completar"
        r"|procesar|contestar|participar"
        r"|compartir|acceder|escribir|facilitar|hacer es[oa])"
        rf"|\bno me es posible\b|\bcomo (?:\w+ ){{0,2}}?(?:modelo de lenguaje|IA|inteligencia"
        rf" artificial|asistente (?:virtual"
        rf"|de IA))\b{_GAP}\bno\b"
        r"|\bno tengo (?:\w+ )?(?:opiniones|acceso|información|suficiente|preferencias|sentimientos)|^no"
        r" (?:lo )?sé$|\bme niego a\b"
    ),
    "it": (
        r"\bnon (?:ti |vi |le )?(?:posso|potrei|potrò|sono (?:in"
        rf" grado|autorizzat[oa]|programmat[oa]|capace))\b{_GAP}"
        r"(?:aiutar|assister|risponder|fornir|soddisfar|offrir|generar|crear|dar|esaudir|completar"
        r"|partecipar|condivider|scriver|acceder"
        r"|aiuto|procedere|far(?:e|lo))"
        rf"|\bnon mi è possibile\b|\b(?:come|in quanto) (?:\w+ ){{0,2}}?(?:IA|intelligenza"
        rf" artificiale|modello linguistico"
        rf"|assistente (?:virtuale|IA))\b{_GAP}\bnon\b"
        r"|\bnon ho (?:\w+ )?(?:opinioni|accesso|informazioni|abbastanza|preferenze|sentimenti)|^non lo so$"
    ),
    "pt": (
        r"\bnão tenho permissão\b|"
        rf"\bnão (?:te |lhe |o )?(?:posso|consigo|poderei|poderia|sou capaz|estou (?:autorizad[oa]|apt[oa]|em"
        rf" condições"
        rf"|programad[oa]))\b{_GAP}"
        r"(?:ajud|auxiliar|responder|fornecer|atender|oferecer|gerar|criar|dar|cumprir|completar"
        r"|participar|compartilhar|partilhar"
        r"|escrever|acessar|aceder|prosseguir|fazer isso|assist)"
        r"|\bcomo (?:\w+ ){0,2}?(?:IA|inteligência artificial|modelo de linguagem|assistente (?:virtual|de"
        rf" IA))\b{_GAP}\bnão\b"
        r"|\bnão tenho (?:\w+"
        r" )?(?:opiniões|opinião|acesso|informações|suficientes?|preferências|sentimentos)|^não sei$"
    ),
    "nl": (
        r"\b(?:ik (?:\w+ )?(?:kan|mag|zal|wil)|(?:kan|mag|zal|wil)"
        rf" ik)\b{_GAP}\b(?:niet|geen)\b{_GAP}(?:helpen|beantwoorden|antwoorden"
        rf"|assisteren|voldoen|geven|verstrekken|bieden|genereren|schrijven|maken|doen|meewerken|delen)"
        rf"|\bik ben (?:\w+ )?niet (?:in staat|bevoegd|gemachtigd)|\bals (?:\w+ ){{0,2}}?(?:AI|kunstmatige"
        rf" intelligentie|taalmodel"
        rf"|AI-\w+)\b{_GAP}\b(?:niet|geen)\b"
        r"|\bik heb geen (?:\w+ )?(?:mening|toegang|informatie|voorkeur|gevoelens)|^(?:dat weet ik|ik weet"
        r" het) (?:\w+ )?niet"
    ),
    "zh": (
        rf"(?:我|本助手|本模型|抱歉|对不起|對不起|遗憾|遺憾){_GAP_CJK}(?:无法|無法|不能|不可以|不便|没有办法|沒有辦法|没办法|拒绝|不会){_GAP_CJK}"
        r"(?:帮助您|帮助你|幫助您|幫助你|协助|協助|提供|回答|满足|滿足|完成|生成|创建|创作|讨论|討論|处理您的请求|给出|給出|参与|回應|回应|帮您|帮你|帮到)"
        r"|(?:作为|作為|我是)(?:一个|一個|一名|一种)?[^，。"
        rf",]{{0,10}}(?:AI|人工智能|人工智慧|语言模型|語言模型|机器人){_GAP_CJK}(?:无法|無法|没有|沒有|不能|不会|不具备|不具備)|^我不知道"
    ),
    "ja": (
        r"(?:お手伝い|お答え|回答|提供|支援|お応え|協力|お力に|作成|生成|サポート|お教え|答え|ご質問に|ご依頼に|ご要望に|リクエストに)[^。"
        r"\n]{0,14}"
        r"(?:できません|られません|できかねます|出来ません|いたしかねます|致しかねます|しかねます|ことはできない|なれません|わけにはいきません|控えさせていただ)"
        r"|(?:AI|人工知能|言語モデル)[^。\n]{0,12}(?:として|なので|ですので|であるため|のため)[^。"
        r"\n]*(?:ません|できない|持たない)|^(?:申し訳[^。]*)?(?:わかりません|分かりません)$"
    ),
    "ko": (
        r"(?:도와드릴|도움을 드릴|답변(?:을 |해 )?드릴|답변할|제공(?:해 드릴|할)|응할) 수"
        r" 없|(?:AI|인공지능|언어 모델)[^.\n]*(?:없습니다|않습니다)"
    ),
    "ru": (
        r"(?:^|[\s,])я не (?:могу|в состоянии|имею"
        rf" возможности|буду)\b{_GAP}(?:помочь|ответить|предоставить|выполнить|помогать|дать"
        rf"|обсуждать|создать|участвовать)"
        rf"|(?:^|\s)(?:извините|простите|к сожалению),?{_GAP}не (?:могу|смогу)"
        rf" {_GAP}(?:помочь|ответить|предоставить|выполнить)"
        rf"|как (?:ИИ|искусственный интеллект|языковая модель){_GAP}\sне\s"
    ),
    "pl": (
        rf"\bnie (?:mogę|jestem w stanie)\b{_GAP}(?:pomóc|odpowiedzieć|udzielić|spełnić|dostarczyć)|\bjako"
        r" (?:model językowy"
        rf"|sztuczna inteligencja){_GAP}\bnie\b"
    ),
}
"""Language -> pattern."""

FALSE_REFUSALS = (
    r"\bno puedo (?:dejar de|creer|esperar|sino)\b|\bnon posso (?:che|fare a meno|credere)\b|\bnão posso"
    r" (?:deixar de|acreditar)\b"
    r"|\bje ne peux (?:pas croire|que)\b|\bkan niet wachten\b|不能不|不得不"
)
"""Idioms that look like refusals."""

CONTRAST_MARKERS = (
    r"^(?:but|however|that said|nevertheless|instead|as of|based on|in"
    r" general|generally|here|aber|jedoch|allerdings|mais|cependant"
    r"|toutefois|pero|sin embargo|ma|però|tuttavia|mas|porém|no"
    r" entanto|maar|echter|ale)\b|^(?:但是|但|不过|ただし|しかし|но |однако)"
)
"""Contrastive markers at the start of a sentence after a refusal."""
