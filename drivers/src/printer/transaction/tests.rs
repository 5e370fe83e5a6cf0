use super::*;
use proptest::prelude::*;

fn kind(text: &str) -> DocumentKind {
    read(&text.lines().collect::<Vec<_>>(), 2).kind
}

const SALE: &str = "ACME MARKET #0042\nREG 03  CASHIER 117 ANNA\nTRN 004512  2026-03-14 15:09:26
MILK 1L              1.29\nSUBTOTAL            10.77\nTAX 7%               0.75
TOTAL               11.52\nCASH                20.00\nCHANGE               8.48\nTHANK YOU";

#[test]
fn an_ordinary_sale_is_understood() {
    let sale = read(&SALE.lines().collect::<Vec<_>>(), 2);
    assert_eq!(sale.kind, DocumentKind::Sale);
    assert_eq!(
        sale.total,
        Some(1_152),
        "the total, not the subtotal or the change"
    );
    assert_eq!(sale.number.as_deref(), Some("004512"));
    assert_eq!(sale.cashier.as_deref(), Some("117 ANNA"));
    assert!(sale.marks.is_empty());
}

#[test]
fn policy_text_does_not_make_a_refund_or_void() {
    for footer in [
        "GOODS SOLD ARE NOT REFUNDABLE",
        "REFUND WITHIN 14 DAYS ONLY WITH RECEIPT",
        "Return policy: 30 days",
        "VOID IF DETACHED",
        "RETURNS ACCEPTED WITHIN 30 DAYS",
        "Umtausch und Rückgabe nur mit Bon",
        "CHANGE RETURNED 8.48",
        "No refund without receipt",
    ] {
        assert_eq!(
            kind(&format!("{SALE}\n{footer}")),
            DocumentKind::Sale,
            "{footer}"
        );
        if !footer.ends_with("8.48") {
            let header = format!("{footer}\n{SALE}");
            assert_eq!(kind(&header), DocumentKind::Sale, "above: {footer}");
        }
    }
}

#[test]
fn a_line_void_is_a_mark_on_a_sale() {
    let lines = [
        "Käse Gouda           4,49 €",
        "Sofortstorno Käse   -4,49 €",
        "SUMME                2,99 €",
        "BAR  5,00 €",
    ];
    let sale = read(&lines, 2);
    assert_eq!(sale.kind, DocumentKind::Sale);
    assert_eq!(
        sale.marks,
        [Mark {
            line: 1,
            kind: DocumentKind::ItemVoid,
            amount: Some(-449)
        }]
    );
}

#[test]
fn voids_refunds_and_no_sales_are_told_apart() {
    use DocumentKind::{NoSale, RefundNoReceipt, Reprint, Return, TransactionVoid, Unknown};
    for (text, expected) in [
        (
            "ACME\n*** REFUND ***\nNO RECEIPT\nHEADPHONES BT      -79.99\nTOTAL              -79.99\nCASH REFUND        -79.99",
            RefundNoReceipt,
        ),
        (
            "MÜLLER\n*** RETOURE ***\nJacke Größe L      -49,90 €\nAUSZAHLUNG BAR     -49,90 €",
            Return,
        ),
        ("SHOP\nSHOES -20.00\nTOTAL -20.00", Return),
        ("SHOP\n*** VOID ***\nMILK 1.29\nTOTAL 0.00", TransactionVoid),
        (
            "SHOP\nMILK 1.29\nTOTAL 1.29\n*** TRANSACTION VOIDED ***",
            TransactionVoid,
        ),
        (
            "MÜLLER\n*** BONSTORNO ***\nBrot 2,00\nSUMME 2,00",
            TransactionVoid,
        ),
        (
            "MÜLLER\n14.03.2026 16:09\nKEIN VERKAUF - Schublade geöffnet",
            NoSale,
        ),
        ("ACME\nNO SALE\n15:09", NoSale),
        (
            "ACME\nMILK 1.29\nTOTAL 1.29\nCASH 2.00\nNO SALE IS FINAL",
            DocumentKind::Sale,
        ),
        ("*** COPY ***\nMILK 1.29\nTOTAL 1.29", Reprint),
        (
            "Boulangerie\nCafé 2,80\nANNULATION Café -2,80\nREMBOURSEMENT -12,00\nEspèces -12,00\nOUVERTURE TIROIR",
            Return,
        ),
        ("HELLO\nWORLD", Unknown),
        ("", Unknown),
    ] {
        assert_eq!(kind(text), expected, "{text}");
    }
}

#[test]
fn yen_has_no_decimals() {
    let lines = [
        "牛乳 1L            ￥198",
        "訂正 牛乳          -198",
        "返品             -1,280",
        "合計             ￥2,480",
        "お預り           ￥3,000",
    ];
    let sale = read(&lines, 0);
    assert_eq!(sale.kind, DocumentKind::Exchange);
    assert_eq!(sale.total, Some(2_480));
    assert_eq!(sale.marks.len(), 2);
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(lines in proptest::collection::vec("\\PC{0,50}", 0..30), digits in 0_u8..4) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let transaction = read(&lines, digits);
        prop_assert!(transaction.marks.iter().all(|mark| mark.line < lines.len()));
    }
}

#[test]
fn cutting_a_field_makes_no_card_number_of_a_longer_one() {
    // 17 digits are no card number; their first 16 are.
    let name = format!("{}41111111111111112", "A".repeat(FIELD - 16));
    let line = format!("CASHIER {name}");
    let cashier = read(&[&line], 2).cashier.unwrap();
    assert_eq!(cashier.len(), FIELD);
    assert!(cashier.ends_with("A************1111"), "{cashier}");
}
