//! axum's extractors, with problem documents when they refuse.

use super::problem::Problem;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;

/// A JSON body: an object. serde would also take an array of its members in their order, which
/// nobody means.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let whole = Request::from_parts(parts.clone(), body);
        let body = Bytes::from_request(whole, state).await?;
        let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
        let is_array = first == Some(&b'[');
        let request = Request::from_parts(parts, Body::from(body));
        let read = axum::Json::from_request(request, state).await?.0;
        if is_array {
            return Err(Problem::content("send a JSON object, not an array"));
        }
        Ok(Self(read))
    }
}

/// The query's parameters.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self(
            axum::extract::Query::from_request_parts(parts, state)
                .await?
                .0,
        ))
    }
}

/// Segments of the path.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self(
            axum::extract::Path::from_request_parts(parts, state)
                .await?
                .0,
        ))
    }
}
