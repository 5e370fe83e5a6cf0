//! Tokens for programs: JSON Web Tokens (RFC 7519), HMAC with SHA-256 and nothing else.
//!
//! There is one header, which is compared and not read: no token chooses how it is checked.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::hmac;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Longest token that is looked at, in bytes.
const TOKEN_BYTES: usize = 1_024;
/// `{"alg":"HS256","typ":"JWT"}`
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The login's name.
    pub sub: String,
    /// The login's version: another password ends its tokens.
    pub ver: Uuid,
    /// When it was given, in seconds since 1970 UTC.
    pub iat: i64,
    /// When it ends, likewise.
    pub exp: i64,
}

/// What tokens are signed with.
#[derive(Clone)]
pub struct TokenKey(hmac::Key);

impl TokenKey {
    /// Bytes of it.
    pub const BYTES: usize = 32;

    /// From its bytes.
    #[must_use]
    pub fn new(bytes: &[u8; Self::BYTES]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// Signs.
    #[must_use]
    pub fn issue(&self, claims: &Claims) -> String {
        // Names and numbers always have a JSON form.
        let body = serde_json::to_vec(claims).unwrap_or_default();
        let signed = format!("{HEADER}.{}", BASE64.encode(body));
        let tag = hmac::sign(&self.0, signed.as_bytes());
        format!("{signed}.{}", BASE64.encode(tag))
    }

    /// What a token says, when we signed it and it has not ended.
    #[must_use]
    pub fn read(&self, token: &str, now_s: i64) -> Option<Claims> {
        if token.len() > TOKEN_BYTES {
            return None;
        }
        let (signed, tag) = token.rsplit_once('.')?;
        let (header, body) = signed.split_once('.')?;
        let tag = BASE64.decode(tag).ok()?;
        // Compares in a time that tells nothing.
        hmac::verify(&self.0, signed.as_bytes(), &tag).ok()?;
        if header != HEADER {
            return None;
        }
        let claims: Claims = serde_json::from_slice(&BASE64.decode(body).ok()?).ok()?;
        (now_s < claims.exp).then_some(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> TokenKey {
        TokenKey::new(&[byte; TokenKey::BYTES])
    }

    fn claims() -> Claims {
        Claims {
            sub: "ann".into(),
            ver: Uuid::from_u128(7),
            iat: 1_000,
            exp: 2_000,
        }
    }

    #[test]
    fn a_token_is_believed_until_it_ends() {
        let token = key(1).issue(&claims());
        assert_eq!(key(1).read(&token, 1_999), Some(claims()));
        assert_eq!(key(1).read(&token, 2_000), None);
        assert_eq!(key(2).read(&token, 1_500), None, "another key");
        let header = BASE64.decode(HEADER).unwrap();
        assert_eq!(header, br#"{"alg":"HS256","typ":"JWT"}"#);
    }

    #[test]
    fn a_token_that_was_bent_is_not_believed() {
        let token = key(1).issue(&claims());
        for at in 0..token.len() {
            let mut bent = token.clone().into_bytes();
            // Another character of the alphabet; the last one's spare bits must be 0.
            bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
            let bent = String::from_utf8(bent).unwrap();
            assert_eq!(key(1).read(&bent, 1_500), None, "{at}");
        }
        let body = token.split('.').nth(1).unwrap();
        let none = BASE64.encode(br#"{"alg":"none","typ":"JWT"}"#);
        for forged in [
            format!("{none}.{body}."),
            format!("{HEADER}.{body}."),
            format!("{HEADER}.{body}"),
            String::new(),
            ".".into(),
            "..".into(),
            "x".repeat(TOKEN_BYTES + 1),
        ] {
            assert_eq!(key(1).read(&forged, 1_500), None, "{forged}");
        }
    }

    #[test]
    fn our_signature_does_not_make_another_kind_of_token_ours() {
        let body = BASE64.encode(serde_json::to_vec(&claims()).unwrap());
        let other = BASE64.encode(br#"{"alg":"HS256","typ":"JWT","crit":["x"]}"#);
        let signed = format!("{other}.{body}");
        let tag = hmac::sign(&key(1).0, signed.as_bytes());
        let token = format!("{signed}.{}", BASE64.encode(tag));
        assert_eq!(key(1).read(&token, 1_500), None);
    }
}
