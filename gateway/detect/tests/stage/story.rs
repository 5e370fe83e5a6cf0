//! Stories as data: what is not wired, what happens, and what must come of it.

use super::Stage;
use tillwatch_protocol::event::Witness;

/// Rule with score, or rule with reason.
type Pairs<T> = &'static [(&'static str, T)];

/// One story.
pub struct Story {
    pub name: &'static str,
    /// Witnesses that are not wired.
    pub absent: &'static [Witness],
    pub play: fn(&mut Stage),
    /// The alerts that stand in the end.
    pub stands: Pairs<u16>,
    /// What was not judged, and why.
    pub not_judged: Pairs<&'static str>,
}

pub const NONE: &[Witness] = &[];
pub const NO_KICK_LINE: &[Witness] = &[Witness::KickLine];

/// Plays each and two quiet minutes after it. No story here is the technician's matter.
pub fn play_all(stories: &[Story]) {
    for story in stories {
        let mut stage = Stage::without(story.absent);
        (story.play)(&mut stage);
        let end = stage.now_s + 120.0;
        stage.at(end);
        let stands = stage.standing();
        let stands: Vec<_> = stands.iter().map(|(r, s)| (r.as_str(), *s)).collect();
        assert_eq!(
            stands, story.stands,
            "{}: {:#?}",
            story.name, stage.outcomes
        );
        let not_judged = stage.not_judged();
        let not_judged: Vec<_> = not_judged
            .iter()
            .map(|(r, w)| (r.as_str(), w.as_str()))
            .collect();
        assert_eq!(not_judged, story.not_judged, "{}", story.name);
        assert_eq!(stage.notices(), Vec::<String>::new(), "{}", story.name);
    }
}
