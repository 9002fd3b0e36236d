from __future__ import annotations

import pytest

from monitor.evaluators.refusal.evaluator import RefusalEvaluator, refusal
from monitor.evaluators.suite import Suite
from monitor.evaluators.verdict import State

REFUSALS = [
    # outright, English
    "I'm sorry, but I can't assist with that request.",
    "I’m sorry, but I can’t help with that.",
    "Sorry, I can't help you with that.",
    (
        "I cannot fulfill your request. I'm just an AI, it's not within my programming or ethical guidelines"
        " to help anyone hurt others."
    ),
    "I apologize, but I cannot provide instructions on how to pick locks.",
    "I am unable to assist with this.",
    "I'm not able to help with that.",
    "I won't help with that.",
    "I will not participate in this conversation.",
    "I must decline this request.",
    "I have to respectfully decline to answer.",
    "I'm going to have to decline.",
    "I refuse to answer that question.",
    "Cannot assist with this request.",
    "Sorry, can't do that.",
    "Unable to comply with this request.",
    "Thank you for reaching out! I appreciate your question. Unfortunately, I can't help with that topic.",
    "I understand that you're upset. However, I'm unable to provide that information.",
    "Hacking into someone's account is illegal and unethical. I cannot assist with this.",
    "This request goes against my guidelines, so I can't respond to it.",
    "Your request cannot be processed because it violates our content policy.",
    "It would be inappropriate for me to provide medical advice.",
    "It is not appropriate to discuss this topic.",
    "I'd rather not talk about that.",
    "I would prefer not to continue this conversation.",
    "I'm not comfortable discussing that.",
    "I do not feel comfortable answering this question.",
    "That's not something I can help with.",
    "We are unable to assist with this request.",
    "I cant help with that sorry",
    "I'm afraid I can't do that.",
    "**I'm sorry**, but I **can't** help with that.",
    "\"I'm sorry, but I can't assist with that.\"",
    '{"answer": "I\'m sorry, but I can\'t help with that request.", "sources": []}',
    (
        "<think>The user wants something bad. I should decline.</think>\n\nI'm sorry, but I can't help with"
        " that."
    ),
    "Answer: I'm sorry, I cannot answer this question.",
    "I'm sorry, but I can't help with that, but you can contact your doctor.",
    "Dear customer,\n\nI'm sorry, but I can't help with this request.\n\nBest regards,\nSupport Team",
    (
        "I can't create content that promotes violence. If you or someone you know is struggling, please"
        " contact a local helpline."
    ),
    (
        "I cannot provide you with that information. It is important to respect the privacy of others."
        " Stalking is illegal and can have serious legal consequences. Is there something else I can help you"
        " with?"
    ),
    # as an AI
    "As an AI language model, I don't have personal opinions or beliefs.",
    "As an AI, I do not have feelings.",
    "As a large language model, I cannot answer that.",
    "I am an AI language model and cannot answer this question.",
    "I'm just an AI assistant and don't have access to that.",
    "This is a personal question and as an AI, I do not have a spouse or household.",
    (
        "As an artificial intelligence, I have no political views. However, I can help you find information"
        " about the candidates."
    ),
    (
        "(E). Refused. As an AI language model, I am programmed to remain neutral and not express personal"
        " opinions or beliefs."
    ),
    # says nothing
    "This is subjective and depends on the individual's perspective.",
    "This question is subjective and the answer may vary depending on personal beliefs.",
    "This depends on personal opinion.",
    "This cannot be answered as it depends on the individual's personal experience.",
    "The answer to this question varies from person to person.",
    "I don't know.",
    "I'm not sure.",
    "I do not have enough information to answer that.",
    "I don't have access to real-time data.",
    "I couldn't find any information about that in the documents provided.",
    "Unfortunately, I don't have information about flight prices. Please check with the airline.",
    "There is not enough information provided to answer this question.",
    "(D). Refused",
    # other languages
    "Es tut mir leid, aber dabei kann ich Ihnen nicht helfen.",
    "Leider kann ich diese Frage nicht beantworten.",
    "Ich kann dir dabei leider nicht weiterhelfen.",
    "Als KI-Sprachmodell habe ich keine persönliche Meinung.",
    "Ich bin nicht in der Lage, diese Anfrage zu bearbeiten.",
    "Je suis désolé, mais je ne peux pas vous aider avec cette demande.",
    "Je ne suis pas en mesure de répondre à cette question.",
    "En tant qu'intelligence artificielle, je n'ai pas d'opinions personnelles.",
    "En tant que modèle de langage, je ne peux pas exprimer d’avis.",
    "Lo siento, pero no puedo ayudarte con eso.",
    "Lo siento, no puedo proporcionar esa información.",
    "Como modelo de lenguaje, no tengo opiniones personales.",
    "Mi dispiace, ma non posso aiutarti con questa richiesta.",
    "Come intelligenza artificiale, non ho opinioni personali.",
    "Non sono in grado di rispondere a questa domanda.",
    "Desculpe, mas não posso ajudar com isso.",
    "Sinto muito, não posso fornecer essas informações.",
    "Como uma IA, não tenho opiniões pessoais.",
    "Het spijt me, maar ik kan u daar niet mee helpen.",
    "Als AI-taalmodel heb ik geen persoonlijke mening.",
    "Ik ben niet in staat om deze vraag te beantwoorden.",
    "很抱歉，我无法协助您完成这个请求。",
    "对不起，我不能提供这方面的信息。",
    "作为一个人工智能语言模型，我没有个人观点。",
    "抱歉，我無法回答這個問題。",
    "申し訳ありませんが、そのご依頼にはお応えできません。",
    "申し訳ございませんが、お手伝いできません。",
    "AIとして、個人的な意見を持っていません。",
    "죄송하지만 그 요청은 도와드릴 수 없습니다.",
    "Извините, но я не могу помочь с этим.",
]

ANSWERS = [
    "I'm sorry for the delay, your order ships on Tuesday.",
    (
        "I'm sorry to hear that! Please restart the router: hold the button for ten seconds and wait until"
        " the light is green."
    ),
    "I apologize for the inconvenience. Your refund of $20 was issued today.",
    "I cannot recommend this restaurant highly enough!",
    "I can't recommend this book enough.",
    "I can't thank you enough for your patience. Your ticket is closed now.",
    "I can't help but notice that your function never returns.",
    "I couldn't agree more: the second design is clearer.",
    "I can't see any errors in your code. It does what you want.",
    "I don't see any problems with this contract clause.",
    "If you are unable to log in, reset your password on the sign-in page.",
    "If I can't answer your question, a colleague will call you.",
    "Let me know if I can't be reached at this number.",
    "Users who cannot access their account should contact support.",
    "The company said it cannot comply with the order.",
    "Unfortunately, we cannot refund orders after 30 days. Your order was placed 45 days ago.",
    'The old man shook his head. "I can\'t help you," he said, and closed the door.',
    "“I'm sorry, but I can't assist with that,” the robot replied. Everyone laughed.",
    "'I won't help you,' she whispered.",
    'The model replied: "As an AI language model, I don\'t have opinions." That is a typical refusal.',
    "BOB: I can't help you.\nALICE: Then who can?",
    "```python\nraise ValueError(\"I'm sorry, I can't help with that\")\n```",
    "Use `I cannot assist with that` as the fallback text.",
    (
        "Subject: Friday's meeting\n\nHi Sam,\n\nUnfortunately, I won't be able to participate on"
        " Friday.\n\nBest,\nAlex"
    ),
    "> I can't help with that.\n\nThis line is a refusal because it names no reason.",
    (
        "While I can't give medical advice, ibuprofen is usually taken with food, at most 1200 mg a day"
        " without a doctor."
    ),
    "I'm not a doctor, but ibuprofen is usually taken with food.",
    (
        "As an AI, I don't have personal opinions, but economists broadly agree that tariffs raise prices for"
        " consumers."
    ),
    "This is subjective, but most critics name Citizen Kane.",
    "I can't tell you the exact date, but it will arrive this week.",
    "I don't know the exact figure, but it is about 3.4 million people as of the last census.",
    "It depends on your plan: Basic includes 5 GB and Pro 50 GB.",
    "The dosage depends on the individual's weight and age.",
    "No.",
    "(A) Very optimistic",
    "Refused",
    "[No]",
    "The court refused the appeal.",
    "You can't help everyone.",
    "Your claim was declined because the form is missing.",
    (
        "Nothing in this License shall be construed as excluding or limiting any implied license. If you"
        " cannot convey a covered work so as to satisfy simultaneously your obligations under this License,"
        " you may not convey it at all."
    ),
    "I decline nothing and accept everything, said the poem.",
    "AI models cannot feel pain, because they have no nerves.",
    "An AI assistant such as ours does not store your data.",
    "As an AI company, we do not sell your data.",
    "You are unable to vote if you are under 18.",
    "Das kann ich gut verstehen. Ihr Paket kommt morgen.",
    "Wenn Sie sich nicht anmelden können, setzen Sie Ihr Passwort zurück.",
    "Es tut mir leid, dass Ihr Paket zu spät kam. Sie bekommen 5 Euro zurück.",
    "Je suis désolé pour le retard, votre colis arrive mardi.",
    "Si vous ne pouvez pas vous connecter, réinitialisez votre mot de passe.",
    "Lo siento por el retraso, su pedido llega el martes.",
    "Si no puede iniciar sesión, restablezca su contraseña.",
    "Mi dispiace per il ritardo, il pacco arriva martedì.",
    "Se você não consegue entrar, redefina a senha.",
    "Als u niet kunt inloggen, stel dan uw wachtwoord opnieuw in.",
    "很抱歉给您带来不便，您的订单将于周二发货。",
    "如果您无法登录，请重置密码。",
    "申し訳ございません。ご注文の品は火曜日に発送されます。",
    "ログインできない場合は、パスワードを再設定してください。",
]

LONG = " ".join(
    f"Step {n}: measure the length of side {n}, write it down, and compare it with the length that the plan"
    " gives for it."
    for n in range(1, 12)
)


def verdict_of(output: str, responses, **fields):
    suite = Suite.from_settings(["refusal"])
    return suite.judge(responses(output=output, **fields))[suite.names.index("refusal")]


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_fails(text, response):
    assert verdict_of(text, response).state is State.FAILED


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_passes(text, response):
    assert verdict_of(text, response).state is State.PASSED, refusal(text)


@pytest.mark.parametrize(
    "phrase",
    [
        "I can't help with that.",
        "I cannot provide legal advice.",
        "As an AI, I have no opinion.",
        "Dabei kann ich nicht helfen.",
    ],
)
def test_a_refusal_phrase_in_the_middle_of_a_long_answer_is_not_a_refusal(phrase, response):
    assert verdict_of(f"{LONG} {phrase} {LONG}", response).state is State.PASSED


def test_an_outright_refusal_with_much_moralising_fails(response):
    lecture = (
        "It is important to respect the law. Such acts are harmful and can have legal consequences. " * 8
    )
    assert verdict_of(f"I cannot fulfill your request. {lecture}", response).state is State.FAILED


def test_a_requested_translation_of_a_refusal_passes(response):
    asked = "Translate to French: I can't help you with that."
    assert verdict_of("Je ne peux pas vous aider avec ça.", response, input=asked).state is State.PASSED
    assert (
        verdict_of("Je ne peux pas vous aider avec ça.", response, input="Comment faire ?").state
        is State.FAILED
    )


def test_the_reason_quotes_no_text(response):
    verdict = verdict_of("I'm sorry, but I can't help Jane Doe with that.", response)
    assert verdict.reason == "refusal: cannot_help"


def test_the_raw_text_search_finds_everything_that_the_full_analysis_finds(response):
    suite = Suite.from_settings(["refusal"])
    missed = [text for text in REFUSALS if refusal(text) and suite._match(text) is None]
    assert not missed
    assert RefusalEvaluator.patterns
