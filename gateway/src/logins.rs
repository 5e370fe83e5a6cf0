//! Logins: who may come in, who is in, and what programs carry instead.
//!
//! | module | what |
//! | --- | --- |
//! | [`role`] | roles and rights |
//! | [`book`] | the logins |
//! | [`password`] | Argon2id |
//! | [`sessions`] | browsers that are logged in |
//! | `change` | changing them: on disk first, then for everybody |
//! | [`attempts`] | how often somebody may try |
//! | [`token`] | JSON Web Tokens |
//!
//! They lie in `<data>/access/`: `logins.json`, `sessions.json` (so that a new version of the
//! program logs nobody out) and `token.key`. A change counts when it is on disk. A file with logins
//! that cannot be read opens nothing: nobody gets in until somebody put it right.

pub mod attempts;
pub mod book;
mod change;
mod files;
pub mod password;
pub mod role;
mod secret;
pub mod sessions;
pub mod token;

pub use attempts::Source;
pub use role::{Right, Role};
pub use sessions::Limits;

use attempts::Attempts;
use book::{Book, BookError, Login};
use files::Files;
use password::PasswordError;
use secret::plain;
use sessions::{CookieHash, Sessions};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use subtle::ConstantTimeEq as _;
use tillwatch_protocol::Stamp;
use tillwatch_protocol::time::SECOND_NS;
use token::{Claims, TokenKey};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// The time of a session's last request is written this often at most.
const SAVE_EVERY_NS: u64 = 300 * SECOND_NS;
/// Hours that a token lasts without saying.
pub const TOKEN_HOURS: u32 = 24;
/// Most hours that a token lasts.
pub const TOKEN_HOURS_MOST: u32 = 365 * 24;

/// Why somebody is not let in, or a change is not made.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Name or password are wrong; which one is not said.
    #[error("name or password are wrong")]
    Wrong,
    /// Too many attempts.
    #[error("too many attempts; try again in {0} s")]
    Wait(u64),
    /// Others are being checked.
    #[error("others are logging in; try again in a moment")]
    Busy,
    /// Somebody was first.
    #[error("there is a manager already; log in")]
    SetUp,
    /// The set-up code is wrong or missing.
    #[error("the set-up code is not the one that `tillwatch status` shows on the register")]
    Code,
    /// The file with the logins cannot be used.
    #[error(
        "the logins cannot be used: {0}; put the file back, or remove it and set up anew at the register"
    )]
    Damaged(String),
    /// The password is not good enough.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The book says no.
    #[error(transparent)]
    Book(#[from] BookError),
    /// It is not on disk.
    #[error("nothing was changed: {0}")]
    Disk(#[from] io::Error),
}

/// A login that somebody came in with.
#[derive(Debug, Clone)]
pub struct Person {
    /// Its name.
    pub name: Arc<str>,
    /// Its role at this moment.
    pub role: Role,
    /// When this ends, whatever happens, in microseconds since 1970 UTC.
    pub expires_us: i64,
    /// Cancelled when it ends.
    pub ends: CancellationToken,
}

/// What a browser gets for a login.
#[derive(Debug)]
pub struct Opened {
    /// The cookie.
    pub cookie: String,
    /// Whose it is.
    pub person: Person,
}

/// What a program gets.
#[derive(Debug)]
pub struct Token {
    /// The token.
    pub token: String,
    /// When it ends, in microseconds since 1970 UTC.
    pub expires_us: i64,
}

/// The logins of one register.
#[derive(Clone)]
pub struct Logins(Arc<Inner>);

struct Inner {
    files: Files,
    state: Mutex<State>,
    hashing: Arc<Semaphore>,
    /// One change at a time, from reading what there is to having it on disk.
    changing: tokio::sync::Mutex<()>,
    root: CancellationToken,
    /// Missing only where the system gives no random numbers: then nobody can show it.
    code: Option<String>,
}

struct State {
    book: Book,
    damaged: Option<String>,
    sessions: Sessions,
    attempts: Attempts,
    key: Option<TokenKey>,
}

impl Default for Logins {
    /// In memory only.
    fn default() -> Self {
        Self::open(None, CancellationToken::new())
    }
}

impl Logins {
    /// Reads what lies in the data directory; without one, all is kept in memory. What is streamed
    /// to somebody ends with `root`. Blocks.
    #[must_use]
    pub fn open(data: Option<&Path>, root: CancellationToken) -> Self {
        let files = Files::below(data);
        let (book, damaged) = match files.book() {
            Ok(book) => (book, None),
            Err(why) => {
                tracing::error!(%why, "the logins cannot be used: nobody gets in");
                (Book::default(), Some(why.to_string()))
            }
        };
        let mut sessions = files.sessions().under(root.clone());
        sessions.end_stale(|name| book.find(name).map(|login| login.version));
        let state = State {
            book,
            damaged,
            sessions,
            attempts: Attempts::default(),
            key: files.key(),
        };
        Self(Arc::new(Inner {
            files,
            state: Mutex::new(state),
            hashing: Arc::new(Semaphore::new(change::HASHES)),
            changing: tokio::sync::Mutex::default(),
            root,
            code: secret::code(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a panic leaves is whole between any two statements.
        let state = self.0.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody was ever set up.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let state = self.state();
        state.book.is_empty() && state.damaged.is_none()
    }

    /// Why nobody gets in.
    #[must_use]
    pub fn damaged(&self) -> Option<String> {
        self.state().damaged.clone()
    }

    /// What somebody who is not at the register has to show to set it up.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// All logins, and when each was last used.
    #[must_use]
    pub fn list(&self) -> Vec<(Login, Option<i64>)> {
        let state = self.state();
        let with_last = |login: &Login| (login.clone(), state.sessions.last_us(&login.name));
        state.book.logins().iter().map(with_last).collect()
    }

    /// Makes the first login, a manager, and lets it in. `code` is what was shown, where one is
    /// asked for.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn set_up(
        &self,
        (name, password): (&str, &str),
        code: Option<&str>,
        source: Source,
        now: Stamp,
        limits: Limits,
    ) -> Result<Opened, LoginError> {
        if let Some(shown) = code {
            let begun = self.state().attempts.begin(source, "", now.monotonic_ns);
            begun.map_err(LoginError::Wait)?;
            let shown = plain(shown);
            let right = self.0.code.as_deref().map(plain);
            if !right.is_some_and(|right| right.as_bytes().ct_eq(shown.as_bytes()).into()) {
                metrics::counter!("logins_total", "result" => "wrong").increment(1);
                return Err(LoginError::Code);
            }
            self.state().attempts.succeeded(source, "");
        }
        if !self.is_empty() {
            return Err(LoginError::SetUp);
        }
        self.state().book.check_new(name)?;
        password::check(name, password)?;
        let hash = self.hash(password).await?;
        let add = |book: &mut Book| {
            if !book.is_empty() {
                return Err(LoginError::SetUp);
            }
            Ok(book.add(name, Role::Manager, hash, now.utc_us)?)
        };
        self.change(add).await?;
        tracing::warn!(name = name.trim(), "set up: the first manager is made");
        self.open_session(name, None, now, limits).await
    }

    /// Lets somebody in.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn log_in(
        &self,
        (name, password): (&str, &str),
        source: Source,
        now: Stamp,
        limits: Limits,
    ) -> Result<Opened, LoginError> {
        let version = self.prove((name, password), source, now).await?;
        self.open_session(name, Some(version), now, limits).await
    }

    /// Whether the password is right; then the version of the login that it is of.
    async fn prove(
        &self,
        (name, password): (&str, &str),
        source: Source,
        now: Stamp,
    ) -> Result<uuid::Uuid, LoginError> {
        let count = |result| metrics::counter!("logins_total", "result" => result).increment(1);
        let begun = self.state().attempts.begin(source, name, now.monotonic_ns);
        begun.map_err(|wait| {
            count("wait");
            LoginError::Wait(wait)
        })?;
        if let Some(why) = self.damaged() {
            return Err(LoginError::Damaged(why));
        }
        let known = self.state().book.find(name).cloned();
        let password = password.get(..password.len().min(password::MOST_BYTES + 1));
        let password = password.unwrap_or_default().to_owned();
        let hash = known.as_ref().map(|login| login.hash.clone());
        let verify = move || password::verify(hash.as_deref(), &password);
        let right = self.hashed(verify).await.inspect_err(|_| count("busy"))?;
        match known {
            Some(login) if right => {
                count("in");
                self.state().attempts.succeeded(source, name);
                Ok(login.version)
            }
            _ => {
                count("wrong");
                // No name: people type their password there.
                tracing::warn!(?source, "a login failed");
                Err(LoginError::Wrong)
            }
        }
    }

    async fn open_session(
        &self,
        name: &str,
        version: Option<uuid::Uuid>,
        now: Stamp,
        limits: Limits,
    ) -> Result<Opened, LoginError> {
        let cookie = secret::cookie()?;
        let hash = CookieHash::of(&cookie);
        let opened = {
            let mut state = self.state();
            let login = state.book.find(name).cloned().ok_or(LoginError::Wrong)?;
            // The password may have been changed under us.
            if version.is_some_and(|version| version != login.version) {
                return Err(LoginError::Wrong);
            }
            if state.sessions.begin(hash, &login.name, login.version, now) {
                metrics::counter!("sessions_evicted_total").increment(1);
            }
            state.person(hash, now, limits).map(|(person, _)| person)
        };
        self.save_sessions().await;
        let person = opened.ok_or(LoginError::Wrong)?;
        Ok(Opened { cookie, person })
    }

    /// Whose cookie this is, as far as it is in time; it counts as used.
    #[must_use]
    pub fn whose(&self, cookie: &str, now: Stamp, limits: Limits) -> Option<Person> {
        let (person, before) = self.state().person(CookieHash::of(cookie), now, limits)?;
        if now.since_ns(&before).is_none_or(|ns| ns >= SAVE_EVERY_NS) {
            let logins = self.clone();
            tokio::spawn(async move { logins.save_sessions().await });
        }
        Some(person)
    }

    /// Whose token this is, as far as it is in time.
    #[must_use]
    pub fn bears(&self, token: &str, now: Stamp) -> Option<Person> {
        let state = self.state();
        let claims = state.key.as_ref()?.read(token, now.utc_us / 1_000_000)?;
        let login = state.book.find(&claims.sub)?;
        (login.version == claims.ver).then(|| Person {
            name: login.name.as_str().into(),
            role: login.role,
            expires_us: claims.exp.saturating_mul(1_000_000),
            ends: self.0.root.child_token(),
        })
    }

    /// Ends a session.
    pub async fn log_out(&self, cookie: &str) {
        self.state().sessions.end(CookieHash::of(cookie));
        self.save_sessions().await;
    }

    /// Gives a token to a program.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn token(
        &self,
        login: (&str, &str),
        hours: u32,
        source: Source,
        now: Stamp,
    ) -> Result<Token, LoginError> {
        let ver = self.prove(login, source, now).await?;
        if self.state().key.is_none() {
            self.new_key(false).await?;
        }
        let iat = now.utc_us / 1_000_000;
        let exp = iat.saturating_add(i64::from(hours.min(TOKEN_HOURS_MOST)) * 3_600);
        let state = self.state();
        let sub = state.book.find(login.0).ok_or(LoginError::Wrong)?;
        let sub = sub.name.clone();
        let claims = Claims { sub, ver, iat, exp };
        // Made just above.
        let key = state.key.as_ref().ok_or(LoginError::Busy)?;
        Ok(Token {
            token: key.issue(&claims),
            expires_us: exp.saturating_mul(1_000_000),
        })
    }
}

impl State {
    /// Whose session it is, and when it was used before.
    fn person(&mut self, hash: CookieHash, now: Stamp, limits: Limits) -> Option<(Person, Stamp)> {
        let (session, before) = self.sessions.used(hash, now, limits)?;
        let login = self.book.find(&session.name)?;
        let person = Person {
            name: login.name.as_str().into(),
            role: login.role,
            expires_us: session.expires_us(&now, limits),
            ends: session.ends.clone(),
        };
        (login.version == session.version).then_some((person, before))
    }
}

#[cfg(test)]
mod tests;
