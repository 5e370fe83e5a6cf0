//! Changing who may log in: on disk first, then for everybody.

use super::book::Book;
use super::role::Role;
use super::token::TokenKey;
use super::{LoginError, Logins, State, files, password, secret};
use std::io;
use std::time::Duration;
use tillwatch_protocol::Stamp;

/// Passwords that are hashed at once: each takes 19 MiB and a core. More wait.
pub(super) const HASHES: usize = 2;
/// How long they wait before they are refused.
const HASH_WAIT: Duration = Duration::from_secs(5);

impl Logins {
    /// Makes a login.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn add(
        &self,
        (name, password): (&str, &str),
        role: Role,
        now: Stamp,
    ) -> Result<(), LoginError> {
        self.state().book.check_new(name)?;
        password::check(name, password)?;
        let hash = self.hash(password).await?;
        self.change(|book| Ok(book.add(name, role, hash, now.utc_us)?))
            .await
    }

    /// Gives a login another password, another role, or both.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn set(
        &self,
        name: &str,
        password: Option<&str>,
        role: Option<Role>,
    ) -> Result<(), LoginError> {
        let hash = match password {
            Some(password) => {
                password::check(name, password)?;
                Some(self.hash(password).await?)
            }
            None => None,
        };
        let set = |book: &mut Book| {
            if let Some(role) = role {
                book.set_role(name, role)?;
            }
            if let Some(hash) = hash {
                book.set_password(name, hash)?;
            }
            Ok(())
        };
        self.change(set).await
    }

    /// Removes a login, its sessions and its tokens.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn remove(&self, name: &str) -> Result<(), LoginError> {
        self.change(|book| Ok(book.remove(name)?)).await
    }

    /// Changes the book: on disk first, then for everybody.
    pub(super) async fn change(
        &self,
        change: impl FnOnce(&mut Book) -> Result<(), LoginError>,
    ) -> Result<(), LoginError> {
        let one = self.0.changing.lock().await;
        if let Some(why) = self.damaged() {
            return Err(LoginError::Damaged(why));
        }
        let mut book = self.state().book.clone();
        change(&mut book)?;
        let (files, new) = (self.0.files.clone(), book.clone());
        blocking(move || files.write_book(&new)).await?;
        {
            let mut state = self.state();
            state.book = book;
            let State { book, sessions, .. } = &mut *state;
            sessions.end_stale(|name| book.find(name).map(|login| login.version));
        }
        drop(one);
        self.save_sessions().await;
        Ok(())
    }

    /// Sessions that are not on disk are only lost at the next start: told, and no reason to refuse.
    pub(super) async fn save_sessions(&self) {
        let _one = self.0.changing.lock().await;
        let bytes = files::sessions_bytes(&self.state().sessions);
        let files = self.0.files.clone();
        if let Err(why) = blocking(move || files.write_sessions(&bytes)).await {
            tracing::warn!(%why, "sessions are not on disk: the next start logs people out");
        }
    }

    pub(super) async fn hash(&self, password: &str) -> Result<String, LoginError> {
        let password = password.to_owned();
        Ok(self.hashed(move || password::hash(&password)).await??)
    }

    pub(super) async fn hashed<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, LoginError> {
        let turn = tokio::time::timeout(HASH_WAIT, self.0.hashing.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(LoginError::Busy);
        };
        let work = move || {
            // Given back when the work ends, also when nobody waits for it any more.
            let _turn = turn;
            Ok(work())
        };
        Ok(blocking(work).await?)
    }
    /// Ends all tokens: what comes now is signed with another key.
    ///
    /// # Errors
    /// [`LoginError::Disk`].
    pub async fn end_tokens(&self) -> Result<(), LoginError> {
        self.new_key(true).await
    }

    pub(super) async fn new_key(&self, replace: bool) -> Result<(), LoginError> {
        let _one = self.0.changing.lock().await;
        if !replace && self.state().key.is_some() {
            return Ok(());
        }
        let mut bytes = [0; TokenKey::BYTES];
        secret::fill(&mut bytes)?;
        let files = self.0.files.clone();
        blocking(move || files.write_key(&bytes)).await?;
        self.state().key = Some(TokenKey::new(&bytes));
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|why| Err(io::Error::other(why)))
}
