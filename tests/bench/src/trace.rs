//! What strace saw of the syncs of a process.

use anyhow::{Result, bail};
use std::path::Path;
use std::process::Command;

/// One `fdatasync`, `fsync` or `sync_file_range`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sync {
    /// When it began, seconds since 1970 UTC.
    pub at: f64,
    pub call: String,
    pub path: String,
}

impl Sync {
    /// Of the log itself.
    pub fn is_log(&self) -> bool {
        self.path.contains("/log/")
    }
}

/// What goes before a program to trace its syncs into `output`; only they stop it.
pub fn command(output: &Path) -> Result<Vec<String>> {
    if Command::new("strace").arg("-V").output().is_err() {
        bail!("strace is needed (Debian: strace)");
    }
    let output = output.display().to_string();
    let words = [
        "strace",
        "-f",
        "--seccomp-bpf",
        "-ttt",
        "-y",
        "-e",
        "trace=fdatasync,fsync,sync_file_range",
        "-o",
    ];
    Ok(words
        .into_iter()
        .map(str::to_owned)
        .chain([output])
        .collect())
}

/// Reads what strace wrote.
pub fn read(output: &Path) -> Result<Vec<Sync>> {
    Ok(std::fs::read_to_string(output)?
        .lines()
        .filter_map(line)
        .collect())
}

fn line(text: &str) -> Option<Sync> {
    // 4711  1764500000.123456 fdatasync(12</data/log/0001.seg>) = 0
    let rest = text.split_once(char::is_whitespace)?.1.trim_start();
    let (at, rest) = rest.split_once(char::is_whitespace)?;
    if rest.starts_with("<...") {
        return None;
    }
    let (call, rest) = rest.split_once('(')?;
    let path = rest
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map_or("", |(path, _)| path);
    Some(Sync {
        at: at.parse().ok()?,
        call: call.to_owned(),
        path: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_once_also_when_another_thread_cuts_in() {
        let seen = [
            "4711  1764500000.250000 fdatasync(12</d/log/0001.seg>) = 0",
            "4712  1764500001.000000 fsync(3</d/index/db> <unfinished ...>",
            "4712  1764500001.100000 <... fsync resumed>) = 0",
            "4711  1764500002.000000 +++ exited with 0 +++",
        ];
        let syncs: Vec<Sync> = seen.iter().filter_map(|text| line(text)).collect();
        assert_eq!(syncs.len(), 2);
        assert!(syncs[0].is_log() && !syncs[1].is_log());
        assert_eq!(
            (syncs[0].at, syncs[0].call.as_str()),
            (1_764_500_000.25, "fdatasync")
        );
    }
}
