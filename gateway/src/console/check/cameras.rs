//! The cameras that are configured, and those that could be.

use super::{Line, open};
use crate::config::{Camera, Config};
use crate::health::part;
use crate::web::status::Status;
use std::path::Path;
use tillwatch_drivers::discover::{FoundCamera, cameras, probe_camera};

/// A line for every camera; without one, what could be configured.
pub(super) fn lines(config: &Config, running: Option<&Status>) -> Vec<Line> {
    if config.cameras.is_empty() {
        return vec![Line::absent("camera", &none_configured(&cameras()))];
    }
    let configured = part::CAMERAS.iter().zip(&config.cameras);
    configured
        .map(|(part, (name, camera))| {
            let result = open(part, running).unwrap_or_else(|| probe(name, camera));
            Line::new(part, result)
        })
        .collect()
}

fn none_configured(found: &[FoundCamera]) -> String {
    let mut text = "no [cameras.NAME]: alerts have no footage".to_owned();
    for camera in found {
        let path = camera.by_id.as_ref().unwrap_or(&camera.path);
        text.push_str(&format!("; there is {} ({})", path.display(), camera.name));
        if let Err(why) = &camera.usable {
            text.push_str(&format!(", but {why}"));
        }
    }
    text
}

fn probe(name: &str, camera: &Camera) -> Result<String, String> {
    let asked = format!("{}x{} at {}", camera.width, camera.height, camera.fps);
    match (&camera.replay, &camera.device) {
        (Some(path), _) => readable(path).map(|()| format!("{name}: {}, played", path.display())),
        (None, Some(path)) => probe_camera(path)
            .map(|()| format!("{name}: {}, at most {asked} a second", path.display()))
            .map_err(|why| format!("{name}: {why}")),
        // The configuration was checked.
        (None, None) => Err(format!("{name} has no device")),
    }
}

fn readable(path: &Path) -> Result<(), String> {
    std::fs::File::open(path)
        .map(drop)
        .map_err(|why| format!("cannot read {}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_camera_that_is_not_there_fails_by_its_name() {
        let mut config = Config::default();
        let camera = Camera {
            device: Some("/dev/v4l/by-id/none".into()),
            ..Camera::default()
        };
        config.cameras.insert("counter".into(), camera);
        let lines = lines(&config, None);
        assert_eq!((lines[0].name, lines[0].state), ("camera0", State::Fail));
        assert!(lines[0].text.starts_with("counter: "), "{}", lines[0].text);
    }

    #[test]
    fn without_a_camera_it_says_which_there_are() {
        let found = FoundCamera {
            path: "/dev/video0".into(),
            by_id: Some("/dev/v4l/by-id/usb-cam".into()),
            name: "C270".into(),
            usable: Ok(()),
        };
        let text = none_configured(&[found]);
        assert!(
            text.ends_with("; there is /dev/v4l/by-id/usb-cam (C270)"),
            "{text}"
        );
    }
}
