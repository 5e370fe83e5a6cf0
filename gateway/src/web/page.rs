//! The page's files. They are part of the program, so that neither building nor running it needs
//! anything beside it.
//!
//! Names below `/assets/` carry a hash of their content and are kept for ever; the rest is asked
//! for again with its `ETag`. A file may have siblings that are compressed already (`.br`, `.gz`).
//! Paths that only the page knows get the page, when it is a browser that asks.

use super::problem::Problem;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use include_dir::{Dir, include_dir};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

/// What the page was built into.
static DIST: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/web/dist");

/// Its files by their paths.
static FILES: LazyLock<BTreeMap<&'static str, File>> = LazyLock::new(|| {
    let mut files = BTreeMap::new();
    collect(&DIST, &mut files);
    files
});

struct File {
    data: &'static [u8],
    /// Of this form of the file: the compressed one has another than the plain one.
    etag: String,
}

fn collect(folder: &Dir<'static>, into: &mut BTreeMap<&'static str, File>) {
    for file in folder.files() {
        if let Some(path) = file.path().to_str() {
            let data = file.contents();
            let etag = etag(data);
            into.insert(path, File { data, etag });
        }
    }
    for inner in folder.dirs() {
        collect(inner, into);
    }
}

/// Where the page begins.
const INDEX: &str = "index.html";
/// Another content has another name.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// Ask whether it is still the same.
const ASK: &str = "no-cache";
/// Forms of a file that may lie beside it, the smallest first: encoding and what its name ends with.
const FORMS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// Answers what no route does.
pub(super) async fn fallback(method: Method, uri: Uri, request: Request) -> Response {
    let looks = matches!(method, Method::GET | Method::HEAD);
    let name = if looks {
        file(uri.path(), request.headers())
    } else {
        None
    };
    match name {
        Some(name) => answer(name, &method, request.headers()),
        None => super::unknown(uri).await.into_response(),
    }
}

/// The file that stands for a path.
fn file<'a>(path: &'a str, headers: &HeaderMap) -> Option<&'a str> {
    let name = path.strip_prefix('/')?;
    if name.is_empty() {
        return Some(INDEX);
    }
    // Compressed siblings are forms of a file, not files.
    if FILES.contains_key(name) && FORMS.iter().all(|(_, ending)| !name.ends_with(ending)) {
        return Some(name);
    }
    let first = name.split('/').next().unwrap_or_default();
    let last = name.rsplit('/').next().unwrap_or_default();
    // A program that mistyped a path should learn so; only browsers ask for pages.
    let navigates = accepts(headers, header::ACCEPT, "text/html");
    (navigates && first != "api" && first != "assets" && !last.contains('.')).then_some(INDEX)
}

fn answer(name: &str, method: &Method, headers: &HeaderMap) -> Response {
    let mut forms = FORMS.iter().filter_map(|(encoding, ending)| {
        let wanted = accepts(headers, header::ACCEPT_ENCODING, encoding);
        let found = wanted.then(|| FILES.get(format!("{name}{ending}").as_str()))?;
        found.map(|file| (Some(*encoding), file))
    });
    let plain = || FILES.get(name).map(|file| (None, file));
    let Some((encoding, file)) = forms.next().or_else(plain) else {
        return Problem::not_found("this program was built without its page").into_response();
    };
    let etag = file.etag.as_str();
    let same = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|shown| shown.trim().trim_start_matches("W/") == etag);
    let length = file.data.len();
    let mut response = if same {
        StatusCode::NOT_MODIFIED.into_response()
    } else if *method == Method::HEAD {
        StatusCode::OK.into_response()
    } else {
        Body::from(file.data).into_response()
    };
    let cache = if name.starts_with("assets/") {
        FOREVER
    } else {
        ASK
    };
    let out = response.headers_mut();
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    out.insert(
        header::VARY,
        HeaderValue::from_static("accept, accept-encoding"),
    );
    if let Ok(etag) = HeaderValue::try_from(etag) {
        out.insert(header::ETAG, etag);
    }
    if !same {
        let kind = HeaderValue::from_static(media_type(name));
        out.insert(header::CONTENT_TYPE, kind);
        out.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        if let Some(encoding) = encoding {
            out.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
    }
    response
}

fn etag(data: &[u8]) -> String {
    let hash = Sha256::digest(data);
    let mut etag = String::from("\"");
    for byte in hash.iter().take(16) {
        // A string takes everything.
        let _ = write!(etag, "{byte:02x}");
    }
    etag.push('"');
    etag
}

/// Whether a list of what is accepted names this without refusing it.
fn accepts(headers: &HeaderMap, list: header::HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(list).into_iter();
    let mut items = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    items.any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let named = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(wanted));
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
        named && weight.is_none_or(|weight| weight > 0.0)
    })
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        [(name, HeaderValue::from_static(value))]
            .into_iter()
            .collect()
    }

    #[test]
    fn an_encoding_is_taken_when_it_is_named_and_not_refused() {
        let taken = |value, wanted| {
            let headers = headers(header::ACCEPT_ENCODING, value);
            accepts(&headers, header::ACCEPT_ENCODING, wanted)
        };
        assert!(taken("gzip, deflate, br;q=0.5", "br"));
        assert!(taken("GZIP", "gzip"));
        assert!(!taken("gzip, br;q=0", "br"));
        assert!(!taken("gzip, brx", "br"));
        assert!(!taken("", "br"));
    }

    #[test]
    fn the_pages_own_paths_are_the_page_for_browsers_only() {
        let browser = headers(header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8");
        let program = headers(header::ACCEPT, "*/*");
        for path in ["/alerts", "/alerts/6f9c", "/set-up/"] {
            assert_eq!(file(path, &browser), Some(INDEX), "{path}");
            assert_eq!(file(path, &program), None, "{path}");
        }
        for path in ["/api/nothing", "/api", "/assets/old", "/robots.txt", "x"] {
            assert_eq!(file(path, &browser), None, "{path}");
        }
        assert_eq!(file("/", &program), Some(INDEX));
        assert_eq!(file("/index.html", &program), Some(INDEX));
        assert_eq!(file("/../Cargo.toml", &browser), None);
    }

    #[test]
    fn what_is_compressed_already_is_sent_so_to_whoever_takes_it() {
        let siblings = FILES.keys().filter_map(|name| {
            let of = |(encoding, end): &(&'static str, &str)| {
                Some((name.strip_suffix(end)?.to_owned(), *encoding))
            };
            FORMS.iter().find_map(of)
        });
        for (name, encoding) in siblings {
            let taken = headers(header::ACCEPT_ENCODING, encoding);
            let compressed = answer(&name, &Method::GET, &taken);
            assert_eq!(compressed.headers()[header::CONTENT_ENCODING], encoding);
            let plain = answer(&name, &Method::GET, &HeaderMap::new());
            assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
            assert_ne!(
                plain.headers()[header::ETAG],
                compressed.headers()[header::ETAG]
            );
            assert_eq!(
                plain.headers()[header::CONTENT_TYPE],
                compressed.headers()[header::CONTENT_TYPE]
            );
        }
        assert_eq!(file("/index.html.gz", &HeaderMap::new()), None);
    }

    #[test]
    fn every_file_of_the_page_has_a_type_that_browsers_take() {
        for name in FILES.keys() {
            let plain = FORMS.iter().find_map(|(_, end)| name.strip_suffix(end));
            let name = plain.unwrap_or(name);
            assert_ne!(media_type(name), "application/octet-stream", "{name}");
            assert!(FILES.contains_key(name), "{name} has no plain form");
        }
    }
}
