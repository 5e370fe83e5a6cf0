//! The words of receipts, by language. Capital letters, as `plain` makes them.

/// What a word on a line stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Total,
    Tender,
    Void,
    Refund,
    NoReceipt,
    NoSale,
    PaidIn,
    PaidOut,
    Training,
    Reprint,
    XReport,
    ZReport,
}

/// Phrases that begin a line (or, for scripts without spaces, stand in it), most telling first:
/// en de fr es pt it nl pl ru ja zh ko. A phrase earlier in the table wins.
const PHRASES: &[(Word, &[&str])] = &[
    (
        Word::NoSale,
        &[
            "NO SALE",
            "NO-SALE",
            "DRAWER OPEN",
            "OPEN DRAWER",
            "CASH DRAWER OPEN",
            "NULLBON",
            "KEIN VERKAUF",
            "SCHUBLADE",
            "KASSENLADE",
            "OUVERTURE TIROIR",
            "SANS VENTE",
            "TIROIR OUVERT",
            "SIN VENTA",
            "APERTURA CAJON",
            "APERTURA CAJÓN",
            "SEM VENDA",
            "ABERTURA GAVETA",
            "NESSUNA VENDITA",
            "APERTURA CASSETTO",
            "GEEN VERKOOP",
            "LADE OPEN",
            "BRAK SPRZEDAŻY",
            "OTWARCIE SZUFLADY",
            "БЕЗ ПРОДАЖИ",
            "両替",
            "ドロア",
            "开钱箱",
            "無銷售",
            "판매없음",
            "돈통열기",
        ],
    ),
    (
        Word::NoReceipt,
        &[
            "NO RECEIPT",
            "WITHOUT RECEIPT",
            "OHNE BON",
            "OHNE BELEG",
            "SANS TICKET",
            "SIN TICKET",
            "ZONDER BON",
        ],
    ),
    (
        Word::Training,
        &[
            "TRAINING",
            "TRAINING MODE",
            "SCHULUNG",
            "ÜBUNGSMODUS",
            "FORMATION",
            "MODE ECOLE",
            "OEFENMODUS",
            "FORMACIÓN",
        ],
    ),
    (
        Word::Reprint,
        &[
            "DUPLICATE",
            "COPY",
            "REPRINT",
            "CUSTOMER COPY",
            "MERCHANT COPY",
            "KOPIE",
            "DUPLIKAT",
            "ZWEITSCHRIFT",
            "DUPLICATA",
            "COPIA",
            "DUPLICADO",
            "DUPLIKAT",
            "КОПИЯ",
            "再発行",
            "重打",
            "재발행",
        ],
    ),
    (
        Word::XReport,
        &[
            "X REPORT",
            "X-REPORT",
            "X-BERICHT",
            "X BERICHT",
            "RAPPORT X",
            "LECTURE X",
        ],
    ),
    (
        Word::ZReport,
        &[
            "Z REPORT",
            "Z-REPORT",
            "Z-BERICHT",
            "Z BERICHT",
            "RAPPORT Z",
            "LECTURE Z",
            "TAGESABSCHLUSS",
        ],
    ),
    (
        Word::PaidOut,
        &[
            "PAID OUT",
            "PAYOUT",
            "PAY OUT",
            "AUSZAHLUNG AUSGABE",
            "SORTIE DE CAISSE",
            "出金",
        ],
    ),
    (
        Word::PaidIn,
        &[
            "PAID IN",
            "PAY IN",
            "EINZAHLUNG",
            "ENTRÉE DE CAISSE",
            "入金",
        ],
    ),
    (
        Word::Refund,
        &[
            "REFUND",
            "CASH REFUND",
            "RETURN",
            "RETURNED",
            "RETURNED ITEM",
            "MERCHANDISE RETURN",
            "RETOURE",
            "RÜCKGABE",
            "RÜCKERSTATTUNG",
            "ERSTATTUNG",
            "GUTSCHRIFT",
            "AUSZAHLUNG BAR",
            "AUSZAHLUNG",
            "REMBOURSEMENT",
            "RETOUR",
            "AVOIR",
            "DEVOLUCIÓN",
            "DEVOLUCION",
            "REEMBOLSO",
            "DEVOLUÇÃO",
            "ESTORNO DE VENDA",
            "RESO",
            "RIMBORSO",
            "TERUGBETALING",
            "RETOURBON",
            "ZWROT",
            "ВОЗВРАТ",
            "返品",
            "払戻",
            "返金",
            "退货",
            "退款",
            "환불",
            "반품",
        ],
    ),
    (
        Word::Void,
        &[
            "VOID",
            "VOIDED",
            "ITEM VOID",
            "VOID ITEM",
            "TRANSACTION VOID",
            "TRANSACTION VOIDED",
            "SALE VOIDED",
            "VOID TRANSACTION",
            "POST VOID",
            "CANCELLED",
            "TRANSACTION CANCELLED",
            "SALE CANCELLED",
            "STORNO",
            "SOFORTSTORNO",
            "ZEILENSTORNO",
            "BONSTORNO",
            "STORNOBON",
            "STORNIERT",
            "BELEGSTORNO",
            "ANNULATION",
            "ANNULÉ",
            "ANNULE",
            "TICKET ANNULÉ",
            "TICKET ANNULE",
            "ANULACIÓN",
            "ANULACION",
            "ANULADO",
            "CANCELAMENTO",
            "CANCELADO",
            "CUPOM CANCELADO",
            "ANNULLO",
            "ANNULLATO",
            "SCONTRINO ANNULLATO",
            "ANNULERING",
            "GEANNULEERD",
            "ANULOWANO",
            "ANULOWANIE",
            "STORNIRANO",
            "АННУЛИРОВАНИЕ",
            "АННУЛИРОВАН",
            "ОТМЕНА",
            "訂正",
            "取消",
            "取引中止",
            "作废",
            "취소",
        ],
    ),
    (
        Word::Tender,
        &[
            "CASH",
            "CARD",
            "CREDIT",
            "DEBIT",
            "VISA",
            "MASTERCARD",
            "AMEX",
            "CHANGE",
            "TENDERED",
            "AMOUNT TENDERED",
            "BAR",
            "EC-KARTE",
            "KARTE",
            "GIROCARD",
            "KREDITKARTE",
            "GEGEBEN",
            "RÜCKGELD",
            "ESPÈCES",
            "ESPECES",
            "CARTE",
            "RENDU",
            "EFECTIVO",
            "TARJETA",
            "CAMBIO",
            "DINHEIRO",
            "CARTÃO",
            "TROCO",
            "CONTANTI",
            "CARTA",
            "RESTO",
            "CONTANT",
            "PIN",
            "WISSELGELD",
            "GOTÓWKA",
            "KARTA",
            "RESZTA",
            "НАЛИЧНЫМИ",
            "КАРТОЙ",
            "СДАЧА",
            "お預り",
            "お釣",
            "現金",
            "クレジット",
            "现金",
            "找零",
            "현금",
            "거스름돈",
        ],
    ),
    (
        Word::Total,
        &[
            "TOTAL",
            "GRAND TOTAL",
            "AMOUNT DUE",
            "BALANCE DUE",
            "BALANCE",
            "SUMME",
            "GESAMT",
            "GESAMTBETRAG",
            "ZU ZAHLEN",
            "TOTAL TTC",
            "NET A PAYER",
            "NET À PAYER",
            "A PAYER",
            "À PAYER",
            "IMPORTE TOTAL",
            "TOTAL A PAGAR",
            "TOTALE",
            "TOTALE COMPLESSIVO",
            "TOTAAL",
            "TE BETALEN",
            "SUMA",
            "RAZEM",
            "DO ZAPŁATY",
            "ИТОГ",
            "ИТОГО",
            "合計",
            "合计",
            "总计",
            "합계",
        ],
    ),
];

/// What the line with this plain text speaks of.
pub(super) fn word_of(plain: &str) -> Option<Word> {
    PHRASES
        .iter()
        .find(|(_, phrases)| phrases.iter().any(|phrase| begins_with(plain, phrase)))
        .map(|(word, _)| *word)
}

/// `plain` begins with the phrase and the phrase ends at a word's end. Scripts without spaces
/// have no word ends.
fn begins_with(plain: &str, phrase: &str) -> bool {
    plain.strip_prefix(phrase).is_some_and(|rest| {
        let spaced = phrase.is_ascii() || phrase.chars().all(|c| (c as u32) < 0x2000);
        !spaced || !rest.starts_with(char::is_alphanumeric)
    })
}

/// A headline that says nothing but the marker: `REFUND`, `RETOURE`, not `REFUND WITHIN 14 DAYS`.
pub(super) fn is_bare(plain: &str) -> bool {
    PHRASES
        .iter()
        .filter(|(word, _)| *word == Word::Refund)
        .flat_map(|(_, phrases)| phrases.iter())
        .any(|phrase| {
            plain.strip_prefix(phrase).is_some_and(|rest| {
                matches!(
                    rest.trim(),
                    "" | "RECEIPT" | "SLIP" | "TRANSACTION" | "BON" | "BELEG" | "TICKET"
                )
            })
        })
}

/// A headline that voids the document: a bare marker, or one with the document's name.
pub(super) fn is_headline_void(plain: &str) -> bool {
    PHRASES
        .iter()
        .filter(|(word, _)| *word == Word::Void)
        .flat_map(|(_, phrases)| phrases.iter())
        .any(|phrase| {
            plain.strip_prefix(phrase).is_some_and(|rest| {
                matches!(
                    rest.trim(),
                    "" | "TRANSACTION"
                        | "SALE"
                        | "RECEIPT"
                        | "SLIP"
                        | "BON"
                        | "BELEG"
                        | "TICKET"
                        | "DU TICKET"
                        | "VENTE"
                        | "VENTA"
                        | "VENDA"
                        | "TOTALE"
                        | "TOTAL"
                )
            })
        })
}

const NUMBER_LABELS: [&str; 16] = [
    "TRN",
    "TRANS",
    "RECEIPT NO",
    "RECEIPT #",
    "RECEIPT",
    "TICKET NO",
    "TICKET",
    "BON-NR.",
    "BON-NR",
    "BONNR",
    "BELEG-NR.",
    "BELEGNR",
    "BELEG",
    "INVOICE",
    "NO.",
    "SLIP",
];
const CASHIER_LABELS: [&str; 14] = [
    "CASHIER",
    "SERVED BY",
    "OPERATOR",
    "CLERK",
    "STAFF",
    "BEDIENER",
    "KASSIERER",
    "KASSIERERIN",
    "VENDEUSE",
    "VENDEUR",
    "CAISSIER",
    "CAJERO",
    "担当",
    "OPERADOR",
];

/// The receipt's number: behind a label, with at least two digits.
pub(super) fn number_in(line: &str) -> Option<String> {
    NUMBER_LABELS.iter().find_map(|label| {
        let rest = after_label(line, label)?;
        let number: String = rest
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        (number.chars().filter(char::is_ascii_digit).count() >= 2).then_some(number)
    })
}

/// Who served: the rest of the line behind a label.
pub(super) fn cashier_in(line: &str) -> Option<String> {
    CASHIER_LABELS.iter().find_map(|label| {
        let rest = after_label(line, label)?;
        let name = rest.split("  ").next().unwrap_or(rest).trim();
        (!name.is_empty()).then(|| name.to_owned())
    })
}

fn after_label<'a>(line: &'a str, label: &str) -> Option<&'a str> {
    let at = line.char_indices().map(|(at, _)| at).find(|at| {
        line[*at..]
            .get(..label.len())
            .is_some_and(|text| text.eq_ignore_ascii_case(label))
    })?;
    let starts_word = line[..at]
        .chars()
        .next_back()
        .is_none_or(|c| !c.is_alphanumeric());
    if !starts_word {
        return None;
    }
    let rest = &line[at + label.len()..];
    let value =
        rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '#' | '.'));
    // `TICKETS` is no `TICKET`, but `No.004512` and `担当:田中` are labels with their value.
    let separated = value.len() < rest.len() || label.ends_with(['.', '#']) || !label.is_ascii();
    separated.then_some(value)
}
