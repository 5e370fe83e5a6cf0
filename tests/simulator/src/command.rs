//! The commands, one file each.

mod play;
mod stories;

use clap::Subcommand;
use std::path::PathBuf;
use tillwatch_simulator::StoryError;
use tillwatch_simulator::pty::PtyError;

/// What can be asked.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the stories that can be played.
    #[command(subcommand)]
    Stories(stories::Stories),
    /// Play a story, or a day of five, against a printer's line and a feed of till events.
    Play(play::Play),
}

/// Why a command ends badly.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The story.
    #[error(transparent)]
    Story(#[from] StoryError),
    /// The pseudo terminal.
    #[error(transparent)]
    Pty(#[from] PtyError),
    /// A file or device.
    #[error("{}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Our own output.
    #[error("the output cannot be written")]
    Output(#[source] std::io::Error),
}

impl CommandError {
    /// 2 for wrong usage, 1 for what failed.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Story(StoryError::Unknown(_)) => 2,
            _ => 1,
        }
    }
}

impl Command {
    /// Does it.
    pub fn run(self) -> Result<(), CommandError> {
        match self {
            Self::Stories(stories) => stories.run(),
            Self::Play(play) => play.run(),
        }
    }
}
