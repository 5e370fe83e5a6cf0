//! `config show`

use super::cli::{ConfigCommand, Options};
use super::{Failure, Out, find, text};
use crate::config::Layers;
use crate::config::layers::Row;

pub(super) fn run(args: &ConfigCommand, options: &Options, out: Out<'_>) -> Result<(), Failure> {
    let ConfigCommand::Show { origin } = args;
    let layers = Layers::load(&find::given(options)?)?;
    out.write_all(render(&layers.rows(), *origin).as_bytes())?;
    Ok(())
}

/// `key = value`, with the origin behind it where it is asked for.
fn render(rows: &[Row], origin: bool) -> String {
    let setting = |row: &Row| text::one_line(&format!("{} = {}", row.key, row.value));
    let width = rows
        .iter()
        .map(|row| setting(row).chars().count())
        .max()
        .unwrap_or(0)
        .min(60);
    rows.iter()
        .map(|row| match origin {
            true => format!("{:<width$}  # {}\n", setting(row), row.origin),
            false => format!("{}\n", setting(row)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;

    #[test]
    fn every_value_tells_where_it_comes_from() {
        let row = |key: &str, value: &str, origin| Row {
            key: key.into(),
            value: value.into(),
            origin,
        };
        let rows = [
            row(
                "store_code",
                "\"S03\"",
                Origin::Environment("STORE_CODE".into()),
            ),
            row("data", "\"/srv\"", Origin::Flag("--data")),
            row("currency", "\"EUR\"", Origin::Default),
        ];
        let expected = "store_code = \"S03\"  # environment STORE_CODE\n\
                        data = \"/srv\"       # flag --data\n\
                        currency = \"EUR\"    # default\n";
        assert_eq!(render(&rows, true), expected);
        assert_eq!(render(&rows[1..2], false), "data = \"/srv\"\n");
    }
}
