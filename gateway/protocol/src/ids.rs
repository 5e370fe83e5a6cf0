//! Names of things: stores, registers, alerts, messages, positions in the log.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// Longest store code or register id, in bytes.
pub const NAME_MAX: usize = 64;

/// Why a name cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name is empty.
    #[error("the {what} is empty")]
    Empty {
        /// Which name.
        what: &'static str,
    },
    /// The name is too long.
    #[error("the {what} is longer than {NAME_MAX} bytes")]
    TooLong {
        /// Which name.
        what: &'static str,
    },
    /// The name would not survive in an MQTT topic or a file name.
    #[error("the {what} contains {character:?}; allowed are letters, digits, '-', '_' and '.'")]
    Character {
        /// Which name.
        what: &'static str,
        /// The offending character.
        character: char,
    },
}

fn check_name(what: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > NAME_MAX {
        return Err(NameError::TooLong { what });
    }
    match text
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
    {
        Some(character) => Err(NameError::Character { what, character }),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes a name that fits an MQTT topic level and a file name.
            ///
            /// # Errors
            /// [`NameError`] when it is empty, longer than [`NAME_MAX`] or has other characters
            /// than ASCII letters, digits, `-`, `_` and `.`.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                check_name($what, &text)?;
                Ok(Self(text))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A store's code at head office, for example `S03`.
    StoreCode,
    "store code"
);
name!(
    /// A register's id within its store, for example `reg_02`.
    RegisterId,
    "register id"
);

/// Position of a record in the log: from 1, gapless, never reused for anything durable.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The position after this one.
    #[must_use]
    pub fn next(self) -> Seq {
        Seq(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id!(
    /// The life of one log and outbox: made once when a data directory is created. On the wire it
    /// is the `epoch` of every queued message.
    LogId
);
uuid_id!(
    /// An alert: UUIDv5 of its rule and the log positions that caused it, so that a replay of the
    /// log gives the same id again.
    AlertId
);
uuid_id!(
    /// The de-duplication key of a queued message, stable across retries: UUIDv5 of epoch, lane
    /// and lane sequence.
    MessageId
);

impl AlertId {
    /// The id of the alert that `rule` raises because of the records at `causes`.
    #[must_use]
    pub fn derive(log: LogId, rule: &str, causes: &[Seq]) -> AlertId {
        let mut name = String::with_capacity(rule.len() + causes.len() * 12);
        name.push_str(rule);
        for seq in causes {
            name.push(':');
            name.push_str(&seq.0.to_string());
        }
        AlertId(Uuid::new_v5(&log.0, name.as_bytes()))
    }
}

impl MessageId {
    /// The id of the message with this place in its lane.
    #[must_use]
    pub fn derive(epoch: LogId, lane: crate::Lane, lane_seq: u64) -> MessageId {
        MessageId(Uuid::new_v5(
            &epoch.0,
            format!("message:{}:{lane_seq}", lane.number()).as_bytes(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_must_fit_a_topic_level() {
        assert!(StoreCode::new("S03").is_ok());
        assert!(matches!(
            StoreCode::new("S/03"),
            Err(NameError::Character { character: '/', .. })
        ));
        assert!(matches!(
            RegisterId::new("+"),
            Err(NameError::Character { .. })
        ));
        assert!(matches!(RegisterId::new(""), Err(NameError::Empty { .. })));
        assert!(matches!(
            RegisterId::new("x".repeat(65)),
            Err(NameError::TooLong { .. })
        ));
        assert!(serde_json::from_str::<StoreCode>("\"S 3\"").is_err());
    }

    #[test]
    fn alert_ids_depend_on_log_rule_and_causes_only() {
        let log = LogId(Uuid::from_u128(7));
        let id = AlertId::derive(log, "drawer_forced", &[Seq(12)]);
        assert_eq!(
            id.to_string(),
            AlertId::derive(log, "drawer_forced", &[Seq(12)]).to_string()
        );
        assert_ne!(id, AlertId::derive(log, "drawer_forced", &[Seq(1), Seq(2)]));
        assert_ne!(
            id,
            AlertId::derive(LogId(Uuid::from_u128(8)), "drawer_forced", &[Seq(12)])
        );
    }
}
