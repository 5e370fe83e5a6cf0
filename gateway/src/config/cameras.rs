//! The cameras' sections.

use super::checked::{Invalid, between, invalid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Most cameras of one register.
pub const MOST_CAMERAS: usize = 8;

/// One camera.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Camera {
    /// V4L2 device, best below `/dev/v4l/by-id`.
    pub device: Option<PathBuf>,
    /// In place of a device: a file of JPEGs one after another, played in a circle.
    pub replay: Option<PathBuf>,
    /// Pixels across at most.
    pub width: u16,
    /// Pixels down at most.
    pub height: u16,
    /// Pictures a second at most.
    pub fps: u8,
    /// Where customers stand: left, top, width, height in percent of the picture.
    pub customer_side: Option<String>,
}

impl Default for Camera {
    fn default() -> Self {
        Self {
            device: None,
            replay: None,
            width: 640,
            height: 480,
            fps: 15,
            customer_side: None,
        }
    }
}

/// A part of the picture in percent of its width and height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// From the left edge.
    pub left: u8,
    /// From the top edge.
    pub top: u8,
    /// Across, at least 1.
    pub width: u8,
    /// Down, at least 1.
    pub height: u8,
}

impl Camera {
    /// Where customers stand, read.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn customer_side(&self) -> Result<Option<Part>, String> {
        self.customer_side.as_deref().map(part).transpose()
    }
}

fn part(text: &str) -> Result<Part, String> {
    let wrong = || {
        format!(
            "is `{text}`; write left, top, width and height in percent of the picture, as in 0,0,100,40"
        )
    };
    let numbers: Result<Vec<u8>, _> = text.split(',').map(|n| n.trim().parse()).collect();
    match numbers.map_err(|_| wrong())?[..] {
        [left, top, width, height]
            if width > 0
                && height > 0
                && u16::from(left) + u16::from(width) <= 100
                && u16::from(top) + u16::from(height) <= 100 =>
        {
            Ok(Part {
                left,
                top,
                width,
                height,
            })
        }
        _ => Err(wrong()),
    }
}

pub(super) fn check(cameras: &BTreeMap<String, Camera>) -> Result<(), Invalid> {
    if cameras.len() > MOST_CAMERAS {
        let why = format!(
            "has {} cameras; a register takes {MOST_CAMERAS}",
            cameras.len()
        );
        return Err(invalid("cameras", why));
    }
    for (name, camera) in cameras {
        let key = |field: &str| format!("cameras.{name}.{field}");
        match (&camera.device, &camera.replay) {
            (None, None) => {
                let why = "is missing; `tillwatch check` lists the cameras that are there";
                return Err(invalid(key("device"), why));
            }
            (Some(_), Some(_)) => {
                return Err(invalid(
                    key("device"),
                    "and `replay` are both set; keep one",
                ));
            }
            _ => {}
        }
        between(&key("width"), u64::from(camera.width), 64, 4_096)?;
        between(&key("height"), u64::from(camera.height), 64, 4_096)?;
        between(&key("fps"), u64::from(camera.fps), 1, 60)?;
        camera
            .customer_side()
            .map_err(|why| invalid(key("customer_side"), why))?;
    }
    Ok(())
}
