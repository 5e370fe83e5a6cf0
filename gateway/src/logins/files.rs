//! `<data>/access/`: logins, sessions, the key of tokens.

use super::book::Book;
use super::sessions::Sessions;
use super::token::TokenKey;
use std::io;
use std::path::{Path, PathBuf};
use tillwatch_store::private_file;

/// Largest file that is read: 64 logins, or 64 sessions, are far below it.
const MOST_BYTES: u64 = 256 * 1024;

/// Where they lie; nowhere when all is kept in memory.
#[derive(Debug, Clone)]
pub(super) struct Files(Option<PathBuf>);

impl Files {
    pub(super) fn below(data: Option<&Path>) -> Self {
        Self(data.map(|data| data.join("access")))
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match &self.0 {
            Some(folder) => private_file::read(&folder.join(name), MOST_BYTES),
            None => Ok(None),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        match &self.0 {
            Some(folder) => private_file::write(&folder.join(name), bytes),
            None => Ok(()),
        }
    }

    /// The logins; none where there is no file yet.
    pub(super) fn book(&self) -> io::Result<Book> {
        let Some(bytes) = self.read("logins.json")? else {
            return Ok(Book::default());
        };
        serde_json::from_slice(&bytes).map_err(|why| {
            let path = self
                .0
                .as_deref()
                .unwrap_or(Path::new(""))
                .join("logins.json");
            let why = format!("{}: {why}", path.display());
            io::Error::new(io::ErrorKind::InvalidData, why)
        })
    }

    pub(super) fn write_book(&self, book: &Book) -> io::Result<()> {
        self.write("logins.json", &serde_json::to_vec_pretty(book)?)
    }

    /// The sessions; whoever has none that can be read logs in again.
    pub(super) fn sessions(&self) -> Sessions {
        let bytes = self.read("sessions.json").and_then(|bytes| match bytes {
            Some(bytes) => Ok(serde_json::from_slice(&bytes)?),
            None => Ok(Sessions::default()),
        });
        bytes.unwrap_or_else(|why| {
            tracing::warn!(%why, "the sessions cannot be read: everybody logs in again");
            Sessions::default()
        })
    }

    pub(super) fn write_sessions(&self, bytes: &[u8]) -> io::Result<()> {
        self.write("sessions.json", bytes)
    }

    /// The key of tokens; without one no token is believed.
    pub(super) fn key(&self) -> Option<TokenKey> {
        let bytes = self.read("token.key").unwrap_or_else(|why| {
            tracing::warn!(%why, "the key of tokens cannot be read: programs need new ones");
            None
        })?;
        let bytes: Option<&[u8; TokenKey::BYTES]> = bytes.as_slice().try_into().ok();
        if bytes.is_none() {
            tracing::warn!("the key of tokens is no key: programs need new tokens");
        }
        bytes.map(TokenKey::new)
    }

    pub(super) fn write_key(&self, bytes: &[u8]) -> io::Result<()> {
        self.write("token.key", bytes)
    }
}

/// The sessions as they are written.
pub(super) fn sessions_bytes(sessions: &Sessions) -> Vec<u8> {
    // Names, numbers and hashes always have a JSON form.
    serde_json::to_vec(sessions).unwrap_or_default()
}
