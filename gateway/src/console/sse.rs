//! Reading server-sent events, as the HTML specification frames them.

/// Longest line that is kept, in bytes; events of the gateway are far shorter.
const LINE_BYTES: usize = 4 * 1024 * 1024;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Its name; empty for `message`.
    pub event: String,
    /// Its data.
    pub data: String,
    /// The id in force.
    pub id: Option<String>,
}

/// Puts events together from pieces of any size.
#[derive(Debug, Default)]
pub struct Reader {
    line: Vec<u8>,
    message: Message,
    has_data: bool,
    id: Option<String>,
}

impl Reader {
    /// Takes bytes and gives the events that they complete. A line that is too long is cut.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Message> {
        let mut done = Vec::new();
        for &byte in bytes {
            if byte != b'\n' {
                if self.line.len() < LINE_BYTES {
                    self.line.push(byte);
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line =
                String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line)).into_owned();
            if line.is_empty() {
                let mut message = std::mem::take(&mut self.message);
                if std::mem::take(&mut self.has_data) {
                    message.id.clone_from(&self.id);
                    done.push(message);
                }
            } else {
                self.field(&line);
            }
        }
        done
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut self.message.event),
            "id" => self.id = Some(value.to_owned()),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.message.data.push('\n');
                }
                self.message.data.push_str(value);
            }
            // Comments have an empty name; `retry` is for browsers.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FEED: &str = ": nothing new\n\nid: 7\nevent: kick\nretry: 3000\ndata: {\"a\":1}\r\n\nevent: gap\ndata: x\ndata: y\n\nevent: half";

    fn message(event: &str, data: &str) -> Message {
        Message {
            event: event.into(),
            data: data.into(),
            id: Some("7".into()),
        }
    }

    proptest! {
        #[test]
        fn events_are_the_same_however_they_are_cut(cuts in prop::collection::vec(1_usize..9, 1..80)) {
            let mut reader = Reader::default();
            let (mut rest, mut seen) = (FEED.as_bytes(), Vec::new());
            for cut in cuts.into_iter().chain([FEED.len()]) {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                seen.extend(reader.feed(now));
                rest = later;
            }
            prop_assert_eq!(seen, [message("kick", "{\"a\":1}"), message("gap", "x\ny")]);
        }
    }
}
