//! The contract: the OpenAPI document of everything that is answered here.

use super::{
    alerts, audit, clips, day, events, live, metrics, people, pos, problem, quarantine, session,
    status, view,
};
use axum::Json;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tillwatch",
        description = "What one cash register saw. Errors are problem documents (RFC 9457). Money is in whole units of the currency; times are RFC 3339 in UTC."
    ),
    paths(
        events::recent,
        events::events,
        events::range,
        events::receipts,
        day::day,
        alerts::list,
        alerts::pending,
        alerts::one,
        alerts::review,
        clips::list,
        clips::one,
        clips::times::times,
        clips::pictures::frame,
        clips::still::still,
        clips::pictures::sheet,
        clips::pictures::stream,
        clips::video::video,
        clips::correlations::correlations,
        clips::cameras::list,
        clips::cameras::snapshot,
        session::show,
        session::begin,
        session::end,
        session::set_up,
        people::list,
        people::add,
        people::set,
        people::remove,
        people::token,
        people::end_tokens,
        people::access,
        audit::list,
        live::live,
        live::socket::socket,
        pos::post,
        status::status,
        status::healthz,
        status::readyz,
        quarantine::list,
        metrics::render,
        document
    ),
    components(schemas(problem::Problem, view::Detail, view::Item)),
    tags(
        (name = "events", description = "what happened"),
        (name = "alerts", description = "what somebody should look at"),
        (name = "clips", description = "footage"),
        (name = "logins", description = "who may come in, and who is in"),
        (name = "status", description = "what works and what does not")
    )
)]
struct Contract;

/// The document.
#[must_use]
pub fn contract() -> utoipa::openapi::OpenApi {
    Contract::openapi()
}

/// This document.
#[utoipa::path(get, path = "/api/openapi.json", tag = "status", responses((status = 200, description = "OpenAPI", body = serde_json::Value)))]
pub async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(contract())
}
