//! Small files that hold secrets: whole or absent, and readable for nobody else.
//!
//! Temporary file beside it (mode 0600 from its first byte), write, fsync, rename, fsync of the
//! folder. After `Ok` the new content survives a power cut; before, the old one does.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Owner only.
const FILE_MODE: u32 = 0o600;
/// Owner only.
const FOLDER_MODE: u32 = 0o700;

/// Replaces the file. The folder is made when it is not there.
///
/// # Errors
/// What the disk says, with the path; the old content stays then.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let temporary = path.with_extension("new");
    let replace = || {
        if !folder.is_dir() {
            DirBuilder::new()
                .recursive(true)
                .mode(FOLDER_MODE)
                .create(folder)?;
            // The folder's own name has to survive, too.
            if let Some(above) = folder
                .parent()
                .filter(|above| !above.as_os_str().is_empty())
            {
                File::open(above)?.sync_all()?;
            }
        }
        // One that was left behind may have another mode.
        match fs::remove_file(&temporary) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    };
    replace().map_err(|why| named(path, &why))
}

/// Reads at most `most` bytes; `None` when there is no such file.
///
/// # Errors
/// What the disk says, with the path; a longer file is one, too.
pub fn read(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|why| named(path, &why))?,
    };
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|why| named(path, &why))?;
    if bytes.len() as u64 > most {
        let why = io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is longer than {most} bytes"),
        );
        return Err(named(path, &why));
    }
    Ok(Some(bytes))
}

fn named(path: &Path, why: &io::Error) -> io::Error {
    io::Error::new(why.kind(), format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_is_written_is_there_whole_and_for_its_owner_only() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("access").join("logins.json");
        assert_eq!(read(&path, 10).unwrap(), None);
        write(&path, b"first").unwrap();
        // What a power cut left behind, open for everybody.
        fs::write(path.with_extension("new"), "half").unwrap();
        write(&path, b"second").unwrap();
        assert_eq!(read(&path, 10).unwrap().as_deref(), Some(&b"second"[..]));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        let names: Vec<_> = fs::read_dir(path.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["logins.json"], "nothing half-made stays");
    }

    #[test]
    fn a_file_that_is_too_long_is_named_and_not_read() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("long");
        write(&path, b"12345").unwrap();
        assert_eq!(read(&path, 5).unwrap().as_deref(), Some(&b"12345"[..]));
        let why = read(&path, 4).unwrap_err().to_string();
        assert!(why.contains("long") && why.contains("4 bytes"), "{why}");
    }
}
