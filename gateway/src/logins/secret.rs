//! What nobody can guess.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::rand::{SecureRandom as _, SystemRandom};
use std::io;

/// Fills with random bytes.
pub(super) fn fill(bytes: &mut [u8]) -> io::Result<()> {
    let filled = SystemRandom::new().fill(bytes);
    filled.map_err(|_| io::Error::other("the system gives no random numbers"))
}

/// A cookie: 256 bits as text.
pub(super) fn cookie() -> io::Result<String> {
    let mut bytes = [0; 32];
    fill(&mut bytes)?;
    Ok(BASE64.encode(bytes))
}

/// Eight letters and digits that nobody mixes up: 40 bits, of which few can be tried.
pub(super) fn code() -> Option<String> {
    const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut bytes = [0; 8];
    fill(&mut bytes).ok()?;
    let letter = |byte: &u8| char::from(LETTERS[usize::from(byte % 32)]);
    let letters: String = bytes.iter().map(letter).collect();
    let (left, right) = letters.split_at(4);
    Some(format!("{left}-{right}"))
}

/// A code as it is compared: whatever case it was typed in, with or without its dash.
pub(super) fn plain(code: &str) -> String {
    let plain = code.chars().filter(char::is_ascii_alphanumeric);
    plain.map(|c| c.to_ascii_uppercase()).collect()
}
