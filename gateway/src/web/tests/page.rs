//! The page's files as a browser gets them.

use super::*;

async fn ask(method: &str, uri: &str, headers: &[(&str, &str)]) -> Answer {
    let gateway = Gateway::new();
    let mut request = request(method, uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(gateway.page(), request.body(Body::empty()).unwrap()).await
}

const BROWSER: (&str, &str) = ("accept", "text/html,*/*;q=0.8");

#[tokio::test]
async fn the_page_comes_with_the_program_and_is_asked_for_again() {
    let page = ask("GET", "/", &[]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(page.headers["cache-control"], "no-cache");
    assert!(page.text.contains("<title>"), "{}", page.text);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'self'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");

    let etag = page.headers["etag"].to_str().unwrap();
    let same = ask("GET", "/", &[("if-none-match", etag)]).await;
    assert_eq!(
        (same.status, same.text.as_str()),
        (StatusCode::NOT_MODIFIED, "")
    );
    let other = ask("GET", "/", &[("if-none-match", "\"other\"")]).await;
    assert_eq!(other.status, StatusCode::OK);
}

#[tokio::test]
async fn whoever_asks_for_the_head_gets_the_head() {
    let page = ask("GET", "/", &[]).await;
    let head = ask("HEAD", "/", &[]).await;
    assert_eq!((head.status, head.text.as_str()), (StatusCode::OK, ""));
    for name in ["content-length", "content-type", "etag", "cache-control"] {
        assert_eq!(head.headers[name], page.headers[name], "{name}");
    }
}

#[tokio::test]
async fn paths_of_the_page_are_the_page_and_mistakes_of_programs_are_mistakes() {
    let page = ask("GET", "/alerts/6f9c", &[BROWSER]).await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(ask("GET", "/alerts", &[]).await.problem(404), "not-found");
    for path in ["/api/nothing", "/assets/gone.js", "/assets/gone"] {
        let answer = ask("GET", path, &[BROWSER]).await;
        assert_eq!(answer.problem(404), "not-found", "{path}");
    }
    assert_eq!(ask("POST", "/", &[BROWSER]).await.problem(404), "not-found");
}
