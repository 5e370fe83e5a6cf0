//! Events of the till as JSON (event specification §1).

use crate::run::{Facts, Template, UnknownPlaceholder};
use serde::Deserialize;
use serde_json::{Map, Value};

/// An event of the till, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PosMessage {
    /// The last level of its topic: `discount`, `void`, `refund`, `drawer` or `general`.
    pub topic_kind: &'static str,
    /// The body.
    pub json: String,
}

impl PosMessage {
    /// From a body.
    #[must_use]
    pub fn new(body: &Value) -> Self {
        Self {
            topic_kind: topic_kind(body["event_type"].as_str().unwrap_or_default()),
            json: body.to_string(),
        }
    }
}

/// The topic on which tills publish a type of event.
#[must_use]
pub fn topic_kind(event_type: &str) -> &'static str {
    match event_type {
        "discount_applied" => "discount",
        "void_transaction" => "void",
        "refund_issued" | "suspicious_return" => "refund",
        "no_sale_opened" | "cash_drawer_opened" => "drawer",
        _ => "general",
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Text(Template),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
    Fixed(Value),
}

impl Node {
    fn read(value: Value) -> Result<Self, UnknownPlaceholder> {
        Ok(match value {
            Value::String(text) => Self::Text(Template::read(&text)?),
            Value::Array(list) => {
                Self::List(list.into_iter().map(Self::read).collect::<Result<_, _>>()?)
            }
            Value::Object(map) => Self::Object(
                map.into_iter()
                    .map(|(key, value)| Self::read(value).map(|node| (key, node)))
                    .collect::<Result<_, _>>()?,
            ),
            fixed => Self::Fixed(fixed),
        })
    }

    fn fill(&self, facts: &mut Facts<'_>) -> Value {
        match self {
            Self::Text(template) => Value::String(template.fill(facts)),
            Self::List(list) => list.iter().map(|node| node.fill(facts)).collect(),
            Self::Object(map) => Value::Object(
                map.iter()
                    .map(|(key, node)| (key.clone(), node.fill(facts)))
                    .collect(),
            ),
            Self::Fixed(value) => value.clone(),
        }
    }
}

/// Why a table is no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoEvent {
    /// Without it there is nothing to send.
    #[error("the event has no `event_type`")]
    WithoutType,
    /// A text with an unknown placeholder.
    #[error(transparent)]
    Placeholder(#[from] UnknownPlaceholder),
}

/// An event with placeholders. `event_id`, `timestamp`, `store_id` and `register_id` are added
/// where the story does not name them; the value `false` leaves one out.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct PosTemplate {
    event_type: String,
    node: Node,
    source: Map<String, Value>,
}

impl TryFrom<Map<String, Value>> for PosTemplate {
    type Error = NoEvent;

    fn try_from(mut map: Map<String, Value>) -> Result<Self, NoEvent> {
        for (field, usual) in [
            ("event_id", "{event_id}"),
            ("timestamp", "{now}"),
            ("store_id", "{store}"),
            ("register_id", "{register}"),
        ] {
            if map.get(field) == Some(&Value::Bool(false)) {
                map.remove(field);
            } else {
                map.entry(field).or_insert_with(|| usual.into());
            }
        }
        let event_type = map.get("event_type").and_then(Value::as_str);
        Ok(Self {
            event_type: event_type.ok_or(NoEvent::WithoutType)?.to_owned(),
            node: Node::read(Value::Object(map.clone()))?,
            source: map,
        })
    }
}

impl PosTemplate {
    /// Its type.
    #[must_use]
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// A field as the story has it, placeholders and all.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.source.get(name)
    }

    /// The event as it is sent now.
    #[must_use]
    pub fn fill(&self, facts: &mut Facts<'_>) -> PosMessage {
        PosMessage::new(&self.node.fill(facts))
    }
}
