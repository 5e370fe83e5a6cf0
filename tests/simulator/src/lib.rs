//! A register in software, for demonstrations and tests.
//!
//! What happens at the register is data: a [`Story`] is a TOML file with steps (a kick, a
//! receipt, an event of the till, a cable pulled out) and with the alerts a gateway is expected to
//! raise. A [`Day`] lays stories one after another. Both turn into a schedule, a sorted list of
//! times and [`Action`]s, without any clock. A [`Player`] plays a schedule against anything that
//! implements [`Register`].
//!
//! ```
//! use tillwatch_simulator::{Day, JumpClock, Player, Recorder, Run};
//! # fn main() -> Result<(), tillwatch_simulator::StoryError> {
//! let day = Day::demo()?;
//! let mut player = Player::new(Run::new("S03", "R1", 7), JumpClock::default());
//! let mut register = Recorder::default();
//! player.play(&day.schedule(), &mut register);
//! assert!(register.happened.len() > 30);
//! # Ok(())
//! # }
//! ```
//!
//! | module | what |
//! | --- | --- |
//! | [`story`] | stories: reading, checking, the built-in ones |
//! | [`timeline`] | actions, schedules, days, and the physics of a drawer |
//! | [`run`] | what differs from run to run: ids, tickets, staff, time |
//! | [`receipt`] | receipts laid out and turned into printer bytes |
//! | [`escpos`] | a small ESC/POS builder |
//! | [`pos`] | events of the till as JSON |
//! | [`pos_cycle`] | an endless feed of till events |
//! | [`play`] | the player, its clock, the register it plays against |
//! | [`pty`] | a pseudo terminal that stands for the printer's serial line |

pub mod escpos;
pub mod play;
pub mod pos;
pub mod pos_cycle;
pub mod pty;
pub mod random;
pub mod receipt;
pub mod run;
pub mod story;
pub mod timeline;

pub use play::{
    Clock, Happened, JumpClock, Player, Playing, Recorder, Register, Stop, SystemClock, Wiring,
};
pub use pos::{PosMessage, topic_kind};
pub use pos_cycle::PosCycle;
pub use pty::{PrinterPort, PrinterPty};
pub use run::Run;
pub use story::{Expected, Story, StoryError};
pub use timeline::{Action, Day, Device, Line, Schedule, What};
