//! `alerts` and `alerts review`

use super::cli::{AlertsArgs, AlertsCommand, ReviewArgs, VerdictArg};
use super::{Failure, Gateway, Out, text};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What is shown of an alert.
#[derive(Debug, Deserialize)]
struct Shown {
    alert_id: String,
    text: String,
    delivery: String,
    review: Option<Review>,
}

#[derive(Debug, Deserialize)]
struct Review {
    verdict: String,
    note: String,
    reviewer: String,
}

pub(super) async fn run(args: &AlertsArgs, gateway: &Gateway, out: Out<'_>) -> Result<(), Failure> {
    if let Some(AlertsCommand::Review(args)) = &args.command {
        return review(args, gateway, out).await;
    }
    let uri = if args.all {
        format!("/api/alerts?limit={}", args.limit)
    } else {
        "/api/alerts/pending".to_owned()
    };
    let alerts: Vec<Value> = gateway.control.get(&uri).await?;
    for alert in &alerts {
        if args.json {
            writeln!(out, "{alert}")?;
        } else if let Ok(shown) = Shown::deserialize(alert) {
            writeln!(out, "{}", block(&shown))?;
        }
    }
    if alerts.is_empty() && !args.json {
        writeln!(
            out,
            "{}",
            if args.all {
                "no alerts"
            } else {
                "nothing to look at"
            }
        )?;
    }
    Ok(())
}

async fn review(args: &ReviewArgs, gateway: &Gateway, out: Out<'_>) -> Result<(), Failure> {
    let verdict = match args.verdict {
        VerdictArg::Legitimate => "legitimate",
        VerdictArg::Confirmed => "confirmed",
    };
    let body = json!({ "verdict": verdict, "note": args.note });
    let uri = format!("/api/alerts/{}/review", args.id);
    let alert: Value = gateway.control.post(&uri, &body).await?;
    if let Ok(shown) = Shown::deserialize(&alert) {
        writeln!(out, "{}", block(&shown))?;
    }
    Ok(())
}

/// The alert's own text block, and what became of it.
fn block(shown: &Shown) -> String {
    let mut block = text::printable(&shown.text);
    let mut row = |label: &str, value: &str| {
        let _ = writeln!(block, "{label:<14} {}", text::one_line(value));
    };
    row("Alert:", &shown.alert_id);
    row("Delivery:", &shown.delivery);
    if let Some(review) = &shown.review {
        let note = if review.note.is_empty() {
            String::new()
        } else {
            format!(": {}", review.note)
        };
        row(
            "Verdict:",
            &format!("{} by {}{note}", review.verdict, review.reviewer),
        );
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_ends_with_what_became_of_the_alert() {
        let alert = json!({
            "alert_id": "6f9c", "text": "Type:          void\n", "delivery": "acknowledged",
            "review": {"verdict": "confirmed", "note": "seen\u{1b}[2J", "reviewer": "root"},
        });
        let expected = "\
Type:          void
Alert:         6f9c
Delivery:      acknowledged
Verdict:       confirmed by root: seen·[2J
";
        assert_eq!(block(&Shown::deserialize(&alert).unwrap()), expected);
    }
}
