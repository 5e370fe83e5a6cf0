//! `stories list` and `stories show`.

use super::CommandError;
use clap::Subcommand;
use std::io::{Write as _, stdout};
use tillwatch_simulator::{Story, StoryError};

/// What to show.
#[derive(Debug, Subcommand)]
pub enum Stories {
    /// All names with what one sees.
    List,
    /// One story as it is written.
    Show {
        /// Its name.
        name: String,
    },
}

impl Stories {
    pub fn run(self) -> Result<(), CommandError> {
        let mut out = stdout().lock();
        match self {
            Self::List => {
                for story in Story::all()? {
                    writeln!(out, "{:<28} {}", story.name, story.description)
                        .map_err(CommandError::Output)?;
                }
            }
            Self::Show { name } => {
                let source = Story::source(&name).ok_or(StoryError::Unknown(name))?;
                out.write_all(source.as_bytes())
                    .map_err(CommandError::Output)?;
            }
        }
        Ok(())
    }
}
