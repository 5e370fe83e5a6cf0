//! Which of the pictures that a camera offers is taken (pure).
//!
//! The camera compresses where it can: YUYV is taken only from one that has no MJPEG. Of the
//! sizes the largest is taken that is not above what is wanted in width or height, of its
//! rates the highest that is not above. Where everything is above, the smallest and the slowest.

use super::Encoding;

/// What the configuration asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Frames per second.
    pub fps: u32,
}

/// Sizes that a camera offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sizes {
    /// One.
    One {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
    },
    /// Any between, in steps, in pixels: (least, most, step).
    Any {
        /// Widths.
        widths: (u32, u32, u32),
        /// Heights.
        heights: (u32, u32, u32),
    },
}

/// Seconds from frame to frame, as a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// Above the line.
    pub numerator: u32,
    /// Below the line.
    pub denominator: u32,
}

impl Interval {
    /// Frames per 1000 seconds.
    pub fn millihertz(self) -> u32 {
        let rate = u64::from(self.denominator) * 1000 / u64::from(self.numerator.max(1));
        u32::try_from(rate).unwrap_or(u32::MAX)
    }
}

/// Rates that a camera offers at a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rates {
    /// One.
    One(Interval),
    /// Any between the shortest and the longest interval.
    Any {
        /// The highest rate.
        shortest: Interval,
        /// The lowest rate.
        longest: Interval,
    },
}

/// A size that was decided for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

/// Who compresses: the camera if it can. `None`: it offers neither.
pub fn encoding(offered: &[Encoding]) -> Option<Encoding> {
    [Encoding::Mjpeg, Encoding::YuyvEncodedHere]
        .into_iter()
        .find(|encoding| offered.contains(encoding))
}

/// The size to ask for. `None`: no size is offered.
pub fn size(offered: &[Sizes], wanted: Wanted) -> Option<Size> {
    let area = |size: &Size| u64::from(size.width) * u64::from(size.height);
    let sizes: Vec<Size> = offered
        .iter()
        .map(|sizes| match *sizes {
            Sizes::One { width, height } => Size { width, height },
            Sizes::Any { widths, heights } => Size {
                width: step(widths, wanted.width),
                height: step(heights, wanted.height),
            },
        })
        .filter(|size| area(size) > 0)
        .collect();
    let fits = |size: &&Size| size.width <= wanted.width && size.height <= wanted.height;
    let best = sizes.iter().filter(fits).max_by_key(|size| area(size));
    best.or_else(|| sizes.iter().min_by_key(|size| area(size)))
        .copied()
}

/// The largest step that is not above `wanted`, or the least.
fn step((least, most, step): (u32, u32, u32), wanted: u32) -> u32 {
    match wanted.min(most).checked_sub(least) {
        Some(above) => least + above - above % step.max(1),
        None => least,
    }
}

/// The interval to ask for. A camera that offers none is asked for what is wanted, and will
/// say what it does.
pub fn interval(offered: &[Rates], wanted: Wanted) -> Interval {
    let exact = Interval {
        numerator: 1,
        denominator: wanted.fps.max(1),
    };
    let limit = exact.millihertz();
    let intervals: Vec<Interval> = offered
        .iter()
        .map(|rates| match *rates {
            Rates::One(interval) => interval,
            Rates::Any { shortest, .. } if shortest.millihertz() <= limit => shortest,
            Rates::Any { longest, .. } if longest.millihertz() >= limit => longest,
            Rates::Any { .. } => exact,
        })
        .filter(|interval| interval.numerator > 0 && interval.denominator > 0)
        .collect();
    let best = intervals
        .iter()
        .filter(|interval| interval.millihertz() <= limit)
        .max_by_key(|interval| interval.millihertz());
    best.or_else(|| intervals.iter().min_by_key(|one| one.millihertz()))
        .copied()
        .unwrap_or(exact)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted {
        width: 800,
        height: 600,
        fps: 15,
    };

    fn one(width: u32, height: u32) -> Sizes {
        Sizes::One { width, height }
    }

    fn rate(numerator: u32, denominator: u32) -> Rates {
        Rates::One(Interval {
            numerator,
            denominator,
        })
    }

    fn chosen(offered: &[Sizes]) -> Option<(u32, u32)> {
        size(offered, WANTED).map(|size| (size.width, size.height))
    }

    fn fps(offered: &[Rates]) -> u32 {
        interval(offered, WANTED).millihertz()
    }

    #[test]
    fn the_camera_compresses_where_it_can() {
        use Encoding::{Mjpeg, YuyvEncodedHere};
        assert_eq!(encoding(&[YuyvEncodedHere, Mjpeg]), Some(Mjpeg));
        assert_eq!(encoding(&[YuyvEncodedHere]), Some(YuyvEncodedHere));
        assert_eq!(encoding(&[]), None);
    }

    #[test]
    fn the_largest_size_that_is_not_above() {
        let all = [one(1920, 1080), one(640, 480), one(800, 448), one(320, 240)];
        assert_eq!(chosen(&all), Some((800, 448)));
        assert_eq!(
            chosen(&[one(1920, 1080), one(1280, 720)]),
            Some((1280, 720))
        );
        assert_eq!(chosen(&[one(800, 600)]), Some((800, 600)));
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&[one(0, 480)]), None);
    }

    #[test]
    fn sizes_in_steps() {
        let any = |widths, heights| Sizes::Any { widths, heights };
        assert_eq!(
            chosen(&[any((32, 2592, 32), (32, 1944, 16))]),
            Some((800, 592))
        );
        assert_eq!(
            chosen(&[any((1024, 2048, 2), (768, 1536, 2))]),
            Some((1024, 768))
        );
        assert_eq!(chosen(&[any((64, 640, 0), (64, 480, 0))]), Some((640, 480)));
        let both = [any((32, 700, 1), (32, 500, 1)), one(800, 600)];
        assert_eq!(chosen(&both), Some((800, 600)));
    }

    #[test]
    fn the_highest_rate_that_is_not_above() {
        assert_eq!(fps(&[rate(1, 30), rate(1, 10), rate(1, 5)]), 10_000);
        assert_eq!(fps(&[rate(1, 30), rate(1, 25)]), 25_000);
        assert_eq!(fps(&[rate(1001, 15_000), rate(1, 5)]), 14_985);
        assert_eq!(fps(&[]), 15_000);
        assert_eq!(fps(&[rate(0, 0)]), 15_000);
    }

    #[test]
    fn rates_in_a_range() {
        let any = |fastest, slowest| Rates::Any {
            shortest: Interval {
                numerator: 1,
                denominator: fastest,
            },
            longest: Interval {
                numerator: 1,
                denominator: slowest,
            },
        };
        assert_eq!(fps(&[any(60, 1)]), 15_000);
        assert_eq!(fps(&[any(10, 1)]), 10_000);
        assert_eq!(fps(&[any(60, 20)]), 20_000);
    }
}
