use super::*;
use crate::pos::PosFlag;
use proptest::prelude::*;
use serde_json::json;

fn context() -> ParseContext {
    ParseContext {
        zone: TimeZone::UTC,
        minor_digits: 2,
    }
}

fn read(body: &str) -> Result<PosEvent, Refusal> {
    parse_pos_event(body.as_bytes(), &context())
}

const EXAMPLE: &str = r#"{"event_id":"a1b2c3d4-1","event_type":"discount_applied","timestamp":"2025-10-04T14:34:15Z",
 "store_id":"store_001","register_id":"reg_02","staff_id":"emp_12345","order_id":"ORD48592","ticket_no":"T8923",
 "amount":150.0,"original_amount":300.0,"discount_percent":50.0,
 "items":[{"sku":"SKU123","name":"Product A","quantity":2,"unit_price":100.0,"total_price":200.0,"discount":50.0}],
 "metadata":{}}"#;

#[test]
fn the_full_form_is_read() {
    let event = read(EXAMPLE).unwrap();
    assert_eq!(event.event_type, PosEventType::DiscountApplied);
    assert_eq!(event.amount, Some(Money(15_000)));
    assert_eq!(event.original_amount, Some(Money(30_000)));
    assert_eq!(event.discount(), Some(Percent(50_000)));
    assert_eq!(event.timestamp.unwrap().utc_us, 1_759_588_455_000_000);
    assert_eq!(event.items[0].quantity_milli, Some(2_000));
    assert_eq!(event.items[0].unit_price, Some(Money(10_000)));
    assert!(event.flags.is_empty(), "{:?}", event.flags);
}

#[test]
fn only_id_and_type_are_mandatory() {
    let event = read(r#"{"event_id":"123","event_type":"void_transaction"}"#).unwrap();
    assert_eq!(event.event_id, "123");
    assert_eq!(event.flags, [PosFlag::TimestampMissing]);
    let number = read(r#"{"event_id":123,"event_type":"void_transaction"}"#).unwrap();
    assert_eq!(number.event_id, "123");
}

#[test]
fn what_cannot_be_understood_is_refused_with_its_reason() {
    for (body, reason) in [
        ("", "not_json_object"),
        ("hello", "not_json_object"),
        ("[1]", "not_json_object"),
        (r#"{"event_id":"1""#, "not_json_object"),
        (r#"{"event_id":"1"}"#, "field_missing"),
        (r#"{"event_type":"void_transaction"}"#, "field_missing"),
        (r#"{"event_id":"","event_type":"x"}"#, "field_missing"),
        (r#"{"event_id":null,"event_type":"x"}"#, "field_missing"),
        (r#"{"event_id":{},"event_type":"x"}"#, "field_type"),
    ] {
        assert_eq!(read(body).unwrap_err().reason(), reason, "{body}");
    }
    let long = json!({"event_id": "x".repeat(129), "event_type": "x"}).to_string();
    assert_eq!(read(&long).unwrap_err().reason(), "field_too_long");
    let fits = json!({"event_id": "x".repeat(128), "event_type": "x"}).to_string();
    assert!(read(&fits).is_ok());
    let huge = vec![b' '; MAX_EVENT_BYTES + 1];
    assert_eq!(
        parse_pos_event(&huge, &context()).unwrap_err().reason(),
        "too_large"
    );
}

#[test]
fn odd_fields_are_flagged_and_kept() {
    let event = read(
        r#"{"event_id":"e","event_type":"refund_issued","timestamp":"gestern","amount":"12.345",
            "original_amount":"viel","till_colour":"red","staff_id":null,"metadata":{"shift":2}}"#,
    )
    .unwrap();
    assert_eq!(event.timestamp, None);
    assert_eq!(event.amount, Some(Money(1_235)));
    assert_eq!(event.original_amount, None);
    assert_eq!(event.staff_id, None);
    let flags = [
        PosFlag::TimestampOdd,
        PosFlag::AmountRounded,
        PosFlag::FieldOdd,
    ];
    assert_eq!(event.flags, flags);
    assert_eq!(event.metadata.0["till_colour"], "red");
    assert_eq!(event.metadata.0["original_amount"], "viel");
    assert_eq!(event.metadata.0["timestamp"], "gestern");
    assert_eq!(event.metadata.0["shift"], 2);
}

#[test]
fn unknown_types_are_kept_by_name() {
    let event =
        read(r#"{"event_id":"e","event_type":"till_opened","timestamp":"2025-10-04T14:34:15"}"#)
            .unwrap();
    assert_eq!(event.event_type.name(), "till_opened");
    assert_eq!(
        event.flags,
        [PosFlag::TimestampZoneAssumed, PosFlag::TypeUnknown]
    );
}

#[test]
fn a_missing_percentage_comes_from_the_amounts() {
    let event = read(
        r#"{"event_id":"e","event_type":"discount_applied","amount":65,"original_amount":100}"#,
    )
    .unwrap();
    assert_eq!(event.discount().unwrap().to_string(), "35 %");
}

#[test]
fn bounds_hold_for_items_and_metadata() {
    let items: Vec<_> = (0..MAX_ITEMS + 5).map(|n| json!({"sku": n})).collect();
    let extra: serde_json::Map<_, _> = (0..80).map(|n| (format!("f{n}"), json!(n))).collect();
    let body = json!({"event_id": "e", "event_type": "x", "items": items, "metadata": extra});
    let event = read(&body.to_string()).unwrap();
    assert_eq!(event.items.len(), MAX_ITEMS);
    assert_eq!(event.metadata.0.len(), MAX_METADATA_FIELDS);
    assert!(event.flags.contains(&PosFlag::ItemsCut));
    assert!(event.flags.contains(&PosFlag::MetadataCut));
}

#[test]
fn an_event_is_kept_however_deep_its_fields_are_nested() {
    for depth in [1, 64, 65, 126, 127, 128, 10_000] {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let body = format!(r#"{{"event_id":"1","event_type":"void_transaction","deep":{deep}}}"#);
        let event = read(&body).unwrap();
        let cut = event.flags.contains(&PosFlag::MetadataCut);
        assert_eq!(cut, depth > MAX_METADATA_DEPTH, "{depth}");
        let on_disk = postcard::to_extend(&event, Vec::new()).unwrap();
        let again: PosEvent = postcard::from_bytes(&on_disk).unwrap();
        assert_eq!(again, event, "{depth}");
        let json = serde_json::to_string(&event).unwrap();
        let again: PosEvent = serde_json::from_str(&json).unwrap();
        assert_eq!(again, event, "{depth}");
    }
}

#[test]
fn redelivery_has_the_same_hash_and_another_body_another() {
    let a = read(EXAMPLE).unwrap();
    assert_eq!(a.body_hash, read(EXAMPLE).unwrap().body_hash);
    assert_ne!(
        a.body_hash,
        read(&EXAMPLE.replace("150.0", "150.1")).unwrap().body_hash
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_pos_event(&body, &context());
    }

    #[test]
    fn any_field_value_leaves_the_event_usable(
        field in "timestamp|store_id|staff_id|amount|original_amount|discount_percent|items|metadata|other",
        value in prop_oneof![
            Just(json!(null)), Just(json!(true)), Just(json!([1, {"sku": []}])), Just(json!({"a": {"b": 1}})),
            any::<f64>().prop_map(|f| json!(f)), ".{0,300}".prop_map(|s| json!(s)),
        ],
    ) {
        let body = json!({"event_id": "e", "event_type": "void_transaction", field: value}).to_string();
        let event = read(&body).unwrap();
        let disk = postcard::to_stdvec(&event).unwrap();
        prop_assert_eq!(postcard::from_bytes::<PosEvent>(&disk).unwrap(), event.clone());
        let json = serde_json::to_string(&event).unwrap();
        let back: PosEvent = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(back.event_id, event.event_id);
    }
}
