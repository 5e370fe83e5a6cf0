//! `audit`

use super::cli::AuditArgs;
use super::{Failure, Gateway, Out, text};
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;

/// What is shown of a look.
#[derive(Debug, Deserialize)]
struct Seen {
    at: String,
    who: String,
    role: Option<String>,
    from: String,
    what: String,
    clip: Option<String>,
    camera: String,
}

pub(super) async fn run(args: &AuditArgs, gateway: &Gateway, out: Out<'_>) -> Result<(), Failure> {
    let uri = format!("/api/audit?limit={}", args.limit);
    let looks: Vec<Value> = gateway.control.get(&uri).await?;
    // As a log is read: the newest last.
    for look in looks.iter().rev() {
        if args.json {
            writeln!(out, "{look}")?;
        } else if let Ok(seen) = Seen::deserialize(look) {
            writeln!(out, "{}", line(&seen, &gateway.zone))?;
        }
    }
    if looks.is_empty() && !args.json {
        writeln!(out, "nobody saw footage")?;
    }
    Ok(())
}

fn line(seen: &Seen, zone: &TimeZone) -> String {
    let role = seen
        .role
        .as_deref()
        .map_or(String::new(), |role| format!(" ({role})"));
    let of = match &seen.clip {
        Some(clip) => format!("clip {clip}, {}", seen.camera),
        None => format!("camera {}", seen.camera),
    };
    let at = text::local(&seen.at, zone);
    let line = format!(
        "{at}  {}{role}, {}: {} of {of}",
        seen.who, seen.from, seen.what
    );
    text::one_line(&line).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_look_is_one_line() {
        let seen = |clip: Option<&str>, role: Option<&str>| {
            let look = json!({
                "at": "2026-11-21T08:15:30.250000Z", "who": "ann", "role": role, "clip": clip,
                "from": "192.0.2.7", "what": "video", "camera": "counter",
            });
            line(&Seen::deserialize(look).unwrap(), &TimeZone::UTC)
        };
        assert_eq!(
            seen(Some("6f9c"), Some("manager")),
            "2026-11-21 08:15:30  ann (manager), 192.0.2.7: video of clip 6f9c, counter"
        );
        assert_eq!(
            seen(None, None),
            "2026-11-21 08:15:30  ann, 192.0.2.7: video of camera counter"
        );
    }
}
