//! Receipts: what stands on the paper, and its bytes.
//!
//! Stories name goods and prices; the layout of a 42-column printer is made here. The footer of
//! every receipt mentions refunds, returns and voids as real ones do, so that whoever reads the
//! paper by keywords alone is caught.

use crate::escpos::{Align, Bitmap, CodePage, Job, KickPin};
use crate::run::{Facts, Template, UnknownPlaceholder};
use serde::Deserialize;

/// Characters on a line of 80 mm paper in font A at 203 dpi, with margins.
pub const COLUMNS: usize = 42;

/// The store's logo, 4 dots per character.
const LOGO: &str = "\
................................................
.####.####.#....#....#...#...#..#####..###.#..#.
...#...#...#....#....#...#..#.#...#...#....#..#.
...#...#...#....#....#.#.#..#.#...#...#....####.
...#...#...#....#....##.##.#####..#...#....#..#.
...#..####.####.####.#...#.#...#..#....###.#..#.
................................................
################################################
";

/// What kind of paper it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Document {
    /// Goods sold.
    Sale,
    /// A transaction given up before it was paid.
    Void,
    /// Money paid back.
    Refund,
    /// A copy of an earlier receipt.
    Reprint,
    /// The slip of a drawer opened without a sale.
    NoSale,
}

/// How it was paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tender {
    /// Notes and coins.
    #[default]
    Cash,
    /// A card; its number is masked by the till.
    Card,
}

/// One line of goods.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// As printed.
    pub name: String,
    /// How many.
    #[serde(default = "one")]
    pub quantity: u16,
    /// Price of one, in minor units.
    pub unit: i64,
}

fn one() -> u16 {
    1
}

/// A receipt before numbers, time and staff are filled in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// What kind of paper.
    pub document: Document,
    /// Its number.
    #[serde(default = "own_ticket")]
    pub number: Template,
    /// Who served.
    #[serde(default = "own_staff")]
    pub cashier: Template,
    /// Lines above everything else; the store's name and address when empty.
    #[serde(default)]
    pub header: Vec<Template>,
    /// The goods.
    #[serde(default)]
    pub items: Vec<Item>,
    /// How it was paid.
    #[serde(default)]
    pub tender: Tender,
    /// What the customer handed over, in minor units; the total when absent.
    #[serde(default)]
    pub paid: Option<i64>,
    /// Lines at the end; the store's policy when empty.
    #[serde(default)]
    pub footer: Vec<Template>,
    /// Prints the store's logo as a raster picture.
    #[serde(default)]
    pub logo: bool,
    /// The code page of the text.
    #[serde(default)]
    pub code_page: CodePage,
}

// Fixed texts without braces, and placeholders that the tests below read.
fn fixed(text: &str) -> Template {
    Template::read(text).unwrap_or_else(|UnknownPlaceholder(_)| Template::empty())
}

fn own_ticket() -> Template {
    fixed("{ticket}")
}

fn own_staff() -> Template {
    fixed("{staff}")
}

/// A line as it stands on the paper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaperLine {
    /// The text; empty for a blank line.
    pub text: String,
    /// Where it stands.
    pub align: Align,
    /// Characters of double size.
    pub large: bool,
}

impl Receipt {
    /// The sum of the goods in minor units, positive whatever the document.
    #[must_use]
    pub fn sum(&self) -> i64 {
        self.items
            .iter()
            .map(|item| item.unit.saturating_mul(i64::from(item.quantity)))
            .fold(0, i64::saturating_add)
    }

    /// What stands on the paper, from top to bottom, without the logo.
    #[must_use]
    pub fn lines(&self, facts: &mut Facts<'_>) -> Vec<PaperLine> {
        let mut paper = Paper(Vec::new());
        if self.header.is_empty() {
            paper.large("HARBOUR STORES");
            paper.centre("12 Quay Street, Tel. 555 0132");
        } else {
            for line in &self.header {
                paper.centre(&line.fill(facts));
            }
        }
        let number = self.number.fill(facts);
        let cashier = self.cashier.fill(facts);
        paper.left(&fixed("{date} {clock}  REG {register}").fill(facts));
        paper.left(&format!("RECEIPT {number}  CASHIER {cashier}"));
        paper.left("");
        let sign = match self.document {
            Document::Refund => -1,
            _ => 1,
        };
        match self.document {
            Document::Void => paper.centre("*** TRANSACTION VOID ***"),
            Document::Refund => paper.centre("*** REFUND ***"),
            Document::Reprint => paper.centre("*** DUPLICATE ***"),
            Document::NoSale => paper.centre("*** NO SALE ***"),
            Document::Sale => {}
        }
        for item in &self.items {
            let total = item.unit.saturating_mul(i64::from(item.quantity));
            let name = match item.quantity {
                1 => item.name.clone(),
                n => format!("{n} x {}", item.name),
            };
            paper.amount(&name, sign * total);
        }
        self.totals(&mut paper);
        paper.left("");
        if self.footer.is_empty() {
            paper.centre("Returns within 14 days with receipt.");
            paper.centre("Void where prohibited. No cash refunds.");
            paper.centre("THANK YOU");
        } else {
            for line in &self.footer {
                paper.centre(&line.fill(facts));
            }
        }
        paper.0
    }

    fn totals(&self, paper: &mut Paper) {
        let sum = self.sum();
        match self.document {
            Document::Sale | Document::Reprint => {
                paper.amount("SUBTOTAL", sum);
                paper.amount("TOTAL", sum);
                match self.tender {
                    Tender::Cash => {
                        let paid = self.paid.unwrap_or(sum);
                        paper.amount("CASH", paid);
                        paper.amount("CHANGE", paid - sum);
                    }
                    Tender::Card => {
                        paper.amount("CARD", sum);
                        paper.left("CARD NO ************4242");
                    }
                }
            }
            Document::Void => {
                paper.amount("SUBTOTAL", sum);
                paper.amount("TRANSACTION VOID", -sum);
                paper.amount("TOTAL", 0);
            }
            Document::Refund => {
                paper.amount("TOTAL", -sum);
                let how = match self.tender {
                    Tender::Cash => "CASH REFUND",
                    Tender::Card => "CARD REFUND",
                };
                paper.amount(how, -sum);
                paper.left("SIGNATURE ____________________");
            }
            Document::NoSale => {}
        }
    }
}

/// Where a receipt's job kicks the drawer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KickAt {
    /// Nowhere.
    #[default]
    Never,
    /// Before the first line.
    Start,
    /// After the last line, before the cut.
    End,
}

/// The pulse that the till asks for, in milliseconds.
pub const KICK_ON_MS: u16 = 100;
/// The pause after it.
pub const KICK_OFF_MS: u16 = 500;

/// A receipt's whole job: initialisation, code page, logo, lines, kick, cut.
#[must_use]
pub fn job(receipt: &Receipt, kick: KickAt, cut: bool, facts: &mut Facts<'_>) -> Vec<u8> {
    let kick_when = |job: Job, at: KickAt| {
        if kick == at {
            job.kick(KickPin::Two, KICK_ON_MS, KICK_OFF_MS)
        } else {
            job
        }
    };
    let mut job = Job::new().initialize().code_page(receipt.code_page);
    job = kick_when(job, KickAt::Start);
    if receipt.logo {
        job = job.align(Align::Centre).raster(&Bitmap::from_art(LOGO, 4));
    }
    let mut align = None;
    for line in receipt.lines(facts) {
        if align != Some(line.align) {
            job = job.align(line.align);
            align = Some(line.align);
        }
        job = if line.large {
            job.size(2, 2).line(&line.text).size(1, 1)
        } else {
            job.line(&line.text)
        };
    }
    job = kick_when(job, KickAt::End);
    if cut {
        job = job.cut(100);
    }
    job.into_bytes()
}

/// An amount with two decimals: `-12.40`.
#[must_use]
pub fn amount(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let value = minor.unsigned_abs();
    format!("{sign}{}.{:02}", value / 100, value % 100)
}

struct Paper(Vec<PaperLine>);

impl Paper {
    fn put(&mut self, text: &str, align: Align, large: bool) {
        self.0.push(PaperLine {
            text: text.to_owned(),
            align,
            large,
        });
    }

    fn large(&mut self, text: &str) {
        self.put(text, Align::Centre, true);
    }

    fn centre(&mut self, text: &str) {
        self.put(text, Align::Centre, false);
    }

    fn left(&mut self, text: &str) {
        self.put(text, Align::Left, false);
    }

    /// Name on the left, amount on the right; a long name is cut.
    fn amount(&mut self, name: &str, minor: i64) {
        let amount = amount(minor);
        let room = COLUMNS.saturating_sub(amount.len() + 1);
        let name: String = name.chars().take(room).collect();
        let text = format!("{name:<room$} {amount}");
        self.left(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Run;

    fn receipt(document: Document) -> Receipt {
        let text = r#"
            items = [
                { name = "Whole milk 1 l", quantity = 2, unit = 110 },
                { name = "A name that is a good deal longer than any paper is wide", unit = 95 },
            ]
            paid = 500
            cashier = "ANNA"
        "#;
        let mut table: toml::Table = toml::from_str(text).unwrap();
        let word = format!("{document:?}").to_lowercase();
        table.insert("document".into(), word.into());
        table.try_into().unwrap()
    }

    fn paper(document: Document) -> Vec<String> {
        let run = Run::new("S03", "R1", 0);
        let mut facts = Facts {
            run: &run,
            round: 0,
            occasion: 0,
            utc_us: 1_759_588_455_000_000,
            serial: &mut 0,
        };
        let lines = receipt(document).lines(&mut facts);
        assert!(lines.iter().all(|l| l.text.chars().count() <= COLUMNS));
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn a_sale_adds_up() {
        let paper = paper(Document::Sale);
        assert_eq!(
            paper[2..11],
            [
                "2025-10-04 14:34:15  REG R1",
                "RECEIPT T1000001  CASHIER ANNA",
                "",
                "2 x Whole milk 1 l                    2.20",
                "A name that is a good deal longer tha 0.95",
                "SUBTOTAL                              3.15",
                "TOTAL                                 3.15",
                "CASH                                  5.00",
                "CHANGE                                1.85",
            ]
        );
    }

    #[test]
    fn a_refund_is_negative_and_a_void_ends_at_nothing() {
        let refund = paper(Document::Refund);
        assert!(refund.contains(&"TOTAL                                -3.15".to_owned()));
        assert!(refund.contains(&"CASH REFUND                          -3.15".to_owned()));
        let void = paper(Document::Void);
        assert!(void.contains(&"TRANSACTION VOID                     -3.15".to_owned()));
        assert!(void.contains(&"TOTAL                                 0.00".to_owned()));
    }
}
