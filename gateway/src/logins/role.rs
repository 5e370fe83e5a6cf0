//! Who may do what.

use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// What a login is for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Keeps the box working; sees no footage.
    Technician,
    /// Runs the shop.
    Manager,
    /// Judges alerts; changes nothing of the box.
    LossPrevention,
}

/// What a route asks for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// To see what happened: events, alerts, what works.
    Look,
    /// To give verdicts.
    Review,
    /// To see footage, and who saw it.
    Footage,
    /// To see and change how the box works.
    System,
    /// To say who may log in.
    Logins,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Look,
        Self::Review,
        Self::Footage,
        Self::System,
        Self::Logins,
    ];

    /// Its word, as in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Review => "review",
            Self::Footage => "footage",
            Self::System => "system",
            Self::Logins => "logins",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Role {
    /// Its word, as in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Technician => "technician",
            Self::Manager => "manager",
            Self::LossPrevention => "loss-prevention",
        }
    }

    /// What it may do.
    #[must_use]
    pub fn rights(self) -> &'static [Right] {
        match self {
            Self::Technician => &[Right::Look, Right::System],
            Self::Manager => &Right::ALL,
            Self::LossPrevention => &[Right::Look, Right::Review, Right::Footage],
        }
    }

    /// Whether it may.
    #[must_use]
    pub fn may(self, right: Right) -> bool {
        self.rights().contains(&right)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::to_value;

    #[test]
    fn a_technician_sees_no_footage_and_loss_prevention_changes_nothing_of_the_box() {
        for (role, may) in [
            (Role::Technician, "look system"),
            (Role::Manager, "look review footage system logins"),
            (Role::LossPrevention, "look review footage"),
        ] {
            let words: Vec<_> = role.rights().iter().map(|right| right.word()).collect();
            assert_eq!(words.join(" "), may, "{role}");
            for right in Right::ALL {
                assert_eq!(role.may(right), words.contains(&right.word()));
            }
        }
    }

    #[test]
    fn words_are_those_of_the_json() {
        for right in Right::ALL {
            assert_eq!(to_value(right).unwrap(), right.word());
        }
        for role in [Role::Technician, Role::Manager, Role::LossPrevention] {
            assert_eq!(to_value(role).unwrap(), role.word());
        }
    }
}
