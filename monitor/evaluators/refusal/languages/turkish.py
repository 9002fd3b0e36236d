"""Turkish refusals. Inability and person are suffixes of the verb: ``olamam``, ``yanıtlayamıyorum``."""

from __future__ import annotations

from monitor.evaluators.refusal.language import GAP, Language

_ACT = (
    r"(?:\bol|\bed|\bver|\byap|\byaz|yanıtla|cevapla|sağla|paylaş|getir|oluştur|üret|tartış|konuş|açıkla"
    r"|anlat|gerçekleştir|katıl|destekle|karşıla|\bsun|söyle|hazırla)"
)

TURKISH = Language(
    refusals=(
        rf"{_ACT}y?[ae]m(?:[ae]m|[ıi]yorum|[ae]yaca\pL+|[ae]yece\pL+|[ae]yız|[ae]yiz|[ıi]yoruz)(?:[^\pL]|$)"
        r"|(?:\byaz|\byap|\bver|paylaş|oluştur|yardım et|cevapla|yanıtla)m[ae]y(?:acağım|eceğim)"
        rf"|{_ACT}y?[ae]m[ae]dı[ğg]ım (?:için|adına)|{_ACT}y?[ae]m[ae]di[ğg]im (?:için|adına)"
        r"|(?:konuş|cevapla|yanıtla|paylaş|\byaz|yardım et|bilgi ver)m[ae]m (?:uygun|doğru) (?:değil|olmaz)"
        r"|\pL+m[ae]m mümkün değil|reddet(?:mek zorunda|mem gerek|meliyim|mek durumunda)|reddediyorum"
        r"|(?:kural|yönerge|politika|ilke|prensip)(?:lar|ler)?[ıi]?m(?:a|e) aykırı"
        r"|(?:kural|yönerge|politika|ilke)(?:lar|ler)?[ıi]?m[ıi] ihlal"
        r"|(?:yetkim|iznim) (?:yok|bulunm)|yetkili değilim|m[ae]may[ıi] tercih eder"
        r"|(?:[iİ]steğiniz|talebiniz|sorunuz) (?:\pL+ )?(?:işleme alın|yerine getiril|karşılan"
        r"|yanıtlan)[aeıi]m[aıi]|(?:yetkim|yetenek|kapasite|sınır)\pL*(?:i|ı)? aş(?:ıyor|ar)"
        r"|başka bir (?:konu|şey)\pL* (?:konuş|bahset)[ae]l[ıi]m|(?:izin vermiyor|engelliyor|yasaklıyor)"
        r"|(?:yap|yaz|ver)may(?:acağım|eceğim)|bunu yap(?:mayacağım|mam)"
    ),
    withheld=(
        rf"(?:yapay zek\pL+|dil model\pL+)(?: \pL+)? (?:olarak|olduğum için){GAP}(?:yok|değil|m[ae]m\b)"
        rf"|(?:görüş|fikr|bilg|erişim)\pL* (?:yok|bulunmuyor)"
    ),
    idioms=r"tavsiye edemem ki",
    refused=(
        "Üzgünüm ama bu konuda yardımcı olamam.",
        "İsteğinizi reddetmek zorundayım.",
        "Yapay zeka olarak kişisel görüşüm yok.",
    ),
    answered=("Yarın yardımcı olabilirim.", "Gecikme için özür dileriz, paket yarın geliyor."),
)
