//! Logging in at the page, and what it allows.

use super::*;
use crate::config::LoginPolicy;
use serde_json::json;

const PASSWORD: &str = "korrekt horse";

/// A browser, or a program, at this machine or behind a proxy.
struct Client<'a> {
    gateway: &'a Gateway,
    headers: Vec<(&'static str, String)>,
}

impl<'a> Client<'a> {
    fn here(gateway: &'a Gateway) -> Self {
        Self {
            gateway,
            headers: Vec::new(),
        }
    }

    fn afar(gateway: &'a Gateway) -> Self {
        Self::here(gateway).with("x-forwarded-for", "203.0.113.9")
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    async fn ask(&self, method: &str, uri: &str, body: Value) -> Answer {
        let mut request = request(method, uri).header(header::CONTENT_TYPE, "application/json");
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string())
        };
        send(self.gateway.page(), request.body(body).unwrap()).await
    }

    async fn get(&self, uri: &str) -> Answer {
        self.ask("GET", uri, Value::Null).await
    }

    async fn session(&self) -> Value {
        let answer = self.get("/api/session").await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.json()
    }

    /// Keeps the cookie of an answer.
    fn in_with(mut self, answer: &Answer) -> Self {
        let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
        let pair = cookie.split(';').next().unwrap().to_owned();
        self.headers.retain(|(name, _)| *name != "cookie");
        self.with("cookie", pair)
    }

    async fn log_in(self, name: &str) -> Self {
        let body = json!({"name": name, "password": PASSWORD});
        let answer = self.ask("POST", "/api/session", body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        self.in_with(&answer)
    }
}

fn rights(session: &Value) -> String {
    let rights = session["rights"].as_array().unwrap().iter();
    rights
        .map(|right| right.as_str().unwrap())
        .collect::<Vec<_>>()
        .join(" ")
}

const ALL: &str = "look review footage system logins";

/// Ann runs the shop.
async fn set_up() -> Gateway {
    let gateway = Gateway::new();
    let body = json!({"name": "ann", "password": PASSWORD});
    let answer = Client::here(&gateway).ask("POST", "/api/setup", body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    gateway
}

#[tokio::test]
async fn until_somebody_is_set_up_this_machine_is_open_and_the_network_is_not() {
    let gateway = Gateway::new();
    let here = Client::here(&gateway);
    let session = here.session().await;
    assert_eq!(
        (
            &session["login"],
            rights(&session).as_str(),
            &session["code_needed"]
        ),
        (&"setup".into(), ALL, &false.into())
    );
    assert_eq!(here.get("/api/status").await.status, StatusCode::OK);

    for header in ["x-forwarded-for", "forwarded"] {
        let afar = Client::here(&gateway).with(header, "203.0.113.9");
        let session = afar.session().await;
        assert_eq!(
            (
                &session["login"],
                rights(&session).as_str(),
                &session["code_needed"]
            ),
            (&"setup".into(), "", &true.into())
        );
        for uri in [
            "/api/status",
            "/api/events",
            "/metrics",
            "/ws",
            "/api/nowhere",
        ] {
            assert_eq!(afar.get(uri).await.problem(401), "login", "{header} {uri}");
        }
        for uri in ["/", "/healthz", "/api/openapi.json"] {
            assert_eq!(afar.get(uri).await.status, StatusCode::OK, "{header} {uri}");
        }
    }
}

#[tokio::test]
async fn the_first_manager_is_set_up_once_and_from_afar_with_the_code() {
    let gateway = Gateway::new();
    let afar = Client::afar(&gateway);
    let set_up = |code: Option<String>| {
        let mut body = json!({"name": "ann", "password": PASSWORD});
        if let Some(code) = code {
            body["code"] = code.into();
        }
        afar.ask("POST", "/api/setup", body)
    };
    assert_eq!(set_up(None).await.problem(403), "code");
    assert_eq!(set_up(Some("ABCD-EFGH".into())).await.problem(403), "code");
    let code = gateway.shared.logins.code().unwrap().to_owned();
    let done = set_up(Some(code.clone())).await;
    assert_eq!(done.status, StatusCode::CREATED, "{}", done.text);
    let session = Client::afar(&gateway).in_with(&done).session().await;
    assert!(session["expires"].is_string());
    assert_eq!(
        (
            &session["login"],
            &session["user"],
            rights(&session).as_str()
        ),
        (
            &"in".into(),
            &json!({"name": "ann", "role": "manager"}),
            ALL
        )
    );
    assert_eq!(set_up(Some(code)).await.problem(409), "set-up");
}

#[tokio::test]
async fn a_session_is_a_cookie_that_scripts_and_other_sites_do_not_get() {
    let gateway = set_up().await;
    let here = Client::here(&gateway);
    assert_eq!(here.session().await["login"], "needed");
    assert_eq!(here.get("/api/status").await.problem(401), "login");

    let body = json!({"name": "ann", "password": PASSWORD});
    let answer = here.ask("POST", "/api/session", body.clone()).await;
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
    let (pair, flags) = cookie.split_once("; ").unwrap();
    assert_eq!(flags, "Max-Age=43200; Path=/; HttpOnly; SameSite=Strict");
    assert_eq!(pair.len(), "tillwatch=".len() + 43, "256 bits");
    let encrypted = Client::afar(&gateway).with("x-forwarded-proto", "https");
    let second = encrypted.ask("POST", "/api/session", body).await;
    let cookie = second.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.ends_with("; Secure"), "{cookie}");

    let inside = Client::here(&gateway).in_with(&answer);
    assert_eq!(inside.get("/api/status").await.status, StatusCode::OK);
    let foreign = Client::here(&gateway)
        .in_with(&answer)
        .with("origin", "http://evil.example");
    let judged = foreign.ask("DELETE", "/api/session", Value::Null).await;
    assert_eq!(judged.problem(403), "origin");

    let out = inside.ask("DELETE", "/api/session", Value::Null).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert!(
        out.headers[header::SET_COOKIE]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
    assert_eq!(inside.get("/api/status").await.problem(401), "login");
}

#[tokio::test]
async fn who_tries_too_often_is_told_when_to_come_back() {
    let gateway = set_up().await;
    let here = Client::here(&gateway);
    let wrong = json!({"name": "ann", "password": "wrong horse"});
    for _ in 0..5 {
        let answer = here.ask("POST", "/api/session", wrong.clone()).await;
        assert_eq!(answer.problem(401), "wrong-login");
    }
    let answer = here.ask("POST", "/api/session", wrong).await;
    assert_eq!(answer.problem(429), "attempts");
    assert_eq!(answer.headers[header::RETRY_AFTER], "1");
}

#[tokio::test]
async fn roles_open_what_is_theirs_and_the_answer_names_what_is_missing() {
    let gateway = set_up().await;
    let ann = Client::here(&gateway).log_in("ann").await;
    for (name, role) in [("tim", "technician"), ("lou", "loss-prevention")] {
        let body = json!({"name": name, "password": PASSWORD, "role": role});
        let made = ann.ask("POST", "/api/logins", body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    }
    let tim = Client::here(&gateway).log_in("tim").await;
    let lou = Client::here(&gateway).log_in("lou").await;
    let clip = "/api/clips/6f9c0000-0000-4000-8000-000000000001";
    let video = format!("{clip}/video.mp4");
    let review = "/api/alerts/6f9c0000-0000-4000-8000-000000000001/review";
    for (who, method, uri, missing) in [
        (&tim, "GET", "/api/status", None),
        (&tim, "GET", clip, None),
        (&tim, "GET", "/api/quarantine", None),
        (&tim, "GET", &video, Some("footage")),
        (&tim, "HEAD", &video, Some("footage")),
        (&tim, "GET", "/api/cameras/0/snapshot.jpg", Some("footage")),
        (&tim, "POST", review, Some("review")),
        (&tim, "GET", "/api/logins", Some("logins")),
        (&lou, "GET", &video, None),
        (&lou, "POST", review, None),
        (&lou, "GET", "/api/quarantine", Some("system")),
        (&lou, "DELETE", "/api/logins/tim", Some("logins")),
        (&ann, "GET", &video, None),
        (&ann, "GET", "/api/quarantine", None),
        (&ann, "GET", "/api/logins", None),
    ] {
        let answer = who.ask(method, uri, Value::Null).await;
        match missing {
            Some(_) if method == "HEAD" => assert_eq!(answer.status, StatusCode::FORBIDDEN),
            Some(right) => {
                assert_eq!(answer.problem(403), "role", "{method} {uri}");
                assert_eq!(answer.json()["right"], right);
            }
            // It may be missing, or want a body; it is not refused.
            None => assert!(
                !matches!(answer.status.as_u16(), 401 | 403),
                "{method} {uri}: {}",
                answer.text
            ),
        }
    }
}

#[tokio::test]
async fn a_manager_says_who_may_log_in() {
    let gateway = set_up().await;
    let ann = Client::here(&gateway).log_in("ann").await;
    let body = json!({"name": "Jürgen K", "password": PASSWORD, "role": "technician"});
    let made = ann.ask("POST", "/api/logins", body.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(
        ann.ask("POST", "/api/logins", body).await.problem(409),
        "taken"
    );
    // The members in their order are no login.
    let listed = json!(["x", "a good password", "technician"]);
    assert_eq!(
        ann.ask("POST", "/api/logins", listed).await.problem(422),
        "content"
    );
    let short = json!({"name": "x", "password": "short", "role": "technician"});
    assert_eq!(
        ann.ask("POST", "/api/logins", short).await.problem(422),
        "content"
    );

    let tim = Client::here(&gateway).log_in("jürgen k").await;
    let list = ann.get("/api/logins").await.json();
    let shown: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|login| (login["name"].as_str().unwrap(), login["last"].is_string()))
        .collect();
    assert_eq!(shown, [("ann", true), ("Jürgen K", true)]);
    assert!(!list.to_string().contains("argon2"));

    let uri = "/api/logins/J%C3%BCrgen%20K";
    let role = json!({"role": "loss-prevention"});
    assert_eq!(
        ann.ask("PUT", uri, role).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        rights(&tim.session().await),
        "look review footage",
        "at once"
    );
    let password = json!({"password": "another horse"});
    assert_eq!(
        ann.ask("PUT", uri, password).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(tim.session().await["login"], "needed");
    assert_eq!(
        ann.ask("DELETE", uri, Value::Null).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        ann.ask("DELETE", uri, Value::Null).await.problem(404),
        "not-found"
    );
    let last = ann.ask("DELETE", "/api/logins/ann", Value::Null).await;
    assert_eq!(last.problem(409), "last-manager");
}

#[tokio::test]
async fn programs_carry_a_token_with_the_rights_of_its_login() {
    let gateway = set_up().await;
    let nobody = Client::afar(&gateway);
    let body = json!({"name": "ann", "password": PASSWORD, "hours": 2});
    let given = nobody.ask("POST", "/api/tokens", body).await;
    assert_eq!(given.status, StatusCode::OK, "{}", given.text);
    let token = given.json()["token"].as_str().unwrap().to_owned();
    let program = || Client::afar(&gateway).with("authorization", format!("Bearer {token}"));
    assert_eq!(program().get("/api/status").await.status, StatusCode::OK);
    // Nothing counts in this test; who asks is let through.
    assert_eq!(program().get("/metrics").await.problem(503), "metrics");
    let session = program().session().await;
    assert_eq!(
        (&session["login"], rights(&session).as_str()),
        (&"in".into(), ALL)
    );
    let bent = Client::afar(&gateway).with("authorization", format!("Bearer {token}x"));
    assert_eq!(bent.get("/api/status").await.problem(401), "token");
    for hours in [0, 8_761] {
        let body = json!({"name": "ann", "password": PASSWORD, "hours": hours});
        let refused = nobody.ask("POST", "/api/tokens", body).await;
        assert_eq!(refused.problem(400), "parameter");
    }
    let ended = program().ask("DELETE", "/api/tokens", Value::Null).await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    assert_eq!(program().get("/api/status").await.problem(401), "token");
}

#[tokio::test]
async fn tills_and_metrics_of_this_machine_need_no_login() {
    let gateway = set_up().await;
    let here = Client::here(&gateway);
    // Nothing counts in this test; who asks is let through.
    assert_eq!(here.get("/metrics").await.problem(503), "metrics");
    let event = json!({"event_id": "1", "event_type": "void_transaction"});
    let taken = here.ask("POST", "/api/pos-events", event.clone()).await;
    assert_eq!(taken.status, StatusCode::OK, "{}", taken.text);
    let afar = Client::afar(&gateway);
    let refused = afar.ask("POST", "/api/pos-events", event).await;
    assert_eq!(refused.problem(401), "login");
}

#[tokio::test]
async fn always_means_on_this_machine_and_before_anybody_is_set_up() {
    let gateway = Gateway::new();
    gateway.config.send_modify(|config| {
        std::sync::Arc::make_mut(config).web.login = LoginPolicy::Always;
    });
    let here = Client::here(&gateway);
    let session = here.session().await;
    assert_eq!(
        (
            &session["login"],
            rights(&session).as_str(),
            &session["code_needed"]
        ),
        (&"setup".into(), "", &false.into())
    );
    assert_eq!(here.get("/api/status").await.problem(401), "login");
}

#[tokio::test]
async fn a_verdict_carries_the_name_of_whoever_gave_it() {
    let gateway = set_up().await;
    gateway
        .append(&[Record::Alert(alert(Seq(1), 0, 700))])
        .await;
    let ann = Client::here(&gateway).log_in("ann").await;
    let pending = ann.get("/api/alerts/pending").await.json();
    let id = pending[0]["alert_id"].as_str().unwrap();
    let verdict = json!({"verdict": "confirmed"});
    let judged = ann
        .ask("POST", &format!("/api/alerts/{id}/review"), verdict)
        .await;
    assert_eq!(judged.json()["review"]["reviewer"], "ann");
}

#[tokio::test]
async fn logging_out_ends_the_live_feed() {
    let gateway = set_up().await;
    let ann = Client::here(&gateway).log_in("ann").await;
    let cookie = ann.headers[0].1.clone();
    let open = request("GET", "/api/live").header("cookie", cookie);
    let response = gateway
        .page()
        .oneshot(open.body(Body::empty()).unwrap())
        .await;
    let mut body = response.unwrap().into_body();
    ann.ask("DELETE", "/api/session", Value::Null).await;
    let ended = async { while body.frame().await.is_some() {} };
    tokio::time::timeout(std::time::Duration::from_secs(10), ended)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_code_is_for_the_control_socket_only() {
    let gateway = Gateway::new();
    let here = Client::here(&gateway).get("/api/access").await;
    assert_eq!(here.json(), json!({"login": "auto", "logins": 0}));
}
