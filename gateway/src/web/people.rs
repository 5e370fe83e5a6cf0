//! Who may log in, and what programs carry instead.

use super::App;
use super::access::{Caller, Standing};
use super::extract::{Json as Body, Path};
use super::peer::{Own, Rights};
use super::problem::Problem;
use crate::config::{LoginPolicy, Secret};
use crate::logins::{Role, TOKEN_HOURS, TOKEN_HOURS_MOST};
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tillwatch_protocol::time::rfc3339;
use utoipa::ToSchema;

/// One login.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct LoginView {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// When it was made, RFC 3339 in UTC.
    pub made: String,
    /// When somebody last logged in with it.
    pub last: Option<String>,
}

/// A new login.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddBody {
    /// 1 to 32 letters, digits, spaces or `. _ - @`.
    #[schema(min_length = 1, max_length = 32)]
    name: String,
    /// 8 characters or more.
    #[schema(value_type = String, min_length = 8)]
    password: Secret,
    role: Role,
}

/// What changes of a login.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetBody {
    /// 8 characters or more; ends its sessions and tokens.
    #[schema(value_type = Option<String>)]
    password: Option<Secret>,
    role: Option<Role>,
}

/// Whose token, and for how long.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenBody {
    name: String,
    #[schema(value_type = String)]
    password: Secret,
    /// 1 to 8760; 24 without.
    #[schema(minimum = 1, maximum = 8_760)]
    hours: Option<u32>,
}

/// A token.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenView {
    /// To be sent as `Authorization: Bearer …`.
    token: String,
    /// When it ends, RFC 3339 in UTC.
    expires: String,
}

/// How this register is guarded.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AccessView {
    /// `auto`, `always` or `demo`.
    pub login: String,
    /// How many may log in.
    pub logins: usize,
    /// What the first set-up from elsewhere asks for; only at the control socket, and only until
    /// somebody is set up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup_code: Option<String>,
    /// Why nobody gets in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damaged: Option<String>,
}

/// All logins.
#[utoipa::path(get, path = "/api/logins", tag = "logins", responses((status = 200, description = "by the order in which they were made", body = [LoginView])))]
pub async fn list(State(app): State<App>) -> Json<Vec<LoginView>> {
    let all = app.shared.logins.list();
    let view = all.into_iter().map(|(login, last_us)| LoginView {
        name: login.name,
        role: login.role,
        made: rfc3339(login.made_us),
        last: last_us.map(rfc3339),
    });
    Json(view.collect())
}

/// Makes a login.
#[utoipa::path(post, path = "/api/logins", tag = "logins", request_body = AddBody, responses(
    (status = 201, description = "made"),
    (status = 400, description = "no JSON", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "the name is taken, or there are too many", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "not application/json", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "the name or the password cannot be used", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "it is not on disk", body = Problem, content_type = "application/problem+json"),
))]
pub async fn add(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Body(body): Body<AddBody>,
) -> Result<StatusCode, Problem> {
    let now = app.shared.clock.stamp();
    let login = (body.name.as_str(), body.password.reveal());
    app.shared.logins.add(login, body.role, now).await?;
    let by = caller.name().await;
    tracing::info!(%by, name = body.name, role = %body.role, "a login is made");
    Ok(StatusCode::CREATED)
}

/// Gives a login another password, another role, or both.
#[utoipa::path(put, path = "/api/logins/{name}", tag = "logins", params(("name" = String, Path, description = "the login")), request_body = SetBody, responses(
    (status = 204, description = "changed"),
    (status = 400, description = "no JSON", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "no such login", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "it is the last manager", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "not application/json", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "the password cannot be used", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "it is not on disk", body = Problem, content_type = "application/problem+json"),
))]
pub async fn set(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Body(body): Body<SetBody>,
) -> Result<StatusCode, Problem> {
    let password = body.password.as_ref().map(Secret::reveal);
    app.shared.logins.set(&name, password, body.role).await?;
    let (by, password) = (caller.name().await, password.is_some());
    tracing::info!(%by, name, password, role = ?body.role, "a login is changed");
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a login, its sessions and its tokens.
#[utoipa::path(delete, path = "/api/logins/{name}", tag = "logins", params(("name" = String, Path, description = "the login")), responses(
    (status = 204, description = "removed"),
    (status = 404, description = "no such login", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "it is the last manager", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "it is not on disk", body = Problem, content_type = "application/problem+json"),
))]
pub async fn remove(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    app.shared.logins.remove(&name).await?;
    let by = caller.name().await;
    tracing::info!(%by, name, "a login is removed");
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a token to a program: a JSON Web Token with the rights of the login's role. Another
/// password or the end of the login end it.
#[utoipa::path(post, path = "/api/tokens", tag = "logins", request_body = TokenBody, responses(
    (status = 200, description = "the token", body = TokenView),
    (status = 400, description = "no JSON, or `hours` cannot be used", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "name or password are wrong", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "not application/json", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "a member is missing or unknown", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "too many attempts; `Retry-After` says when", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "others are logging in, or the key is not on disk", body = Problem, content_type = "application/problem+json"),
))]
pub async fn token(
    State(app): State<App>,
    Extension(standing): Extension<Standing>,
    Body(body): Body<TokenBody>,
) -> Result<Json<TokenView>, Problem> {
    let hours = body.hours.unwrap_or(TOKEN_HOURS);
    if !(1..=TOKEN_HOURS_MOST).contains(&hours) {
        let detail = format!("hours is {hours}; it must lie between 1 and {TOKEN_HOURS_MOST}");
        return Err(Problem::parameter("hours", detail));
    }
    let now = app.shared.clock.stamp();
    let login = (body.name.as_str(), body.password.reveal());
    let logins = &app.shared.logins;
    let token = logins.token(login, hours, standing.source, now).await?;
    Ok(Json(TokenView {
        token: token.token,
        expires: rfc3339(token.expires_us),
    }))
}

/// Ends all tokens of all programs.
#[utoipa::path(delete, path = "/api/tokens", tag = "logins", responses(
    (status = 204, description = "none is worth anything any more"),
    (status = 503, description = "it is not on disk", body = Problem, content_type = "application/problem+json"),
))]
pub async fn end_tokens(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<StatusCode, Problem> {
    app.shared.logins.end_tokens().await?;
    let by = caller.name().await;
    tracing::info!(%by, "all tokens are ended");
    Ok(StatusCode::NO_CONTENT)
}

/// How this register is guarded.
#[utoipa::path(get, path = "/api/access", tag = "logins", responses((status = 200, description = "logins and what the first set-up asks for", body = AccessView)))]
pub async fn access(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Json<AccessView> {
    let logins = &app.shared.logins;
    let login = match app.shared.config.borrow().web.login {
        _ if app.shared.identity.demo => "demo",
        LoginPolicy::Auto => "auto",
        LoginPolicy::Always => "always",
    };
    let trusted = match &caller {
        Caller::Peer(peer) => peer.rights(Own::here()) == Rights::Change,
        _ => false,
    };
    let shown = trusted && logins.is_empty() && !app.shared.identity.demo;
    Json(AccessView {
        login: login.into(),
        logins: logins.list().len(),
        setup_code: logins.code().filter(|_| shown).map(str::to_owned),
        damaged: logins.damaged(),
    })
}
