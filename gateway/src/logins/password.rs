//! Passwords: what is good enough, and their Argon2id hashes.

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use ring::rand::{SecureRandom as _, SystemRandom};

/// Fewest characters.
pub const LEAST: usize = 8;
/// Most bytes: hashing takes no longer for them, reading does.
pub const MOST_BYTES: usize = 256;
/// KiB of memory, passes and lanes (OWASP's figures for small machines).
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);
/// Bytes of salt.
const SALT: usize = 16;

/// Why a password cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// It is too short.
    #[error("the password is too short; take {LEAST} characters or more")]
    Short,
    /// It is too long.
    #[error("the password is longer than {MOST_BYTES} bytes")]
    Long,
    /// It is one of the first that everybody tries.
    #[error("the password can be guessed: it is mostly the name, or one character again and again")]
    Obvious,
    /// No hash could be made: no memory, or no random numbers.
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
}

/// Whether it may be set for this name.
///
/// # Errors
/// [`PasswordError`] with what is wrong.
pub fn check(name: &str, password: &str) -> Result<(), PasswordError> {
    if password.len() > MOST_BYTES {
        return Err(PasswordError::Long);
    }
    if password.chars().count() < LEAST {
        return Err(PasswordError::Short);
    }
    let mut characters = password.chars();
    let first = characters.next();
    let rest = password.to_lowercase().replace(&name.to_lowercase(), "");
    if characters.all(|c| Some(c) == first) || rest.chars().count() < LEAST / 2 {
        return Err(PasswordError::Obvious);
    }
    Ok(())
}

fn argon2() -> Argon2<'static> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Hashes; takes some 50 ms on a board and 19 MiB, so never on a task's thread.
///
/// # Errors
/// [`PasswordError::Hash`].
pub fn hash(password: &str) -> Result<String, PasswordError> {
    let mut salt = [0; SALT];
    let failed = |why: String| PasswordError::Hash(why);
    SystemRandom::new()
        .fill(&mut salt)
        .map_err(|_| failed("no random numbers".into()))?;
    let salt = SaltString::encode_b64(&salt).map_err(|why| failed(why.to_string()))?;
    let hash = argon2().hash_password(password.as_bytes(), &salt);
    Ok(hash.map_err(|why| failed(why.to_string()))?.to_string())
}

/// Whether the password is the one of the hash. Without a hash (nobody has that name) it takes as
/// long, and is not.
#[must_use]
pub fn verify(hash: Option<&str>, password: &str) -> bool {
    let parsed = hash.and_then(|hash| PasswordHash::new(hash).ok());
    match parsed {
        // The hash names its own costs.
        Some(hash) => argon2().verify_password(password.as_bytes(), &hash).is_ok(),
        None => {
            let mut out = [0; 32];
            // The same work for nothing.
            let _ = argon2().hash_password_into(password.as_bytes(), &[0; SALT], &mut out);
            std::hint::black_box(out);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_argon2id_with_its_costs_and_tells_nothing() {
        let one = hash("correct horse").unwrap();
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, hash("correct horse").unwrap(), "the salt is another");
        assert!(verify(Some(&one), "correct horse"));
        assert!(!verify(Some(&one), "correct horse "));
        assert!(!verify(Some("no hash"), "correct horse"));
        assert!(!verify(None, ""));
    }

    #[test]
    fn what_everybody_tries_first_is_refused() {
        for (password, why) in [
            ("short", PasswordError::Short),
            ("aaaaaaaaaaaa", PasswordError::Obvious),
            ("Olive123", PasswordError::Obvious),
            (&"x1".repeat(129), PasswordError::Long),
        ] {
            assert_eq!(check("olive", password), Err(why), "{password}");
        }
        for password in ["längere Wörter", "k3-Q9!xx", "olive likes tea"] {
            assert_eq!(check("olive", password), Ok(()), "{password}");
        }
    }
}
