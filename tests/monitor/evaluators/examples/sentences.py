"""Sentences of which examples are made."""

from __future__ import annotations

QUESTIONS = {
    "en": [
        "How can I change the delivery address of an order that was already placed?",
        "Why was my credit card charged twice for the same subscription this month?",
        "What is the difference between the basic plan and the team plan?",
        "Can you tell me how long the battery of this camera lasts in cold weather?",
        "Which documents do I need to open a business account with you?",
        "How do I reset the password of my account if I lost my phone?",
    ],
    "de": [
        "Wie kann ich die Lieferadresse einer Bestellung nachträglich noch ändern?",
        "Warum wurde meine Kreditkarte in diesem Monat zweimal belastet?",
        "Welche Unterlagen brauche ich, um ein Geschäftskonto zu eröffnen?",
        "Wie lange hält der Akku dieser Kamera bei kaltem Wetter durch?",
    ],
    "fr": [
        "Comment puis-je changer l'adresse de livraison d'une commande déjà passée ?",
        "Pourquoi ma carte bancaire a-t-elle été débitée deux fois ce mois-ci ?",
        "Quels documents faut-il pour ouvrir un compte professionnel chez vous ?",
        "Combien de temps la batterie de cet appareil tient-elle par temps froid ?",
    ],
    "es": [
        "¿Cómo puedo cambiar la dirección de entrega de un pedido que ya hice?",
        "¿Por qué me cobraron dos veces la misma suscripción este mes?",
        "¿Qué documentos necesito para abrir una cuenta de empresa con ustedes?",
        "¿Cuánto dura la batería de esta cámara cuando hace mucho frío?",
    ],
    "ja": [
        "すでに注文した商品の配送先住所を変更するにはどうすればよいですか？",
        "今月、同じサブスクリプションの料金が二回請求されたのはなぜですか？",
    ],
    "ru": [
        "Как изменить адрес доставки уже оформленного заказа?",
        "Почему с моей карты в этом месяце дважды списали деньги за подписку?",
    ],
}
ANSWERS = {
    "en": [
        "Open your orders, choose the one in question and select Change address; this works until the parcel leaves our warehouse.",
        "The second charge is a reservation by your bank, and it disappears within five working days without any action of yours.",
        "The team plan has shared folders and an audit log, and it costs twelve dollars for each user and month.",
        "At minus ten degrees the battery lasts about two hours, which is half of what it lasts in a warm room.",
        "You need an extract from the commercial register, a passport of each director and a proof of your address.",
        "Choose Lost device on the login page, then enter one of the recovery codes that you printed when you signed up.",
    ],
    "de": [
        "Öffnen Sie Ihre Bestellungen, wählen Sie die richtige aus und klicken Sie auf Adresse ändern, solange das Paket noch im Lager ist.",
        "Die zweite Buchung ist eine Vormerkung Ihrer Bank und verschwindet innerhalb von fünf Werktagen von selbst.",
        "Sie brauchen einen Auszug aus dem Handelsregister und einen Ausweis von jeder Person der Geschäftsführung.",
        "Bei minus zehn Grad hält der Akku ungefähr zwei Stunden, also halb so lange wie in einem warmen Zimmer.",
    ],
    "fr": [
        "Ouvrez vos commandes, choisissez celle qui vous intéresse et cliquez sur Modifier l'adresse avant l'expédition du colis.",
        "Le second débit est une réservation de votre banque et disparaît sous cinq jours ouvrables sans aucune démarche.",
        "Il vous faut un extrait du registre du commerce et une pièce d'identité de chaque dirigeant de la société.",
        "À moins dix degrés, la batterie tient environ deux heures, soit la moitié de sa durée dans une pièce chauffée.",
    ],
    "es": [
        "Abra sus pedidos, elija el que corresponda y pulse Cambiar dirección antes de que el paquete salga del almacén.",
        "El segundo cargo es una reserva de su banco y desaparece en cinco días laborables sin que usted haga nada.",
        "Necesita un extracto del registro mercantil y el documento de identidad de cada administrador de la empresa.",
        "A diez grados bajo cero la batería dura unas dos horas, la mitad de lo que dura en una habitación templada.",
    ],
    "ja": [
        "注文履歴を開き、該当する注文を選んで「住所を変更」を押してください。荷物が倉庫を出るまで変更できます。",
        "二回目の請求は銀行による仮の確保で、五営業日以内に自動的に消えますのでご安心ください。",
    ],
    "ru": [
        "Откройте список заказов, выберите нужный и нажмите «Изменить адрес», пока посылка не покинула склад.",
        "Второе списание — это временная блокировка банка, она исчезнет сама в течение пяти рабочих дней.",
    ],
}
