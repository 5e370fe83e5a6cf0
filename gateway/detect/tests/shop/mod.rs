//! A shop with its mishaps: ordinary trade, and what goes wrong in it. It knows nothing of the
//! rules. The same seed is the same shop, for ever.
#![allow(dead_code, clippy::unwrap_used)]

mod eyes;
mod habits;
mod register;

pub use habits::{Chance, Habits};
pub use register::watch;

use crate::stage::*;
use std::collections::BTreeMap;
use tillwatch_protocol::clip::{Motion, PictureState};
use tillwatch_protocol::event::{DrawerState, Witness};
use tillwatch_protocol::pos::PosEvent;
use tillwatch_protocol::receipt::{LineMark, Receipt, ReceiptKind};
use tillwatch_protocol::settings::ReceiptPolicy;
use tillwatch_protocol::time::SECOND_NS;

/// What happens in the shop, whether or not anybody watches.
#[derive(Clone)]
pub enum Fact {
    Command,
    Kick,
    Drawer(DrawerState),
    PaperStarted,
    Printed(Box<Receipt>),
    Told(Box<PosEvent>),
    Loses(Witness),
    Regains(Witness),
    Gap(Witness),
    Picture(u8, PictureState),
    Motion(u8, Motion),
    Stops,
    Starts { new_boot: bool },
    Policy(ReceiptPolicy),
    OurClock { steps_s: f64 },
    OurClockIsSet,
}

/// A fraud, and the rule that should find it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fraud {
    pub rule: &'static str,
    pub at_s: f64,
    pub ticket: String,
}

pub struct Shop {
    pub chance: Chance,
    /// What cameras see is another matter: with or without them it is the same trade.
    eyes: Chance,
    /// When the last customer goes.
    gone_s: f64,
    pub habits: Habits,
    /// By time in microseconds and order of writing.
    pub facts: BTreeMap<(u64, u64), Fact>,
    pub frauds: Vec<Fraud>,
    pub policy: ReceiptPolicy,
    now_s: f64,
    ticket: u64,
    skew_s: f64,
    /// Until then the till's events get lost although its link is up.
    deaf_until_s: f64,
    told: u64,
    /// Ticket and amount of the last sale.
    last_sale: Option<(String, i64)>,
}

/// What a transaction is to the till and on paper.
struct Deal {
    kind: ReceiptKind,
    event: &'static str,
    total: i64,
}

impl Shop {
    pub fn new(seed: u64, policy: ReceiptPolicy, habits: Habits) -> Shop {
        let mut chance = Chance(seed);
        let skew_s = chance.between(-600.0, 600.0);
        Shop {
            chance,
            eyes: Chance(seed ^ 0xE7E5),
            gone_s: 0.0,
            habits,
            facts: BTreeMap::new(),
            frauds: Vec::new(),
            policy,
            now_s: 60.0,
            ticket: 0,
            skew_s,
            deaf_until_s: 0.0,
            told: 0,
            last_sale: None,
        }
    }

    /// Trades until so many transactions are made.
    pub fn trade(mut self, transactions: u64) -> Shop {
        if !self.habits.clock_set_at_s.is_nan() {
            self.fact(self.habits.clock_set_at_s, Fact::OurClockIsSet);
        }
        self.cameras_wake(0.0);
        for _ in 0..transactions {
            let began_s = self.now_s;
            self.transaction();
            self.customer(began_s);
            if self.chance.in_thousand(self.habits.mishaps) {
                self.mishap();
            }
            if self.chance.in_thousand(self.habits.frauds) {
                self.fraud();
            }
        }
        self
    }

    fn fact(&mut self, at_s: f64, fact: Fact) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let key = ((at_s * 1e6) as u64, self.facts.len() as u64);
        self.facts.insert(key, fact);
    }

    /// The till reports; its network loses, delays, repeats and reorders.
    fn told(&mut self, at_s: f64, event: PosEvent) {
        self.told += 1;
        let first_is_lost = self.told == 1 && self.habits.loses_first;
        if first_is_lost || at_s < self.deaf_until_s {
            return;
        }
        if self.chance.in_thousand(self.habits.losses) {
            return;
        }
        let late = if self.chance.in_thousand(self.habits.delays) {
            self.chance.between(5.0, self.habits.longest_delay_s)
        } else {
            self.chance.between(0.0, 0.8)
        };
        let mut event = event;
        if self.habits.times {
            event = event.said_at(at_s + self.skew_s);
        }
        if !self.habits.ids {
            event.ticket_no = None;
        } else if self.habits.orders {
            event.order_id = event.ticket_no.take();
        }
        event.event_id = format!("e-{}", self.told);
        event.staff_id = Some(format!("emp_{}", self.chance.next() % 6));
        self.fact(at_s + late, Fact::Told(Box::new(event.clone())));
        if self.chance.in_thousand(self.habits.repeats) {
            // Sent once more with another id, which nobody can recognise as a copy.
            event.event_id = format!("e-{}-again", self.told);
            let again = late + self.chance.between(0.1, 90.0);
            self.fact(at_s + again, Fact::Told(Box::new(event)));
        }
    }

    fn printed(&mut self, at_s: f64, lasting_s: f64, receipt: Receipt) -> f64 {
        self.fact(at_s, Fact::PaperStarted);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let began_ns = (lasting_s * SECOND_NS as f64) as u64;
        let mut receipt = Receipt {
            began_ns,
            ..receipt
        };
        if !self.habits.numbers {
            receipt.number = None;
        }
        if self.chance.one_in(self.habits.pictures_one_in) {
            receipt = receipt.pictured();
        }
        self.fact(at_s + lasting_s, Fact::Printed(Box::new(receipt)));
        at_s + lasting_s
    }

    /// The drawer is kicked, served and closed; contacts, springs and locks are not perfect.
    fn drawer(&mut self, at_s: f64) -> f64 {
        let mut at_s = at_s;
        self.fact(at_s, Fact::Command);
        self.fact(at_s + 0.02, Fact::Kick);
        if self.chance.one_in(150) {
            // It sticks; the cashier asks for another kick.
            at_s += self.chance.between(1.5, 6.0);
            self.fact(at_s, Fact::Command);
            self.fact(at_s + 0.02, Fact::Kick);
        }
        let opens = at_s + self.chance.between(0.05, 0.4);
        let counts = self.chance.one_in(200);
        let open_s = if counts {
            self.chance.between(60.0, 500.0)
        } else {
            self.chance.between(2.0, 45.0)
        };
        self.fact(opens, Fact::Drawer(DrawerState::Open));
        let mut closes = opens + open_s;
        self.fact(closes, Fact::Drawer(DrawerState::Closed));
        if self.chance.one_in(60) {
            // Slammed, not latched: it springs back and is pushed again.
            let back = closes + self.chance.between(0.06, 0.8);
            closes = back + self.chance.between(0.3, 3.0);
            self.fact(back, Fact::Drawer(DrawerState::Open));
            self.fact(closes, Fact::Drawer(DrawerState::Closed));
        }
        closes
    }

    fn deal(&mut self, amount: i64) -> Deal {
        let deal = |kind, event, total| Deal { kind, event, total };
        let what = self.chance.next() % 200;
        // What was never sold cannot be taken back.
        let what = if self.last_sale.is_none() { 199 } else { what };
        match what {
            0 | 1 => deal(ReceiptKind::Return, "refund_issued", -amount),
            2 => deal(ReceiptKind::RefundNoReceipt, "refund_issued", amount),
            3 => deal(ReceiptKind::Return, "suspicious_return", -amount),
            4..7 => deal(ReceiptKind::PostVoid, "void_transaction", amount),
            7 => deal(ReceiptKind::TransactionVoid, "void_transaction", 0),
            8 => deal(
                ReceiptKind::TransactionVoid,
                "transaction_cancelled",
                amount,
            ),
            9 => deal(ReceiptKind::Exchange, "exchange_completed", 0),
            _ => deal(ReceiptKind::Sale, "payment_cleared", amount),
        }
    }

    fn transaction(&mut self) {
        if self.chance.one_in(40) {
            return self.errand();
        }
        self.ticket += 1;
        let mut ticket = format!("T{}", self.ticket);
        let at = self.now_s;
        let mut amount = 100 + i64::try_from(self.chance.next() % 90).unwrap() * 50;
        let cash = self.chance.one_in(2);
        let mut deal = self.deal(amount);
        if deal.kind == ReceiptKind::PostVoid
            && self.chance.one_in(2)
            && let Some((sold, total)) = self.last_sale.clone()
        {
            // The last sale is taken back, under its own number.
            (ticket, amount, deal.total) = (sold, total, total);
        }
        let is_sale = deal.kind == ReceiptKind::Sale;
        if is_sale {
            self.last_sale = Some((ticket.clone(), amount));
        }
        let on_paper = match self.policy {
            ReceiptPolicy::Always => true,
            ReceiptPolicy::OnRequest => !is_sale || self.chance.one_in(4),
            ReceiptPolicy::Never => !is_sale && self.chance.one_in(2),
        };
        let lasting = self.chance.between(0.3, 6.0);
        let mut paper = receipt(deal.kind).number(&ticket).total(deal.total);
        if is_sale && self.chance.one_in(25) {
            let kind = ReceiptKind::ItemVoid;
            paper.marks.push(LineMark {
                line: 0,
                kind,
                amount: None,
            });
        }
        // Some tills report first, some print first, and some take their time in between.
        let report_at = at + self.chance.between(0.0, 12.0);
        let print_at = at + self.chance.between(0.0, 12.0);
        let event = till(deal.event).ticket(&ticket);
        let mut end = report_at.max(print_at);
        if is_sale && self.chance.one_in(12) {
            let pause = self.chance.between(1.0, 15.0);
            self.told(report_at, event.clone().amount(amount / 2));
            self.told(report_at + pause, event.amount(amount - amount / 2));
            end = end.max(report_at + pause);
        } else {
            self.told(report_at, event.amount(amount));
        }
        if self.chance.one_in(15) {
            self.aside(at, &ticket, amount);
        }
        if on_paper {
            let done = self.printed(print_at, lasting, paper.clone());
            end = end.max(done);
            match self.chance.next() % 40 {
                0 => {
                    let copy = receipt(ReceiptKind::Reprint).number(&ticket);
                    end = end.max(self.printed(done + 1.0, 1.0, copy));
                }
                // The merchant's copy, a copy of the whole document.
                1 => end = end.max(self.printed(done + 0.5, lasting, paper)),
                // The card terminal's slip through the same printer.
                2 => {
                    let slip = receipt(ReceiptKind::Unknown).total(amount);
                    end = end.max(self.printed(done + 0.5, 1.0, slip));
                }
                _ => {}
            }
        }
        if cash || !is_sale {
            let kick_at = if on_paper {
                print_at + lasting
            } else {
                report_at
            };
            end = end.max(self.drawer(kick_at));
        }
        self.pause(end);
    }

    /// What tills report besides: it proves and disproves nothing.
    fn aside(&mut self, at: f64, ticket: &str, amount: i64) {
        let names = [
            "discount_applied",
            "price_override",
            "quantity_changed",
            "cash_drawer_opened",
            "loyalty_points",
            "PaymentCleared",
        ];
        let name = names[usize::try_from(self.chance.next() % 6).unwrap()];
        let when = at + self.chance.between(0.0, 5.0);
        self.told(when, till(name).ticket(ticket).amount(amount));
    }

    /// The drawer is opened for another reason than a customer.
    fn errand(&mut self) {
        let at = self.now_s;
        let (kind, event) = match self.chance.next() % 8 {
            0..3 => (ReceiptKind::NoSale, "no_sale_opened"),
            3 => (ReceiptKind::PaidIn, "paid_in"),
            4 => (ReceiptKind::PaidOut, "paid_out"),
            5 => (ReceiptKind::SafeDrop, "safe_drop"),
            6 => (ReceiptKind::Loan, "loan"),
            _ => (ReceiptKind::ZReport, "z_report"),
        };
        let told_at = at + self.chance.between(0.0, 3.0);
        self.told(told_at, till(event));
        let mut end = at + 2.0;
        if self.policy == ReceiptPolicy::Always || self.chance.one_in(2) {
            end = self.printed(at, 1.0, receipt(kind));
        }
        if kind != ReceiptKind::ZReport {
            end = self.drawer(end);
        }
        self.pause(end);
    }

    /// Now and then a rush, mostly ordinary trade, sometimes a quiet hour or a night.
    fn pause(&mut self, end: f64) {
        self.now_s = match self.chance.next() % 400 {
            0..120 => end + self.chance.between(1.0, 4.0),
            120..385 => end + self.chance.between(5.0, 120.0),
            385..399 => end + self.chance.between(600.0, 3_600.0),
            _ => end + 9.0 * 3_600.0,
        };
    }

    fn mishap(&mut self) {
        let at = self.now_s + self.chance.between(-40.0, 40.0);
        let at = at.max(5.0);
        match self.chance.next() % 13 {
            0..5 => {
                let witness = ALL[usize::try_from(self.chance.next() % 4).unwrap()];
                let away = self.chance.between(0.5, 300.0);
                self.fact(at, Fact::Loses(witness));
                self.fact(at + away, Fact::Regains(witness));
            }
            5 => {
                let witness = ALL[usize::try_from(self.chance.next() % 4).unwrap()];
                self.fact(at, Fact::Gap(witness));
            }
            6 | 7 => {
                let away = self.chance.between(1.0, 60.0);
                self.fact(at, Fact::Stops);
                self.fact(at + away, Fact::Starts { new_boot: false });
            }
            8 => {
                let away = self.chance.between(20.0, 300.0);
                self.fact(at, Fact::Stops);
                self.fact(at + away, Fact::Starts { new_boot: true });
            }
            9 if self.habits.losses > 0 => {
                self.deaf_until_s = self.now_s + self.chance.between(5.0, 900.0);
            }
            10 => self.skew_s += self.chance.between(-180.0, 180.0),
            11 => {
                let steps_s = self.chance.between(-7_200.0, 7_200.0);
                self.fact(at, Fact::OurClock { steps_s });
            }
            12 if self.habits.policy_changes => {
                self.policy = match self.policy {
                    ReceiptPolicy::Always => ReceiptPolicy::OnRequest,
                    ReceiptPolicy::OnRequest => ReceiptPolicy::Never,
                    ReceiptPolicy::Never => ReceiptPolicy::Always,
                };
                self.fact(self.now_s - 0.5, Fact::Policy(self.policy));
            }
            _ => {}
        }
    }

    fn fraud(&mut self) {
        // Nobody steals within the same half minute as a customer pays.
        let at = self.now_s + 60.0;
        self.ticket += 1;
        let ticket = format!("T{}", self.ticket);
        let amount = 150 + i64::try_from(self.chance.next() % 90).unwrap() * 50;
        let paper = |kind| receipt(kind).number(&ticket).total(amount);
        let rule = match self.chance.next() % 7 {
            0 => {
                self.fact(at, Fact::Drawer(DrawerState::Open));
                self.fact(at + 8.0, Fact::Drawer(DrawerState::Closed));
                "drawer_forced"
            }
            1 if self.policy == ReceiptPolicy::Always => {
                let event = till("payment_cleared").ticket(&ticket).amount(amount);
                self.told(at, event);
                self.drawer(at + 0.5);
                "receipt_suppressed"
            }
            2 => {
                self.printed(at, 1.0, paper(ReceiptKind::PostVoid));
                self.drawer(at + 1.0);
                "unreported_void"
            }
            3 => {
                self.printed(at, 1.0, paper(ReceiptKind::Return));
                self.drawer(at + 1.0);
                "unreported_refund"
            }
            4 if self.policy == ReceiptPolicy::Always => {
                self.told(at, till("void_transaction").ticket(&ticket).amount(amount));
                "unprinted_void"
            }
            5 if self.policy == ReceiptPolicy::Always => {
                self.told(at, till("refund_issued").ticket(&ticket).amount(amount));
                self.drawer(at + 0.5);
                "unprinted_refund"
            }
            _ => {
                self.drawer(at);
                "no_sale"
            }
        };
        self.frauds.push(Fraud {
            rule,
            at_s: at,
            ticket,
        });
        self.now_s = at + 120.0;
    }
}
