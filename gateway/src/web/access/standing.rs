//! How somebody at the page stands: who it is, and what that allows.

use super::text;
use crate::Shared;
use crate::config::{Config, LoginPolicy};
use crate::logins::{Limits, Person, Right, Source};
use crate::web::problem::Problem;
use crate::web::rights::Need;
use crate::web::serve::{Address, Encrypted};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use serde::Serialize;
use utoipa::ToSchema;

/// The cookie of a session.
pub const COOKIE: &str = "tillwatch";
/// Cookies of that name that are tried: another one may have been set by another port.
const COOKIES: usize = 4;

/// Whether somebody has to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Login {
    /// No login is asked for.
    None,
    /// Nobody has been set up yet.
    Setup,
    /// Log in first.
    Needed,
    /// Logged in.
    In,
}

/// How somebody stands. An extension of every request that was let in.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Whether a login is asked for.
    pub login: Login,
    /// Who is logged in.
    pub person: Option<Person>,
    /// What is allowed.
    pub rights: &'static [Right],
    /// Whether the set-up asks for the code.
    pub code_needed: bool,
    /// Comes from this machine, and nobody else's request is passed on.
    pub here: bool,
    /// Where from, for counting attempts.
    pub source: Source,
    /// The connection is encrypted, as far as the browser sees it.
    pub encrypted: bool,
    /// What the browser showed.
    pub cookie: Option<String>,
}

impl Standing {
    /// Of somebody whom the kernel vouches for, or a till with its token.
    pub(super) fn vouched(rights: &'static [Right]) -> Self {
        Self {
            login: Login::None,
            person: None,
            rights,
            code_needed: false,
            here: true,
            source: Source::Local,
            encrypted: false,
            cookie: None,
        }
    }

    /// Of a request to the page.
    ///
    /// # Errors
    /// A problem when a token is shown that is worth nothing.
    pub(super) fn at_page(shared: &Shared, request: &Request, here: bool) -> Result<Self, Problem> {
        let headers = request.headers();
        let config = shared.config.borrow().clone();
        let source = match request.extensions().get::<Address>() {
            Some(Address::Tcp(address)) => Source::Address(address.ip()),
            _ => Source::Local,
        };
        let passed_on = text(
            headers,
            header::HeaderName::from_static("x-forwarded-proto"),
        );
        let mut standing = Self {
            here,
            source,
            encrypted: request.extensions().get::<Encrypted>().is_some()
                || passed_on == Some("https"),
            ..Self::vouched(&[])
        };
        if shared.identity.demo {
            standing.rights = &Right::ALL;
            return Ok(standing);
        }
        if shared.logins.is_empty() {
            standing.login = Login::Setup;
            standing.code_needed = !here;
            if here && config.web.login == LoginPolicy::Auto {
                standing.rights = &Right::ALL;
            }
            return Ok(standing);
        }
        standing.login = Login::Needed;
        let now = shared.clock.stamp();
        let limits = limits(&config);
        let mut person = None;
        for cookie in cookies(headers).take(COOKIES) {
            person = shared.logins.whose(cookie, now, limits);
            standing.cookie = Some(cookie.to_owned());
            if person.is_some() {
                break;
            }
        }
        if person.is_none()
            && let Some(token) = super::bearer(headers)
        {
            let bearer = shared.logins.bears(token, now);
            person = Some(bearer.ok_or_else(|| {
                Problem::unauthorized("the token is not one of ours, or has ended; get a new one")
            })?);
        }
        if let Some(person) = person {
            standing.login = Login::In;
            standing.rights = person.role.rights();
            standing.person = Some(person);
        }
        Ok(standing)
    }

    /// Whether this is enough for a route.
    ///
    /// # Errors
    /// A problem that says what is missing.
    pub(super) fn meets(&self, need: Need) -> Result<(), Problem> {
        let right = match need {
            Need::Nothing => return Ok(()),
            Need::FromAfar(_) if self.here => return Ok(()),
            Need::FromAfar(right) | Need::A(right) => right,
        };
        if self.rights.contains(&right) {
            return Ok(());
        }
        match &self.person {
            Some(person) => {
                let detail = format!("a {} may not do this: it takes `{right}`", person.role);
                Err(Problem::forbidden("role", detail).with("right", right.word()))
            }
            None => Err(log_in_first()),
        }
    }
}

/// Somebody who is not logged in asks for more than that.
pub(super) fn log_in_first() -> Problem {
    Problem::new(
        axum::http::StatusCode::UNAUTHORIZED,
        "login",
        "Log in first",
        "this register asks for a login; see /api/session",
    )
}

/// How long sessions last.
pub(in crate::web) fn limits(config: &Config) -> Limits {
    Limits {
        whole_s: u64::from(config.web.session_hours) * 3_600,
        idle_s: u64::from(config.web.idle_minutes) * 60,
    }
}

/// Whether a request was passed on for somebody else.
pub(super) fn passed_on(headers: &HeaderMap) -> bool {
    headers.contains_key(header::FORWARDED) || headers.contains_key("x-forwarded-for")
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::COOKIE)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_cookies_are_found_among_others() {
        let mut headers = HeaderMap::new();
        for value in ["a=b; tillwatch=one;c=d", "tillwatch=two; tillwatchx=no"] {
            headers.append(header::COOKIE, value.parse().unwrap());
        }
        assert_eq!(cookies(&headers).collect::<Vec<_>>(), ["one", "two"]);
    }
}
