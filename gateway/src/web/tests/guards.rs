//! Who is let in.

use super::*;
use crate::web::Token;
use crate::web::peer::{Own, Peer};

async fn with(router: Router, method: &str, uri: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(router, request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_name_that_was_bent_to_this_machine_sees_nothing() {
    let gateway = Gateway::new();
    for host in [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "",
    ] {
        let answer = with(gateway.page(), "GET", "/api/status", &[("host", host)]).await;
        assert_eq!(answer.problem(403), "host", "{host}");
    }
    assert_eq!(
        with(gateway.page(), "GET", "/api/status", &[])
            .await
            .problem(403),
        "host"
    );
    for host in ["localhost", "127.0.0.1:8080", "[::1]:8080"] {
        assert_eq!(
            with(gateway.page(), "GET", "/api/status", &[("host", host)])
                .await
                .status,
            StatusCode::OK,
            "{host}"
        );
    }
    let named = router(
        gateway.shared.clone(),
        Access::Page(HostNames::new(["till-3.lan"])),
    );
    assert_eq!(
        with(named, "GET", "/healthz", &[("host", "Till-3.lan")])
            .await
            .status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_foreign_page_changes_nothing() {
    let gateway = Gateway::new();
    let host = ("host", "localhost:8080");
    for origin in [
        "http://evil.example",
        "null",
        "http://localhost:9999",
        "localhost:8080",
    ] {
        let answer = with(
            gateway.page(),
            "POST",
            "/api/pos-events",
            &[host, ("origin", origin)],
        )
        .await;
        assert_eq!(answer.problem(403), "origin", "{origin}");
    }
    let site = [host, ("sec-fetch-site", "cross-site")];
    assert_eq!(
        with(gateway.page(), "POST", "/api/pos-events", &site)
            .await
            .problem(403),
        "origin"
    );
    let ours = [
        host,
        ("origin", "http://localhost:8080"),
        ("sec-fetch-site", "same-origin"),
    ];
    assert_eq!(
        with(gateway.page(), "POST", "/api/pos-events", &ours)
            .await
            .problem(422),
        "content"
    );
}

#[tokio::test]
async fn answers_tell_browsers_to_keep_out_and_nobody_else_to_look() {
    let gateway = Gateway::new();
    for uri in ["/api/status", "/nowhere"] {
        let answer = get(gateway.page(), uri).await;
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["x-frame-options"], "DENY");
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
    }
}

#[tokio::test]
async fn tills_show_their_token_and_reach_one_route_only() {
    let gateway = Gateway::new();
    let ingest = || {
        router(
            gateway.shared.clone(),
            Access::Ingest(Some(Token::new("0123456789abcdef"))),
        )
    };
    let host = ("host", "192.0.2.20:8081");
    for header in [
        None,
        Some("Bearer 0123456789abcdeX"),
        Some("Basic 0123456789abcdef"),
        Some("Bearer"),
    ] {
        let mut headers = vec![host];
        headers.extend(header.map(|header| ("authorization", header)));
        let answer = with(ingest(), "POST", "/api/pos-events", &headers).await;
        assert_eq!(answer.problem(401), "token", "{header:?}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    let shown = [host, ("authorization", "bearer 0123456789abcdef")];
    assert_eq!(
        with(ingest(), "POST", "/api/pos-events", &shown)
            .await
            .problem(422),
        "content"
    );
    for uri in ["/api/status", "/api/events", "/metrics", "/healthz"] {
        assert_eq!(
            with(ingest(), "GET", uri, &shown).await.problem(404),
            "not-found",
            "{uri}"
        );
    }
    let open = || router(gateway.shared.clone(), Access::Ingest(None));
    assert_eq!(
        with(open(), "POST", "/api/pos-events", &[host])
            .await
            .problem(403),
        "host"
    );
}

#[tokio::test]
async fn the_control_socket_knows_its_callers() {
    let gateway = Gateway::new();
    let own = Own::here();
    let stranger = own.uid.max(1_000) + 1;
    let ask = |method: &'static str, uri: &'static str, peer: Option<Peer>| {
        let router = router(gateway.shared.clone(), Access::Control);
        async move {
            let mut request = Request::builder()
                .method(method)
                .uri(uri)
                .body(Body::empty())
                .unwrap();
            request.extensions_mut().extend(
                peer.map(|peer| {
                    let mut extensions = axum::http::Extensions::new();
                    extensions.insert(peer);
                    extensions
                })
                .unwrap_or_default(),
            );
            send(router, request).await
        }
    };
    let owner = Peer {
        uid: own.uid,
        gid: own.gid,
        groups: vec![],
    };
    let member = Peer {
        uid: stranger,
        gid: stranger,
        groups: vec![own.gid],
    };
    let other = Peer {
        uid: stranger,
        gid: own.gid + 1,
        groups: vec![own.gid + 2],
    };
    assert_eq!(
        ask("GET", "/api/status", Some(owner.clone())).await.status,
        StatusCode::OK
    );
    assert_eq!(
        ask("POST", "/api/pos-events", Some(owner))
            .await
            .problem(422),
        "content"
    );
    assert_eq!(
        ask("GET", "/api/status", Some(member.clone())).await.status,
        StatusCode::OK
    );
    assert_eq!(
        ask("POST", "/api/pos-events", Some(member))
            .await
            .problem(403),
        "rights"
    );
    assert_eq!(
        ask("GET", "/api/status", Some(other)).await.problem(403),
        "rights"
    );
    assert_eq!(
        ask("GET", "/api/status", None).await.problem(403),
        "rights",
        "nobody is nobody"
    );
}
