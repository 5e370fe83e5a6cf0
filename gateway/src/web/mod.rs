//! HTTP and the control socket: one router, three ways in.
//!
//! | module | what |
//! | --- | --- |
//! | [`serve`] | the listeners: loopback, control socket, ingest; bounds of connections |
//! | `stall` | ends connections whose readers take nothing |
//! | [`tls`] | the certificate beyond loopback |
//! | [`access`] | who may ask for what: `Host`, `Origin`, peer credentials, bearer token |
//! | `rights` | which route asks for which right |
//! | `session` | logging in and out, the first set-up |
//! | `people` | who may log in; tokens of programs |
//! | [`peer`] | the kernel's word for who is at the control socket |
//! | [`problem`] | errors as RFC 9457 problem documents |
//! | [`view`] | records as the API shows them |
//! | `reads` | bounded blocking reads of index and log |
//! | `events` | what happened: recent, by time, receipts by their words |
//! | `day` | a day at one glance: timeline and counts |
//! | `alerts` | alerts, the review queue, verdicts |
//! | `clips` | footage: clips and their pictures, cameras, from an event to its clips |
//! | `audit` | who saw footage |
//! | `pos` | events of tills that don't speak MQTT |
//! | `page` | the page's own files, which are part of the program |
//! | `live` | what happens, as it happens (server-sent events, WebSocket) |
//! | [`status`] | what works and what does not; health and readiness |
//! | `quarantine` | what came in and could not be used |
//! | [`metrics`] | for Prometheus |
//! | [`openapi`] | the contract |

pub mod access;
mod alerts;
mod audit;
mod clips;
mod day;
mod events;
mod extract;
mod live;
pub mod metrics;
pub mod openapi;
mod page;
pub mod peer;
mod people;
mod pos;
pub mod problem;
mod quarantine;
mod reads;
mod rights;
pub mod serve;
mod session;
mod stall;
pub mod status;
pub mod tls;
pub mod view;

pub use access::{Access, HostNames, Token, TokenError};
pub use people::{AccessView, LoginView};
pub use serve::{LISTEN_AGAIN, ServeError, serve_control, serve_http, serve_https, serve_ingest};

use crate::Shared;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post};
use problem::Problem;
use reads::Reads;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use view::ViewContext;

/// Largest body of a request, in bytes.
pub const BODY_BYTES: usize = 1024 * 1024;
/// A request is answered within this time, or refused. The live feed begins within it.
pub const REQUEST_TIME: Duration = Duration::from_secs(30);
/// Readers of the live feed at once, by way in; more are refused.
pub const LIVE_READERS: usize = 16;
/// Who watches clips at once, by way in; more are refused. With [`FOOTAGE_READS`] of both ways in
/// they leave some of the media's readers to the recorder.
pub const WATCHERS: usize = 4;
/// Reads of footage at once, by way in; more wait.
pub const FOOTAGE_READS: usize = 2;

/// What the handlers share.
#[derive(Clone)]
struct App {
    shared: Shared,
    reads: Reads,
    live_readers: Arc<Semaphore>,
    footage: Reads,
    watchers: Arc<Semaphore>,
    looks: audit::Looks,
}

impl App {
    fn view_context(&self) -> ViewContext {
        ViewContext {
            minor_digits: self.shared.config.borrow().minor_digits(),
        }
    }
}

/// Every route of page and API. The OpenAPI document has each of them, which a test checks.
fn routes() -> Vec<(&'static str, MethodRouter<App>)> {
    vec![
        ("/api/events", get(events::events)),
        ("/api/events/recent", get(events::recent)),
        ("/api/events/range", get(events::range)),
        ("/api/receipts", get(events::receipts)),
        ("/api/day", get(day::day)),
        ("/api/alerts", get(alerts::list)),
        ("/api/alerts/pending", get(alerts::pending)),
        ("/api/alerts/{id}", get(alerts::one)),
        ("/api/alerts/{id}/review", post(alerts::review)),
        ("/api/alerts/{id}/still.jpg", get(clips::still::still)),
        ("/api/clips", get(clips::list)),
        ("/api/clips/{id}", get(clips::one)),
        ("/api/clips/{id}/frames", get(clips::times::times)),
        ("/api/clips/{id}/frames/{n}", get(clips::pictures::frame)),
        ("/api/clips/{id}/sheet.jpg", get(clips::pictures::sheet)),
        ("/api/clips/{id}/stream", get(clips::pictures::stream)),
        ("/api/clips/{id}/video.mp4", get(clips::video::video)),
        (
            "/api/correlations/{event_id}",
            get(clips::correlations::correlations),
        ),
        ("/api/audit", get(audit::list)),
        ("/api/cameras", get(clips::cameras::list)),
        (
            "/api/cameras/{camera}/snapshot.jpg",
            get(clips::cameras::snapshot),
        ),
        (
            "/api/session",
            delete(session::end).get(session::show).post(session::begin),
        ),
        ("/api/setup", post(session::set_up)),
        ("/api/logins", get(people::list).post(people::add)),
        (
            "/api/logins/{name}",
            delete(people::remove).put(people::set),
        ),
        (
            "/api/tokens",
            delete(people::end_tokens).post(people::token),
        ),
        ("/api/access", get(people::access)),
        ("/api/live", get(live::live)),
        ("/ws", get(live::socket::socket)),
        ("/api/status", get(status::status)),
        ("/api/quarantine", get(quarantine::list)),
        ("/api/openapi.json", get(openapi::document)),
        ("/metrics", get(metrics::render)),
        ("/healthz", get(status::healthz)),
        ("/readyz", get(status::readyz)),
        pos_events(),
    ]
}

fn pos_events() -> (&'static str, MethodRouter<App>) {
    ("/api/pos-events", post(pos::post))
}

/// The router of one way in.
pub fn router(shared: Shared, access: Access) -> Router {
    status::note_start();
    let guard = (access.clone(), shared.clone());
    let app = App {
        shared,
        reads: Reads::default(),
        live_readers: Arc::new(Semaphore::new(LIVE_READERS)),
        footage: Reads::at_once(FOOTAGE_READS),
        watchers: Arc::new(Semaphore::new(WATCHERS)),
        looks: audit::Looks::default(),
    };
    let routes = match access {
        Access::Page(_) | Access::Network(_) | Access::Control => routes(),
        Access::Ingest(_) => vec![pos_events()],
    };
    let mut router = Router::new();
    for (path, methods) in routes {
        router = router.route(path, methods);
    }
    let router = match access {
        Access::Page(_) | Access::Network(_) => router.fallback(page::fallback),
        Access::Control | Access::Ingest(_) => router.fallback(unknown),
    };
    router
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn(in_time))
        .layer(middleware::from_fn_with_state(guard, access::check))
        .layer(middleware::map_response(harden))
        .with_state(app)
}

async fn unknown(uri: Uri) -> Problem {
    Problem::not_found(format!(
        "there is nothing at {}; see /api/openapi.json",
        uri.path()
    ))
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not answer {method}", uri.path());
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method",
        "Wrong method",
        detail,
    )
}

/// Ends requests that take too long: a till must learn that it should send again.
async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unavailable("timeout", "this took too long; try again").into_response(),
    }
}

/// Headers that keep a browser from doing anything with an answer but showing it.
async fn harden(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 5] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::CONTENT_SECURITY_POLICY,
            // Pictures that the page made itself are blobs. Text never becomes script, unless it
            // passes a policy of our page.
            "default-src 'self'; img-src 'self' blob:; media-src 'self' blob:; object-src 'none'; \
             base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'; trusted-types tillwatch",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    // What a register saw is nobody's cache's business.
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(no_store);
    response
}

#[cfg(test)]
mod tests;
