//! Which cameras exist, and why one cannot be opened.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Unusable, entries, look_at, stable_names};

const CAMERA: &str = "camera";

/// A camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundCamera {
    /// Its device.
    pub path: PathBuf,
    /// Its name that does not depend on the order of plugging in; prefer it.
    pub by_id: Option<PathBuf>,
    /// What it calls itself; empty where it does not.
    pub name: String,
    /// Whether it can be opened.
    pub usable: Result<(), Unusable>,
}

/// All cameras, by device. Of the several devices that one camera makes, the first: the others
/// deliver no pictures.
pub fn cameras() -> Vec<FoundCamera> {
    cameras_below(Path::new("/sys/class/video4linux"), Path::new("/dev"))
        .into_iter()
        .filter_map(|mut camera| {
            if camera.usable.is_ok() {
                camera.usable = probe(&camera.path);
            }
            // Coders and outputs of a board are video devices, too.
            let other = matches!(camera.usable, Err(Unusable::WrongKind { .. }));
            (!other).then_some(camera)
        })
        .collect()
}

fn cameras_below(sys: &Path, dev: &Path) -> Vec<FoundCamera> {
    let by_id = stable_names(&dev.join("v4l/by-id"));
    let read = |path: PathBuf| {
        fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let mut cameras: Vec<FoundCamera> = entries(sys)
        .filter(|entry| {
            let file = entry.file_name().unwrap_or_default();
            file.to_string_lossy().starts_with("video")
        })
        .filter(|entry| matches!(read(entry.join("index")).as_str(), "0" | ""))
        .filter_map(|entry| {
            let path = dev.join(entry.file_name()?);
            Some(FoundCamera {
                by_id: fs::canonicalize(&path)
                    .ok()
                    .and_then(|device| by_id.get(&device).cloned()),
                name: read(entry.join("name")),
                usable: look_at(&path, CAMERA),
                path,
            })
        })
        .collect();
    cameras.sort_by_key(|camera| (camera.path.as_os_str().len(), camera.path.clone()));
    cameras
}

/// Whether a camera could be opened now. Opens it for a moment, without letting it begin.
///
/// # Errors
/// Why not. Without the `v4l` feature only what can be said without opening it.
pub fn probe_camera(path: &Path) -> Result<(), Unusable> {
    look_at(path, CAMERA)?;
    probe(path)
}

#[cfg(feature = "v4l")]
fn probe(path: &Path) -> Result<(), Unusable> {
    use super::{judge_io, wrong_kind};
    use crate::error::DriverError;
    crate::camera::v4l::probe(path).map_err(|error| match error {
        DriverError::Io { source, .. } => judge_io(path, &source),
        DriverError::NotFound { device } | DriverError::Gone { device, .. } => {
            Unusable::Missing { device }
        }
        _ => wrong_kind(path, CAMERA),
    })
}

#[cfg(not(feature = "v4l"))]
fn probe(_path: &Path) -> Result<(), Unusable> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn cameras_are_listed_once_and_carry_their_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let (sys, dev) = (folder.path().join("sys"), folder.path().join("dev"));
        fs::create_dir_all(dev.join("v4l/by-id")).expect("a folder");
        for (device, index, name) in [
            ("video10", "0\n", "bcm2835-codec-decode\n"),
            ("video0", "0\n", "UVC Camera (046d:0825)\n"),
            ("video1", "1\n", "UVC Camera (046d:0825)\n"),
            ("v4l-subdev0", "0\n", "imx219\n"),
        ] {
            let entry = sys.join(device);
            fs::create_dir_all(&entry).expect("a folder");
            fs::write(entry.join("index"), index).expect("a file");
            fs::write(entry.join("name"), name).expect("a file");
            fs::write(dev.join(device), b"").expect("a file");
        }
        let stable = dev.join("v4l/by-id/usb-046d_0825_A1B2C3D4-video-index0");
        symlink("../../video0", &stable).expect("a link");

        let cameras = cameras_below(&sys, &dev);
        let names: Vec<_> = cameras
            .iter()
            .map(|camera| (&camera.path, &camera.by_id, camera.name.as_str()))
            .collect();
        assert_eq!(
            names,
            [
                (&dev.join("video0"), &Some(stable), "UVC Camera (046d:0825)"),
                (&dev.join("video10"), &None, "bcm2835-codec-decode"),
            ]
        );
        assert!(matches!(cameras[0].usable, Err(Unusable::WrongKind { .. })));
    }

    #[test]
    fn obstacles_are_told_in_one_sentence() {
        let missing = probe_camera(Path::new("/dev/videoNONE")).expect_err("missing");
        assert_eq!(
            missing.to_string(),
            "/dev/videoNONE does not exist: check that it is plugged in and spelled as the list \
             of devices shows it"
        );
        let folder = tempfile::tempdir().expect("a folder");
        let foreign = probe_camera(folder.path()).expect_err("no camera");
        assert_eq!(
            foreign.to_string(),
            format!(
                "{} is no camera: choose one from the list of devices",
                folder.path().display()
            )
        );
    }

    #[cfg(feature = "v4l")]
    #[test]
    fn a_device_of_another_kind_is_no_camera() {
        // Never busy for `probe`, which does not ask who else has it open.
        let zero = probe(Path::new("/dev/zero")).expect_err("no camera");
        assert!(
            matches!(zero, Unusable::WrongKind { what: "camera", .. }),
            "{zero}"
        );
    }

    #[test]
    fn this_machine_can_be_listed() {
        for camera in cameras() {
            assert!(camera.path.starts_with("/dev"), "{camera:?}");
        }
    }
}
