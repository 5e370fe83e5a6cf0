//! Which gateway a command is about: the configured one, or the demo that runs on this machine.

use super::Failure;
use super::cli::Options;
use crate::config::layers::Given;
use crate::mode::{self, CONFIG_DIR, Mode};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use toml::Value;

/// Everything that was given: file, environment, flags; without a configuration, what the running
/// demo chose.
///
/// # Errors
/// Where a register lost its configuration file.
pub(super) fn given(options: &Options) -> Result<Given, Failure> {
    // A command starts nothing, so it matters only where the data is.
    let options = mode::Options {
        simulate_pos: false,
        ..mode::Options::from(options)
    };
    let (mode, file) = mode::mode(&options, Path::new(CONFIG_DIR))
        .map_err(|why| Failure::Usage(why.to_string()))?;
    let uid = nix::unistd::geteuid().as_raw();
    let chosen = match mode {
        Mode::Demo => demo_data(&std::env::temp_dir(), uid),
        Mode::Register | Mode::PosOnly | Mode::Publisher => None,
    };
    let chosen = chosen.map(|data| ("data".to_owned(), Value::String(data.display().to_string())));
    Ok(mode::given(&options, file, chosen.into_iter().collect()))
}

/// The data of this user's newest demo with a control socket.
fn demo_data(temporary: &Path, uid: u32) -> Option<PathBuf> {
    let folders = fs::read_dir(temporary).ok()?.flatten();
    let demos = folders.filter(|folder| {
        folder
            .file_name()
            .to_string_lossy()
            .starts_with("tillwatch-demo-")
    });
    demos
        .filter_map(|folder| {
            let data = folder.path().join("data");
            // Anybody may make a folder there; only our own is believed.
            let ours = fs::symlink_metadata(folder.path())
                .is_ok_and(|meta| meta.is_dir() && meta.uid() == uid);
            let socket = fs::metadata(data.join("control.sock"))
                .ok()
                .filter(|_| ours)?;
            Some((socket.mtime(), data))
        })
        .max()
        .map(|(_, data)| data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_demo_is_found_when_it_is_ours() {
        let folder = tempfile::tempdir().unwrap();
        let uid = nix::unistd::geteuid().as_raw();
        assert_eq!(demo_data(folder.path(), uid), None);
        let data = folder.path().join("tillwatch-demo-7/data");
        fs::create_dir_all(&data).unwrap();
        assert_eq!(
            demo_data(folder.path(), uid),
            None,
            "without a socket nobody runs"
        );
        fs::write(data.join("control.sock"), b"").unwrap();
        assert_eq!(demo_data(folder.path(), uid), Some(data));
        assert_eq!(
            demo_data(folder.path(), uid + 1),
            None,
            "somebody else's is not believed"
        );
    }
}
