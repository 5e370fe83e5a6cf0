//! `events`

use super::cli::EventsArgs;
use super::control::ControlError;
use super::sse::{Message, Reader};
use super::{Failure, Gateway, Out, text};
use http_body_util::BodyExt as _;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// How long to wait before asking again when the gateway went away.
const COME_BACK: Duration = Duration::from_secs(1);

/// What a line shows of an item.
#[derive(Debug, Deserialize)]
struct Shown {
    at: String,
    kind: String,
    text: String,
    severity: Option<String>,
    score: Option<f64>,
}

pub(super) async fn run(args: &EventsArgs, gateway: &Gateway, out: Out<'_>) -> Result<(), Failure> {
    let uri = format!("/api/events/recent?limit={}", args.limit);
    let mut items: Vec<Value> = gateway.control.get(&uri).await?;
    items.reverse();
    for item in &items {
        show(item, args.json, &gateway.zone, out)?;
    }
    if args.follow {
        let last = items.iter().filter_map(|item| item["seq"].as_u64()).max();
        follow(args, gateway, last, out).await?;
    }
    Ok(())
}

/// Until nobody reads on; the gateway may come and go.
async fn follow(
    args: &EventsArgs,
    gateway: &Gateway,
    mut last: Option<u64>,
    out: Out<'_>,
) -> Result<(), Failure> {
    let mut told = false;
    loop {
        let uri = last.map_or_else(
            || "/api/live".to_owned(),
            |last| format!("/api/live?after={last}"),
        );
        match gateway.control.stream(&uri).await {
            Ok(mut body) => {
                told = false;
                let mut reader = Reader::default();
                while let Some(Ok(frame)) = body.frame().await {
                    let Ok(bytes) = frame.into_data() else {
                        continue;
                    };
                    for message in reader.feed(&bytes) {
                        last = message.id.as_ref().and_then(|id| id.parse().ok()).or(last);
                        happened(&message, args.json, &gateway.zone, out)?;
                    }
                }
            }
            Err(why @ (ControlError::Down(_) | ControlError::Broken { .. })) => {
                if !std::mem::replace(&mut told, true) {
                    super::complain(&format!("{why}; waiting for it"));
                }
            }
            Err(why) => return Err(why.into()),
        }
        tokio::time::sleep(COME_BACK).await;
    }
}

fn happened(message: &Message, json: bool, zone: &TimeZone, out: Out<'_>) -> Result<(), Failure> {
    match message.event.as_str() {
        "lagged" => {
            let lost = serde_json::from_str::<Value>(&message.data)
                .ok()
                .and_then(|data| data["lost"].as_u64());
            super::complain(&format!(
                "too slow for {} items; reading them from the log",
                lost.unwrap_or(0)
            ));
        }
        "gap" => super::complain(&format!(
            "records that the log does not have any more: {}",
            message.data
        )),
        _ => {
            if let Ok(item) = serde_json::from_str::<Value>(&message.data) {
                show(&item, json, zone, out)?;
            }
        }
    }
    Ok(())
}

fn show(item: &Value, json: bool, zone: &TimeZone, out: Out<'_>) -> Result<(), Failure> {
    if json {
        writeln!(out, "{item}")?;
    } else if let Ok(shown) = Shown::deserialize(item) {
        writeln!(out, "{}", line(&shown, zone))?;
    }
    out.flush()?;
    Ok(())
}

fn line(shown: &Shown, zone: &TimeZone) -> String {
    let mut line = format!(
        "{}  {:<14} {}",
        text::local(&shown.at, zone),
        shown.kind,
        shown.text
    );
    // An alert says its own score.
    if let (Some(score), Some(severity), true) =
        (shown.score, &shown.severity, shown.kind != "alert")
    {
        line.push_str(&format!("  [{score:.2} {severity}]"));
    }
    text::one_line(&line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_item_is_one_line() {
        let item = json!({
            "seq": 9, "at": "2025-10-04T14:34:15.000000Z", "clock": "synced", "kind": "pos",
            "text": "void transaction 150.00,\norder ORD48592", "score": 0.7, "severity": "critical",
        });
        let shown = Shown::deserialize(&item).unwrap();
        assert_eq!(
            line(&shown, &TimeZone::UTC),
            "2025-10-04 14:34:15  pos            void transaction 150.00, order ORD48592  [0.70 critical]"
        );
    }

    #[test]
    fn what_was_missed_is_not_shown_as_an_event() {
        let mut out = Vec::new();
        for (event, data) in [
            ("lagged", "{\"lost\":3}"),
            ("gap", "{\"from\":1,\"to\":4}"),
            ("kick", "not JSON"),
        ] {
            let message = Message {
                event: event.into(),
                data: data.into(),
                id: None,
            };
            happened(&message, false, &TimeZone::UTC, &mut out).unwrap();
        }
        assert!(out.is_empty());
    }
}
