//! Logging in and out, and the first set-up.

use super::App;
use super::access::{COOKIE, Login, Standing, limits};
use super::extract::Json as Body;
use super::problem::Problem;
use crate::config::Secret;
use crate::logins::{LoginError, Opened, Right, Role};
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tillwatch_protocol::time::rfc3339;
use utoipa::ToSchema;

/// How the one who asks stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// Everything is simulated, and open.
    demo: bool,
    /// `none`: no login is asked for; `setup`: nobody has been set up yet; `needed`: log in; `in`.
    login: Login,
    /// Who is logged in.
    user: Option<UserView>,
    /// What is allowed now.
    rights: Vec<Right>,
    /// When the session ends, whatever happens, RFC 3339 in UTC.
    expires: Option<String>,
    /// Seconds without somebody at the page after which the page ends it: what the page asks by
    /// itself would keep it alive.
    idle_s: Option<u64>,
    /// The set-up asks for the code that `tillwatch status` shows on the register.
    code_needed: bool,
}

/// Who is logged in.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserView {
    name: String,
    role: Role,
}

/// Name and password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginBody {
    name: String,
    #[schema(value_type = String)]
    password: Secret,
}

/// The first manager.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetupBody {
    /// 1 to 32 letters, digits, spaces or `. _ - @`.
    #[schema(min_length = 1, max_length = 32)]
    name: String,
    /// 8 characters or more.
    #[schema(value_type = String, min_length = 8)]
    password: Secret,
    /// What `tillwatch status` shows on the register; asked for from elsewhere.
    #[schema(value_type = Option<String>)]
    code: Option<Secret>,
}

/// How the one who asks stands. For everybody.
#[utoipa::path(get, path = "/api/session", tag = "logins", responses((status = 200, description = "who is in, and what is allowed", body = SessionView)))]
pub async fn show(
    State(app): State<App>,
    Extension(standing): Extension<Standing>,
) -> Json<SessionView> {
    Json(view(&app, &standing))
}

fn view(app: &App, standing: &Standing) -> SessionView {
    let person = standing.person.as_ref();
    SessionView {
        demo: app.shared.identity.demo,
        login: standing.login,
        user: person.map(|person| UserView {
            name: person.name.to_string(),
            role: person.role,
        }),
        rights: standing.rights.to_vec(),
        expires: person.map(|person| rfc3339(person.expires_us)),
        idle_s: person.map(|_| u64::from(app.shared.config.borrow().web.idle_minutes) * 60),
        code_needed: standing.code_needed,
    }
}

/// Logs in. The cookie is for browsers; programs take a token of `/api/tokens`.
#[utoipa::path(post, path = "/api/session", tag = "logins", request_body = LoginBody, responses(
    (status = 200, description = "logged in", body = SessionView, headers(("Set-Cookie" = String, description = "the session"))),
    (status = 400, description = "no JSON", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "name or password are wrong", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "no login is asked for here", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "not application/json", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "a member is missing or unknown", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "too many attempts; `Retry-After` says when", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "others are logging in, or the logins cannot be used", body = Problem, content_type = "application/problem+json"),
))]
pub async fn begin(
    State(app): State<App>,
    Extension(standing): Extension<Standing>,
    Body(body): Body<LoginBody>,
) -> Result<Response, Problem> {
    check_asked(&standing)?;
    let limits = limits(&app.shared.config.borrow().clone());
    let now = app.shared.clock.stamp();
    let login = (body.name.as_str(), body.password.reveal());
    let logins = &app.shared.logins;
    let opened = logins.log_in(login, standing.source, now, limits).await?;
    // Whoever logs in again in the same browser leaves no session behind.
    if let (Some(cookie), Some(_)) = (&standing.cookie, &standing.person) {
        logins.log_out(cookie).await;
    }
    Ok(let_in(
        &app,
        standing,
        opened,
        limits.whole_s,
        StatusCode::OK,
    ))
}

/// Makes the first login, a manager, and logs it in.
#[utoipa::path(post, path = "/api/setup", tag = "logins", request_body = SetupBody, responses(
    (status = 201, description = "set up and logged in", body = SessionView, headers(("Set-Cookie" = String, description = "the session"))),
    (status = 400, description = "no JSON", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "the set-up code is wrong or missing", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "somebody has been set up already, or no login is asked for", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "not application/json", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "the name or the password cannot be used", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "too many attempts; `Retry-After` says when", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "it is not on disk", body = Problem, content_type = "application/problem+json"),
))]
pub async fn set_up(
    State(app): State<App>,
    Extension(standing): Extension<Standing>,
    Body(body): Body<SetupBody>,
) -> Result<Response, Problem> {
    check_asked(&standing)?;
    let limits = limits(&app.shared.config.borrow().clone());
    let now = app.shared.clock.stamp();
    let login = (body.name.as_str(), body.password.reveal());
    let shown = body.code.as_ref().map_or("", Secret::reveal);
    let code = standing.code_needed.then_some(shown);
    let logins = &app.shared.logins;
    let opened = logins
        .set_up(login, code, standing.source, now, limits)
        .await?;
    Ok(let_in(
        &app,
        standing,
        opened,
        limits.whole_s,
        StatusCode::CREATED,
    ))
}

fn check_asked(standing: &Standing) -> Result<(), Problem> {
    if standing.login == Login::None {
        let detail = "no login is asked for here: this is the demo, or the control socket";
        return Err(conflict("login", detail));
    }
    Ok(())
}

fn let_in(
    app: &App,
    standing: Standing,
    opened: Opened,
    whole_s: u64,
    status: StatusCode,
) -> Response {
    let cookie = cookie(&opened.cookie, whole_s, standing.encrypted);
    let standing = Standing {
        login: Login::In,
        rights: opened.person.role.rights(),
        person: Some(opened.person),
        code_needed: false,
        ..standing
    };
    (status, [cookie], Json(view(app, &standing))).into_response()
}

/// Logs out.
#[utoipa::path(delete, path = "/api/session", tag = "logins", responses((status = 204, description = "logged out; also when nobody was in")))]
pub async fn end(
    State(app): State<App>,
    Extension(standing): Extension<Standing>,
) -> impl IntoResponse {
    if let (Some(cookie), Some(_)) = (&standing.cookie, &standing.person) {
        app.shared.logins.log_out(cookie).await;
    }
    (StatusCode::NO_CONTENT, [cookie("", 0, standing.encrypted)])
}

fn cookie(value: &str, age_s: u64, encrypted: bool) -> (HeaderName, String) {
    let secure = if encrypted { "; Secure" } else { "" };
    let cookie =
        format!("{COOKIE}={value}; Max-Age={age_s}; Path=/; HttpOnly; SameSite=Strict{secure}");
    (header::SET_COOKIE, cookie)
}

fn conflict(name: &str, detail: impl Into<String>) -> Problem {
    let title = "That is not possible now";
    Problem::new(StatusCode::CONFLICT, name, title, detail)
}

impl From<LoginError> for Problem {
    fn from(why: LoginError) -> Self {
        use crate::logins::book::BookError;
        let detail = why.to_string();
        match why {
            LoginError::Wrong => {
                let title = "Name or password are wrong";
                Self::new(StatusCode::UNAUTHORIZED, "wrong-login", title, detail)
            }
            LoginError::Wait(seconds) => {
                let title = "Too many attempts";
                let mut problem =
                    Self::new(StatusCode::TOO_MANY_REQUESTS, "attempts", title, detail);
                problem.retry_after_s = Some(u16::try_from(seconds).unwrap_or(u16::MAX));
                problem
            }
            LoginError::Busy => Self::unavailable("busy", detail),
            LoginError::SetUp => conflict("set-up", detail),
            LoginError::Code => Self::forbidden("code", detail),
            LoginError::Damaged(_) | LoginError::Disk(_) => Self::unavailable("logins", detail),
            LoginError::Password(_) => Self::content(detail).with("member", "password"),
            LoginError::Book(BookError::Unknown(_)) => Self::not_found(detail),
            LoginError::Book(BookError::Name(_)) => Self::content(detail).with("member", "name"),
            LoginError::Book(BookError::Taken(_)) => conflict("taken", detail),
            LoginError::Book(BookError::LastManager(_)) => conflict("last-manager", detail),
            LoginError::Book(BookError::Full) => conflict("full", detail),
        }
    }
}
