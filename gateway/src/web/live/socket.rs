//! The live feed for programs that would rather have a WebSocket.

use super::feed::{Feed, Told};
use super::{KEEP_ALIVE, LiveQuery};
use crate::web::App;
use crate::web::extract::Query;
use crate::web::problem::Problem;
use crate::web::serve::Shutdown;
use axum::Extension;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use serde_json::json;
use std::time::Duration;

/// Longest message of a reader, in bytes: it has nothing to say.
const READER_BYTES: usize = 4_096;
/// A message must leave within this time; who takes nothing for so long is left.
const SEND_TIME: Duration = Duration::from_secs(30);

/// The same as `/api/live`, each item as a text message in JSON; `kind` says what it is, `lagged
/// {"lost"}` and `gap {"from", "to"}` besides. `after` catches up from the log.
#[utoipa::path(get, path = "/ws", tag = "events", params(LiveQuery), responses(
    (status = 101, description = "a WebSocket; each text message is an `Item`"),
    (status = 400, description = "a parameter cannot be used", body = Problem, content_type = "application/problem+json"),
    (status = 426, description = "no WebSocket was asked for", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "a page of another site asks", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "too many readers", body = Problem, content_type = "application/problem+json"),
))]
pub async fn socket(
    State(app): State<App>,
    shutdown: Option<Extension<Shutdown>>,
    Query(query): Query<LiveQuery>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|why| {
        let detail = format!("this is a WebSocket: {}", why.body_text());
        let title = "The request cannot be understood";
        Problem::new(StatusCode::UPGRADE_REQUIRED, "request", title, detail)
    })?;
    let feed = Feed::open(&app, shutdown, query.after)?;
    Ok(upgrade
        .max_message_size(READER_BYTES)
        .max_frame_size(READER_BYTES)
        .on_upgrade(|socket| tell(socket, feed)))
}

async fn tell(mut socket: WebSocket, mut feed: Feed) {
    let mut quiet = tokio::time::interval(KEEP_ALIVE);
    loop {
        let message = tokio::select! {
            told = feed.next() => match told {
                Some(told) => text(&told),
                None => break,
            },
            // Pings are answered while it is read; whatever else a reader says is not for us.
            said = socket.recv() => match said {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
            // So that a dead connection is noticed.
            _ = quiet.tick() => Message::Ping(Bytes::new()),
        };
        if !matches!(
            tokio::time::timeout(SEND_TIME, socket.send(message)).await,
            Ok(Ok(()))
        ) {
            return;
        }
    }
    let going = CloseFrame {
        code: close_code::AWAY,
        reason: "come back with ?after=".into(),
    };
    // It may be gone already.
    let _ = tokio::time::timeout(SEND_TIME, socket.send(Message::Close(Some(going)))).await;
}

fn text(told: &Told) -> Message {
    let text = match told {
        // Views are JSON objects: they always serialise.
        Told::Item(item) => serde_json::to_string(item).unwrap_or_default(),
        Told::Lagged { lost } => json!({ "kind": "lagged", "lost": lost }).to_string(),
        Told::Gap { from, to } => json!({ "kind": "gap", "from": from, "to": to }).to_string(),
    };
    Message::Text(text.into())
}
