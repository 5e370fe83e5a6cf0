//! Merging defaults, file, environment and flags, and remembering where each value came from.

use super::keys::{self, Kind};
use super::{Config, Invalid};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::Value;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A command line flag.
    Flag(&'static str),
    /// Chosen by the demo mode.
    Demo,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Demo => f.write_str("demo"),
        }
    }
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {why}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        why: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{path} is not valid TOML: {why}")]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Line, column and reason.
        why: String,
    },
    /// A key that does not exist.
    #[error("unknown key `{key}` ({origin}){}", .suggestion.map(|s| format!("; did you mean `{s}`?")).unwrap_or_default())]
    UnknownKey {
        /// The key.
        key: String,
        /// Where it stands.
        origin: Origin,
        /// What was probably meant.
        suggestion: Option<&'static str>,
    },
    /// A value of the wrong type.
    #[error("`{key}` ({origin}) must be {wanted}")]
    WrongType {
        /// The key.
        key: String,
        /// Where it stands.
        origin: Origin,
        /// What it must be.
        wanted: &'static str,
    },
    /// A value that serde refuses.
    #[error("the configuration cannot be used: {0}")]
    Value(String),
    /// Values that make no sense.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// What was given, before merging.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// The file, if any.
    pub file: Option<PathBuf>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// Flags: key, value, name of the flag.
    pub flags: Vec<(String, Value, &'static str)>,
    /// Whether the demo chooses what nobody set.
    pub demo: Vec<(String, Value)>,
}

/// The merged configuration, value by value.
#[derive(Debug, Clone)]
pub struct Layers {
    values: BTreeMap<String, (Value, Origin)>,
    config: Config,
}

/// One line of `config show`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Dotted path.
    pub key: String,
    /// Its value as TOML, `(unset)` or `(hidden)`.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Environment names with a meaning of their own.
const NAMED: [(&str, &[&str]); 6] = [
    ("STORE_CODE", &["store_code"]),
    ("REGISTER_ID", &["register_id"]),
    ("DB_PATH", &["data"]),
    ("CORRELATION_WINDOW", &["clips.window_s"]),
    ("HIGH_VALUE_THRESHOLD", &["detection.high_value_threshold"]),
    ("DISCOUNT_THRESHOLD", &["detection.discount_threshold"]),
];

/// Names for both brokers, used for a broker that has no host of its own in the file.
const BROKER: [(&str, &str); 6] = [
    ("MQTT_HOST", "host"),
    ("MQTT_PORT", "port"),
    ("MQTT_USER", "username"),
    ("MQTT_USERNAME", "username"),
    ("MQTT_PASS", "password"),
    ("MQTT_PASSWORD", "password"),
];

impl Layers {
    /// Merges and checks everything.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key and where it stands.
    pub fn load(given: &Given) -> Result<Layers, ConfigError> {
        let mut values = BTreeMap::new();
        for (path, value) in &given.demo {
            values.insert(path.clone(), (value.clone(), Origin::Demo));
        }
        if let Some(path) = &given.file {
            read_file(path, &mut values)?;
        }
        read_environment(&given.environment, &mut values)?;
        for (path, value, flag) in &given.flags {
            values.insert(path.clone(), (value.clone(), Origin::Flag(flag)));
        }
        let config: Config =
            Value::Table(nest(&values))
                .try_into()
                .map_err(|why: toml::de::Error| {
                    ConfigError::Value(why.to_string().trim().replace('\n', "; "))
                })?;
        config.check()?;
        Ok(Layers { values, config })
    }

    /// The result.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether anybody but the demo and the defaults set this key.
    #[must_use]
    pub fn is_set(&self, path: &str) -> bool {
        self.values
            .get(path)
            .is_some_and(|(_, origin)| *origin != Origin::Demo)
    }

    /// Every key with its value and origin, in the order of the example file.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let defaults = toml::Table::try_from(Config::default()).unwrap_or_default();
        let defaults: BTreeMap<_, _> = keys::flatten(&defaults).into_iter().collect();
        let mut rows = Vec::new();
        for key in keys::KEYS {
            let inside = self.values.iter().filter(|(path, _)| {
                key.names(path)
                    || (key.kind == Kind::Table && path.starts_with(&format!("{}.", key.path)))
            });
            let before = rows.len();
            for (path, (value, origin)) in inside {
                let value = if key.kind == Kind::Secret {
                    "(hidden)".into()
                } else {
                    value.to_string()
                };
                rows.push(Row {
                    key: path.clone(),
                    value,
                    origin: origin.clone(),
                });
            }
            if rows.len() == before {
                let value = defaults
                    .get(key.path)
                    .map_or_else(|| "(unset)".into(), Value::to_string);
                rows.push(Row {
                    key: key.path.into(),
                    value,
                    origin: Origin::Default,
                });
            }
        }
        rows
    }
}

fn read_file(
    path: &Path,
    values: &mut BTreeMap<String, (Value, Origin)>,
) -> Result<(), ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|why| ConfigError::Read {
        path: path.to_owned(),
        why,
    })?;
    let table: toml::Table = text
        .parse()
        .map_err(|why: toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            why: why.to_string().trim().to_owned(),
        })?;
    for (key, value) in keys::flatten(&table) {
        let origin = Origin::File(path.to_owned());
        let Some(known) = keys::find(&key) else {
            return Err(unknown(key, origin));
        };
        check_kind(known.kind, &key, &value, &origin)?;
        values.insert(key, (value, origin));
    }
    Ok(())
}

fn read_environment(
    environment: &[(String, String)],
    values: &mut BTreeMap<String, (Value, Origin)>,
) -> Result<(), ConfigError> {
    let get = |name: &str| {
        environment
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    };
    // A broker with a host of its own must not get another broker's password.
    for section in ["pos.mqtt", "uplink.mqtt"] {
        let host = format!("{section}.host");
        let own = values
            .get(&host)
            .is_some_and(|(_, origin)| *origin != Origin::Demo)
            || get(&variable(&host)).is_some();
        if own {
            continue;
        }
        for (name, field) in BROKER {
            if let Some(text) = get(name).filter(|text| !text.is_empty()) {
                put(&format!("{section}.{field}"), text, name, values)?;
            }
        }
    }
    for (name, paths) in NAMED {
        for path in paths {
            if let Some(text) = get(name).filter(|text| !text.is_empty()) {
                put(path, text, name, values)?;
            }
        }
    }
    for (name, text) in environment {
        // Names of the fault tests, not of the configuration.
        if matches!(
            name.as_str(),
            "TILLWATCH_FAILPOINT" | "TILLWATCH_TEST_DATA" | "TILLWATCH_LOG"
        ) {
            continue;
        }
        if let Some(rest) = name.strip_prefix("TILLWATCH_") {
            let path = rest.to_lowercase().replace("__", ".");
            put(&path, text, name, values)?;
        }
    }
    Ok(())
}

fn variable(path: &str) -> String {
    format!("TILLWATCH_{}", path.replace('.', "__").to_uppercase())
}

fn put(
    path: &str,
    text: &str,
    name: &str,
    values: &mut BTreeMap<String, (Value, Origin)>,
) -> Result<(), ConfigError> {
    let origin = Origin::Environment(name.to_owned());
    let Some(key) = keys::find(path) else {
        return Err(unknown(path.to_owned(), origin));
    };
    let wrong = |wanted| ConfigError::WrongType {
        key: path.to_owned(),
        origin: origin.clone(),
        wanted,
    };
    let value = match key.kind {
        Kind::Text | Kind::Secret => Value::String(text.to_owned()),
        Kind::Integer => Value::Integer(text.trim().parse().map_err(|_| wrong("a whole number"))?),
        Kind::Number => Value::Float(text.trim().parse().map_err(|_| wrong("a number"))?),
        Kind::Switch => Value::Boolean(match text.trim() {
            "1" | "true" | "yes" | "on" => true,
            "0" | "false" | "no" | "off" => false,
            _ => return Err(wrong("true or false")),
        }),
        Kind::List => {
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }
        Kind::Table => text
            .trim()
            .parse::<f64>()
            .map_or_else(|_| Value::String(text.to_owned()), Value::Float),
    };
    values.insert(path.to_owned(), (value, origin));
    Ok(())
}

fn unknown(key: String, origin: Origin) -> ConfigError {
    let suggestion = keys::suggestion(&key);
    ConfigError::UnknownKey {
        key,
        origin,
        suggestion,
    }
}

fn check_kind(kind: Kind, key: &str, value: &Value, origin: &Origin) -> Result<(), ConfigError> {
    let (fits, wanted) = match kind {
        Kind::Text | Kind::Secret => (value.is_str(), "text in quotes"),
        Kind::Integer => (value.is_integer(), "a whole number"),
        Kind::Number => (value.is_float() || value.is_integer(), "a number"),
        Kind::Switch => (value.is_bool(), "true or false"),
        Kind::List => (
            value
                .as_array()
                .is_some_and(|a| a.iter().all(Value::is_str)),
            "a list of texts",
        ),
        Kind::Table => (
            value.is_str() || value.is_float() || value.is_integer(),
            "a number or text",
        ),
    };
    if fits {
        return Ok(());
    }
    Err(ConfigError::WrongType {
        key: key.to_owned(),
        origin: origin.clone(),
        wanted,
    })
}

fn nest(values: &BTreeMap<String, (Value, Origin)>) -> toml::Table {
    let mut root = toml::Table::new();
    for (path, (value, _)) in values {
        let mut parts: Vec<&str> = path.split('.').collect();
        let Some(name) = parts.pop() else { continue };
        let Some(table) = parts.into_iter().try_fold(&mut root, |table, part| {
            let entry = table
                .entry(part.to_owned())
                .or_insert_with(|| Value::Table(toml::Table::new()));
            entry.as_table_mut()
        }) else {
            // Keys and tables have different names; see the table of keys.
            continue;
        };
        // Numbers may be written without a fraction where a number is wanted.
        let is_number = keys::find(path).is_some_and(|key| matches!(key.kind, Kind::Number))
            || path.starts_with("detection.base.");
        let value = match value {
            Value::Integer(whole) if is_number => {
                #[allow(clippy::cast_precision_loss)] // thresholds, far below 2^52
                Value::Float(*whole as f64)
            }
            value => value.clone(),
        };
        table.insert(name.to_owned(), value);
    }
    root
}

#[cfg(test)]
mod tests;
