//! Every key of the configuration with its meaning. The commented example, the check for unknown
//! keys and the reading of environment values come from this table.

mod table;

use super::Config;
use std::fmt::Write as _;
pub use table::KEYS;

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A secret: text that is never shown.
    Secret,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Switch,
    /// A list of texts; in the environment separated by commas.
    List,
    /// A table of its own: any key below is allowed.
    Table,
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Dotted path; a part that is `*` stands for a name that the user chooses.
    pub path: &'static str,
    /// How its value is written.
    pub kind: Kind,
    /// What it means, one or more lines.
    pub meaning: &'static str,
    /// What to show where there is no default.
    pub example: &'static str,
}

const fn key(path: &'static str, kind: Kind, meaning: &'static str) -> Key {
    Key {
        path,
        kind,
        meaning,
        example: "",
    }
}

const fn unset(
    path: &'static str,
    kind: Kind,
    example: &'static str,
    meaning: &'static str,
) -> Key {
    Key {
        path,
        kind,
        meaning,
        example,
    }
}

/// The key with this path, also for keys inside a table.
#[must_use]
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| {
        key.names(path)
            || (key.kind == Kind::Table
                && path
                    .strip_prefix(key.path)
                    .is_some_and(|rest| rest.starts_with('.')))
    })
}

/// Longest name that a user may choose for a section.
const NAME_CHARS: usize = 32;

impl Key {
    /// Whether this is the key of `path`.
    #[must_use]
    pub fn names(&self, path: &str) -> bool {
        let (mut pattern, mut parts) = (self.path.split('.'), path.split('.'));
        loop {
            match (pattern.next(), parts.next()) {
                (None, None) => return true,
                (Some("*"), Some(name)) if is_name(name) => {}
                (Some(wanted), Some(part)) if wanted == part => {}
                _ => return false,
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !text.is_empty() && text.len() <= NAME_CHARS && text.bytes().all(plain)
}

/// The known path that `path` was probably meant to be.
#[must_use]
pub fn suggestion(path: &str) -> Option<&'static str> {
    let last = path.rsplit('.').next().unwrap_or(path);
    KEYS.iter()
        .map(|key| {
            let whole = strsim::jaro_winkler(path, key.path);
            let tail = strsim::jaro_winkler(last, key.path.rsplit('.').next().unwrap_or(key.path));
            (whole.max(tail), key.path)
        })
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, path)| path)
}

/// A value as TOML, flat by dotted path.
#[must_use]
pub fn flatten(table: &toml::Table) -> Vec<(String, toml::Value)> {
    fn walk(prefix: &str, table: &toml::Table, out: &mut Vec<(String, toml::Value)>) {
        for (name, value) in table {
            let path = if prefix.is_empty() {
                name.clone()
            } else {
                format!("{prefix}.{name}")
            };
            match value {
                toml::Value::Table(inner) => walk(&path, inner, out),
                value => out.push((path, value.clone())),
            }
        }
    }
    let mut out = Vec::new();
    walk("", table, &mut out);
    out
}

/// The commented example: every key at its default, commented out.
#[must_use]
pub fn example() -> String {
    let defaults = toml::Table::try_from(Config::default()).unwrap_or_default();
    let defaults = flatten(&defaults);
    let mut text = String::from(
        "# Tillwatch, one register. Every key with its default; an empty file is valid.\n\
         # Environment: TILLWATCH_SECTION__KEY (TILLWATCH_POS__MQTT__HOST), and the short names given below.\n",
    );
    let mut section = "";
    for key in KEYS {
        let (here, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        if here != section {
            section = here;
            // The name is an example; a section without it would be a camera of that name.
            let (mark, named) = match section.split_once('*') {
                Some((before, after)) => ("#", format!("{before}counter{after}")),
                None => ("", section.to_owned()),
            };
            let _ = writeln!(text, "\n{mark}[{named}]");
        }
        for line in key.meaning.lines() {
            let _ = writeln!(text, "# {line}");
        }
        let default = defaults
            .iter()
            .find(|(path, _)| path == key.path)
            .map(|(_, value)| value.to_string());
        let value = default.unwrap_or_else(|| key.example.to_owned());
        let _ = writeln!(text, "#{name} = {value}");
    }
    text
}
