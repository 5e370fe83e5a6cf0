//! Which route asks for which right: the one place that says so. A test holds it against the
//! router.

use crate::logins::Right;
use axum::http::Method;

/// What a request must bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: the way to a login, and what says nothing of the shop.
    Nothing,
    /// A right, but on this machine nothing.
    FromAfar(Right),
    /// A right.
    A(Right),
}

use Need::{A, FromAfar, Nothing};

/// By method and path, as the router has them. `HEAD` is `GET`.
const NEEDS: &[(&str, &str, Need)] = &[
    ("GET", "/healthz", Nothing),
    ("GET", "/readyz", Nothing),
    ("GET", "/metrics", FromAfar(Right::Look)),
    ("GET", "/api/openapi.json", Nothing),
    // Logging in and out.
    ("DELETE", "/api/session", Nothing),
    ("GET", "/api/session", Nothing),
    ("POST", "/api/session", Nothing),
    ("POST", "/api/setup", Nothing),
    ("POST", "/api/tokens", Nothing),
    ("DELETE", "/api/tokens", A(Right::Logins)),
    ("GET", "/api/logins", A(Right::Logins)),
    ("POST", "/api/logins", A(Right::Logins)),
    ("DELETE", "/api/logins/{name}", A(Right::Logins)),
    ("PUT", "/api/logins/{name}", A(Right::Logins)),
    ("GET", "/api/access", A(Right::System)),
    // What happened.
    ("GET", "/api/events", A(Right::Look)),
    ("GET", "/api/events/recent", A(Right::Look)),
    ("GET", "/api/events/range", A(Right::Look)),
    ("GET", "/api/receipts", A(Right::Look)),
    ("GET", "/api/day", A(Right::Look)),
    ("GET", "/api/alerts", A(Right::Look)),
    ("GET", "/api/alerts/pending", A(Right::Look)),
    ("GET", "/api/alerts/{id}", A(Right::Look)),
    ("POST", "/api/alerts/{id}/review", A(Right::Review)),
    ("GET", "/api/correlations/{event_id}", A(Right::Look)),
    ("GET", "/api/live", A(Right::Look)),
    ("GET", "/ws", A(Right::Look)),
    // Footage: that there is some may be known, what it shows may be seen by few.
    ("GET", "/api/clips", A(Right::Look)),
    ("GET", "/api/clips/{id}", A(Right::Look)),
    ("GET", "/api/clips/{id}/frames", A(Right::Look)),
    ("GET", "/api/clips/{id}/frames/{n}", A(Right::Footage)),
    ("GET", "/api/clips/{id}/sheet.jpg", A(Right::Footage)),
    ("GET", "/api/clips/{id}/stream", A(Right::Footage)),
    ("GET", "/api/clips/{id}/video.mp4", A(Right::Footage)),
    ("GET", "/api/alerts/{id}/still.jpg", A(Right::Footage)),
    ("GET", "/api/audit", A(Right::Footage)),
    ("GET", "/api/cameras", A(Right::Look)),
    (
        "GET",
        "/api/cameras/{camera}/snapshot.jpg",
        A(Right::Footage),
    ),
    // The box.
    ("GET", "/api/status", A(Right::Look)),
    ("GET", "/api/quarantine", A(Right::System)),
    ("POST", "/api/pos-events", FromAfar(Right::System)),
];

/// What a request to a route must bring. What is not in the table is not there, or was forgotten:
/// only who may do everything learns which.
pub(super) fn need(method: &Method, route: &str) -> Need {
    let method = match method.as_str() {
        "HEAD" => "GET",
        method => method,
    };
    let row = NEEDS.iter().find(|row| (row.0, row.1) == (method, route));
    row.map_or(A(Right::Logins), |row| row.2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::openapi;
    use std::collections::BTreeSet;

    /// Footage is what these show, wherever they come to stand.
    const PICTURES: [&str; 7] = [
        "frames/", "sheet", "stream", "video", "still", "snapshot", "evidence",
    ];

    #[test]
    fn every_route_has_its_right_and_no_right_is_without_a_route() {
        let contract = serde_json::to_value(openapi::contract()).unwrap();
        let mut routes = BTreeSet::new();
        for (path, methods) in contract["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                routes.insert((method.to_uppercase(), path.clone()));
            }
        }
        let rows = NEEDS.iter().map(|row| (row.0.to_owned(), row.1.to_owned()));
        let table: BTreeSet<_> = rows.collect();
        assert_eq!(table.len(), NEEDS.len(), "a row is there twice");
        assert_eq!(table, routes);
    }

    #[test]
    fn pictures_are_footage() {
        for (method, route, need) in NEEDS {
            let shows = PICTURES.iter().any(|word| route.contains(word));
            let footage = *need == A(Right::Footage);
            assert!(!shows || footage, "{method} {route}");
        }
    }

    #[test]
    fn what_was_forgotten_is_for_managers() {
        assert_eq!(need(&Method::GET, "/api/new"), A(Right::Logins));
        assert_eq!(need(&Method::PATCH, "/api/status"), A(Right::Logins));
        assert_eq!(need(&Method::HEAD, "/api/status"), A(Right::Look));
    }
}
