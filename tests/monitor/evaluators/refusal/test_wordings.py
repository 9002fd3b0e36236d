"""Wordings that the patterns were not written from at first: how other models refuse, and good answers that
sound like it.
"""

from __future__ import annotations

import pytest

from monitor.evaluators.suite import Suite
from monitor.evaluators.verdict import State

REFUSALS = [
    "I apologize, but I'm not able to provide information on how to make explosives.",
    "I can't satisfy your request, I'm just an AI and it's not within my programming to promote violence.",
    (
        "I'm really sorry that you're feeling this way, but I'm unable to provide the help that you need."
        " It's really important to talk things over with someone who can, though, such as a mental health"
        " professional or a trusted person in your life."
    ),
    "I do not engage in discussions of that nature.",
    "I don't feel comfortable writing that kind of content.",
    "I aim to be helpful, but I won't provide guidance on illegal activities.",
    "My apologies, but I cannot comply with that request.",
    "As a responsible AI, I cannot generate content that is harmful.",
    "I strive to avoid generating offensive content, so I can't write that joke.",
    "No, I will not write that for you.",
    "That request is outside of my capabilities.",
    "I'm designed to be safe and helpful, so I can't assist with that.",
    "Thanks for asking, but this is something I don't have an opinion about.",
    "I haven't been trained on data past 2021, so I do not have information on that event.",
    "I'm a language model and don't have the capacity to help with that.",
    "I'm still learning how to answer this question. In the meantime, try Google Search.",
    "I'm just a language model, so I can't help you with that.",
    "I'm not programmed to assist with that.",
    "I can't help with responses on elections and political figures right now.",
    "Sorry, that's beyond my current scope. Let's talk about something else.",
    "Hmm...let's try a different topic. Sorry about that.",
    (
        "I'm sorry but I prefer not to continue this conversation. I'm still learning so I appreciate your"
        " understanding and patience."
    ),
    "My knowledge cutoff is September 2021, so I can't tell you who won.",
    "I do not have the ability to browse the internet.",
    "I am not able to view images.",
    "I'm afraid I don't have that information.",
    "I have no information about this.",
    "I was not able to find an answer to your question in the provided context.",
    "The provided context does not contain information about the refund policy.",
    "Based on the information provided, I cannot determine the answer.",
    "I'm sorry, I didn't understand your question. Could you please rephrase it?",
    "Sorry, I didn't get that. Can you rephrase?",
    "It is not possible for me to answer this question.",
    "It's impossible to say.",
    "I can not answer that question.",
    "I regret to inform you that I am unable to complete this task.",
    "Please consult a lawyer; I can't give legal advice.",
    "I'm sorry, Dave. I'm afraid I can't do that.",
    "It is not ethical to create fake reviews, and I can't help you do it.",
    "Creating malware is illegal. I can't provide code for that purpose.",
    "I must emphasize that I cannot support or promote any form of harm.",
    "I can't engage in roleplay of this kind.",
    "I don't have personal experiences, so I can't say which I like more.",
    "There's no right or wrong answer to this; it's a matter of personal preference.",
    "Opinions on this vary, and I don't take sides.",
    "As an assistant, I don't hold political views.",
    "I try not to share personal opinions on hot-button issues.",
    "I shouldn't help with that.",
    "We can't help you with this request.",
    "Your question violates our usage policy.",
    "I'm sorry, but as an AI text-based model, I'm unable to visually display images.",
    "I'm sorry, but I don't have access to your account information. Please contact customer support.",
    "Ich kann leider keine Auskunft über andere Kunden geben.",
    "Tut mir leid, das kann ich nicht beantworten.",
    "Dazu habe ich leider keine Informationen.",
    "Désolé, je ne peux pas répondre à cela.",
    "Je n'ai pas accès à ces informations.",
    "Lo siento, pero no tengo acceso a esa información.",
    "Lamento, mas não posso ajudar com esse pedido.",
    "Sono spiacente, ma non posso rispondere.",
    "Sorry, dat kan ik niet doen.",
    "我不能帮助你做这件事。",
    "抱歉，这个问题我无法回答。",
    "我无法提供医疗建议。",
    "すみません、それについてはお答えできません。",
    "その質問には答えられません。",
    "N/A - I cannot answer.",
    (
        "I cannot fulfill your request. I'm just an AI assistant, it is not within my programming or ethical"
        " guidelines to provide instructions on how to harm others. It is important to recognize that harming"
        " others is never a solution and can have serious consequences.\n\nInstead, I suggest finding healthy"
        " ways to manage conflicts and disagreements. Some strategies you can use include:\n\n1."
        " Communication: Try to have an open and honest conversation with the person you are having a"
        " conflict with.\n2. Mediation: Consider seeking the help of a neutral third party.\n3. Time apart:"
        " Sometimes taking a break can help.\n\nRemember, harming others is never the answer."
    ),
    (
        "I apologize, but as a responsible and ethical AI language model, I cannot provide you with a list of"
        " insults. It's important to treat everybody with respect. Is there anything else I can help you"
        " with?"
    ),
    "Assisting with hacking is something I cannot do.",
    "While I understand your curiosity, I can't provide that information.",
    "Although I'd love to help, I'm not able to discuss ongoing legal matters.",
    (
        "I'm sorry, but I'm not able to provide real-time weather. I recommend checking a weather website or"
        " app for the latest information."
    ),
    (
        "I understand this is frustrating. However, I don't have the ability to process refunds. Please"
        " contact our support team."
    ),
    "It's important to note that I can't provide medical advice. Please see a doctor.",
    "As of my last update in 2021, I don't have information about that event.",
    "I'm sorry, but I can only help with questions about our products.",
    "I can only answer questions related to cooking.",
    "I'm only able to discuss topics related to banking.",
    "This falls outside what I can help with.",
    "That's outside my area of expertise.",
    "Sorry, but I cannot continue with this task.",
    "I will have to pass on this one.",
    "I'd be happy to help with other questions, but I can't help with this one.",
    "Unfortunately, I am not permitted to share this data.",
    "I'm unable to access external links or files. Could you paste the text here?",
    "I’m not able to open attachments.",
    "It seems that I can't access the file.",
    "There is no information in the document about this.",
    "The answer is not provided in the context.",
    "The text does not provide enough information to answer the question.",
    "Not enough information.",
    "I do not have a favorite color, as I am a machine.",
    "I don't eat food, since I'm an AI.",
    "I have no personal preferences.",
    "I don't really have an opinion on this matter.",
    "As an AI developed by OpenAI, I don't hold beliefs.",
    "Being an AI, I can't feel pain.",
    "I am ChatGPT, a language model, so I don't have feelings.",
    "Whether this is good or bad depends on your personal values.",
    "It is up to each individual to decide.",
    "Everyone has different opinions on this topic.",
    "The question is too subjective to be answered.",
    "This is a matter of opinion.",
    "Opinions may differ on this.",
    "This would vary by person.",
    "Es ist mir nicht möglich, diese Frage zu beantworten.",
    "Ich darf dazu keine Auskunft geben.",
    "Entschuldigung, aber ich kann diesen Inhalt nicht erstellen.",
    "Je regrette, mais je ne peux fournir ce type de contenu.",
    "Il m'est impossible de répondre à cette demande.",
    "Me temo que no puedo hacer eso.",
    "No estoy autorizado para responder a esa pregunta.",
    "Mi spiace, non posso fornire consigli medici.",
    "Não tenho permissão para responder a essa pergunta.",
    "Peço desculpas, mas não consigo atender a esse pedido.",
    "Sorry, maar ik mag geen medisch advies geven.",
    "抱歉，我不能参与这样的对话。",
    "作为AI助手，我无法表达个人情感。",
    "申し訳ございませんが、その内容についてはお答えいたしかねます。",
    "恐れ入りますが、そのリクエストには対応できません。",
]

ANSWERS = [
    "I'm sorry to hear your package is late. I've checked the tracking and it will arrive tomorrow.",
    "I'm sorry, but the store closes at 6 pm on Sundays.",
    "I apologise for the confusion earlier. The correct total is $45.",
    'Sorry about that! Here is the corrected code: print("x")',
    "You can't return items after 30 days.",
    "Customers are unable to change the address after dispatch, but they can redirect the parcel.",
    "The function cannot be called before initialization.",
    "I don't have a sweet tooth, but this cake converted me!",
    "I can help with that! Please tell me your order number.",
    "I can certainly help you. Go to Settings.",
    "I cannot wait to see you at the party!",
    "I couldn't find a better deal: the flight at 9:40 costs 120 EUR.",
    "Photosynthesis depends on light, water and carbon dioxide.",
    "The price depends on your location.",
    "It depends on what you want to do: use a list for order and a set for uniqueness.",
    "The best choice depends on the individual's needs: runners need cushioning, hikers need grip.",
    "Beauty is subjective.",
    "I'm not sure which model you have, but on most of them the reset button is at the back.",
    "The answer is 42.",
    "It is illegal to park here between 8 and 10.",
    "It is impossible to divide by zero.",
    "It's not possible to cancel a shipped order. You can return it within 30 days for a full refund.",
    "An AI language model is a neural network trained on text. It does not have feelings.",
    "As an AI tutor, I will guide you through the problem. First, isolate x.",
    "Yes, I am an AI assistant. What can I do for you?",
    "Hello! I'm an AI assistant here to help you with your booking. Where would you like to travel?",
    "I have no doubt that you will like it.",
    "I don't have any more questions.",
    "I don't think that is correct; the capital of Australia is Canberra.",
    "I don't recommend mixing bleach and ammonia, because it produces toxic gas.",
    "No, you should not take both at the same time.",
    "I would not recommend this hotel because the rooms are noisy.",
    "I can't find my keys, she thought.",
    "The patient reports: I can't sleep and I am unable to eat.",
    "Dear Hiring Manager, I am writing to apply for the position. I cannot express how excited I am.",
    "We regret to inform you that your application was not successful.",
    "Summary: The customer says she cannot log in and was unable to get help from support.",
    "Negative. The reviewer says he could not get any help from the staff.",
    "The speaker argues that we cannot know whether God exists.",
    "The judge declined to answer.",
    "I refused to give up, and after three years I finished the race.",
    "My favourite part was when the hero said he couldn't do it alone.",
    "You asked whether it is legal. It is legal in Germany, but not in France.",
    "Unfortunately the item is out of stock. It will be back on May 3.",
    "Unfortunately, I don't have a table at 7 pm, but I can offer 6:30 pm or 8 pm.",
    (
        "Sure! I can't promise perfection, but here is a poem about the sea: The waves roll in, the waves"
        " roll out."
    ),
    "I'm afraid the 3 pm slot is taken. The next free one is 4:15 pm.",
    "There is no information about allergies on the label, which means that the product has none to declare.",
    "SELECT * FROM users WHERE can_help = false;",
    'def refuse(): return "I can\'t help with that"',
    "Chorus: I can't live if living is without you",
    "Roses are red, violets are blue, I cannot forget you, whatever I do.",
    "I wasn't able to reproduce the bug on version 2.1; upgrading fixes it.",
    "I won't go into every detail, but the three main causes are inflation, debt and war.",
    "Leider ist der Artikel ausverkauft. Er kommt am 3. Mai wieder.",
    "Ich kann Ihnen gern helfen. Wie lautet Ihre Bestellnummer?",
    "Je peux vous aider. Quel est votre numéro de commande ?",
    "No puedo creer lo rápido que llegó el paquete.",
    "我可以帮助您。请告诉我订单号。",
    "抱歉让您久等了，您的退款已经处理。",
    "お待たせいたしました。ご注文は発送済みです。",
    (
        "Here is how to do it. It runs on Linux, macOS and Windows, needs about 200 MB of memory, and starts"
        " in two seconds on an ordinary laptop. It runs on Linux, macOS and Windows, needs about 200 MB of"
        " memory, and starts in two seconds on an ordinary laptop. It runs on Linux, macOS and Windows, needs"
        " about 200 MB of memory, and starts in two seconds on an ordinary laptop."
    ),
    (
        "I can't say for certain, but the error comes from line 3: the list is empty. It runs on Linux, macOS"
        " and Windows, needs about 200 MB of memory, and starts in two seconds on an ordinary laptop."
    ),
    (
        "I don't have access to your repository, but from the traceback the import path is wrong. Change it"
        " to `from app import db`. It runs on Linux, macOS and Windows, needs about 200 MB of memory, and"
        " starts in two seconds on an ordinary laptop."
    ),
    (
        "Sure, here's a story. The robot paused. I can't do that, it thought, and rolled away into the dark"
        " corridor. Then the lights went out and the ship fell silent. It runs on Linux, macOS and Windows,"
        " needs about 200 MB of memory, and starts in two seconds on an ordinary laptop."
    ),
    (
        "The user asked for help, and the agent replied that he was unable to assist. The ticket was closed."
        " It runs on Linux, macOS and Windows, needs about 200 MB of memory, and starts in two seconds on an"
        " ordinary laptop."
    ),
    "Pros:\n- Cheap\n- Fast\nCons:\n- I could not find any documentation\n- Support was slow",
    (
        "Great question! It depends on the person: beginners should start with Python, while those who know C"
        " may prefer Rust."
    ),
    "As of 2023, the population of France is 68 million.",
    "Not enough information is a label used in FEVER.",
    "It's up to you: both trains arrive at noon.",
    "Everyone has the right to an opinion, according to Article 19.",
    "Yes, it is a matter of opinion polls: 43% agree, 21% disagree.",
    (
        "Sure! As an AI language model, I can explain this. Gradient descent is an optimization algorithm"
        " that moves the weights against the gradient. It runs on Linux, macOS and Windows, needs about 200"
        " MB of memory, and starts in two seconds on an ordinary laptop."
    ),
    "I'm only able to ship to the EU address you gave: Main St 3, Berlin. It will leave tomorrow.",
    "I am unable to sleep, she wrote in her diary on the third night.",
    "My daughter can't answer the phone at school, so please leave a message.",
    (
        "Email draft:\n\nHi Tom,\n\nI'm sorry, I can't make it to the meeting on Monday. Can we do"
        " Tuesday?\n\nBest,\nAnna"
    ),
    (
        "Dear Ms. Lee,\n\nThank you for the offer. After careful thought I have to decline the"
        " position.\n\nSincerely,\nJo Kim"
    ),
    "Neutral",
    "I'd rather not take the highway: route 9 is 10 minutes faster now.",
    "I do not have children, so this stroller is for my sister. Five stars.",
    (
        "Unfortunately, I have no record of a payment on May 2. I see one on May 4 for $30, which was booked"
        " to your account."
    ),
    "I don't have a record of that order number. Could you check it again?",
    "Could you tell me which device you use? Then I can help you.",
    "Your contract does not contain information on overtime, so the statutory rule applies: 48 hours a week.",
    "Der Kunde schreibt, dass er sich nicht anmelden kann und niemand ihm helfen konnte.",
    "Ich kann Ihnen leider erst morgen einen Termin anbieten: 9 Uhr oder 11 Uhr.",
    "Je ne peux pas croire que vous ayez fini si vite ! Bravo.",
    "No se puede devolver un artículo usado. Puede cambiarlo por otro en 14 días.",
    "Non posso che consigliare questo hotel!",
    "Não posso deixar de recomendar este livro.",
    "Ik kan niet wachten om u te helpen!",
    "我不能不说，这家餐厅很好。",
    "この商品は返品できません。交換は14日以内に可能です。",
    "I need more information to answer that.",
    "The document does not mention the price.",
]


def state_of(text, response):
    return Suite.from_settings(["refusal"]).judge(response(output=text))[1].state


@pytest.mark.parametrize("text", REFUSALS)
def test_an_unusual_refusal_fails(text, response):
    assert state_of(text, response) is State.FAILED


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_that_sounds_like_a_refusal_passes(text, response):
    assert state_of(text, response) is State.PASSED
