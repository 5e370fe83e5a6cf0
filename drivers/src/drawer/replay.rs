//! A drawer that is played: the same trait, fed from a channel.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::{Edge, EdgeSource, Level, LineRole};
use crate::error::DriverError;

const DEVICE: &str = "replayed drawer";

#[derive(Debug)]
enum Message {
    Edge(Edge),
    Time(u64),
    Fail(DriverError),
}

/// Which clock a replayed drawer lives by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayClock {
    /// The machine's: edges are played as they are sent (demonstrations).
    Monotonic,
    /// The times that were sent, and nothing else (exact tests).
    Sent,
}

/// The playing side. Dropping every handle ends the recording.
#[derive(Debug, Clone)]
pub struct ReplayHandle {
    sender: Sender<Message>,
}

impl ReplayHandle {
    fn send(&self, message: Message) {
        // Nobody listening any more is no error of the player.
        let _ = self.sender.send(message);
    }

    /// The line goes to `level` at `at_ns`.
    pub fn edge(&self, role: LineRole, level: Level, at_ns: u64) {
        self.edge_after_loss(role, level, at_ns, 0);
    }

    /// The same, with `lost_before` edges lost before it.
    pub fn edge_after_loss(&self, role: LineRole, level: Level, at_ns: u64, lost_before: u32) {
        self.send(Message::Edge(Edge {
            role,
            level,
            monotonic_ns: at_ns,
            lost_before,
        }));
    }

    /// Nothing happens until `at_ns` ([`ReplayClock::Sent`]).
    pub fn time(&self, at_ns: u64) {
        self.send(Message::Time(at_ns));
    }

    /// The next wait fails: a pulled device.
    pub fn fail(&self, error: DriverError) {
        self.send(Message::Fail(error));
    }
}

/// The played side.
#[derive(Debug)]
pub struct ReplayEdges {
    receiver: Receiver<Message>,
    clock: ReplayClock,
    now_ns: u64,
    sense: Level,
    kick: Level,
}

impl ReplayEdges {
    /// A drawer whose lines rest at the given levels.
    pub fn new(clock: ReplayClock, sense: Level, kick: Level) -> (ReplayHandle, Self) {
        let (sender, receiver) = channel();
        let edges = Self {
            receiver,
            clock,
            now_ns: 0,
            sense,
            kick,
        };
        (ReplayHandle { sender }, edges)
    }
}

impl EdgeSource for ReplayEdges {
    fn wait(&mut self, timeout: Duration) -> Result<Option<Edge>, DriverError> {
        match self.receiver.recv_timeout(timeout) {
            Ok(Message::Edge(edge)) => {
                self.now_ns = self.now_ns.max(edge.monotonic_ns);
                match edge.role {
                    LineRole::Sense => self.sense = edge.level,
                    LineRole::Kick => self.kick = edge.level,
                }
                Ok(Some(edge))
            }
            Ok(Message::Time(at_ns)) => {
                self.now_ns = self.now_ns.max(at_ns);
                Ok(None)
            }
            Ok(Message::Fail(error)) => Err(error),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(DriverError::Ended {
                device: DEVICE.to_owned(),
            }),
        }
    }

    fn level(&mut self, role: LineRole) -> Result<Level, DriverError> {
        Ok(match role {
            LineRole::Sense => self.sense,
            LineRole::Kick => self.kick,
        })
    }

    fn now_ns(&self) -> u64 {
        match self.clock {
            ReplayClock::Monotonic => crate::clock::monotonic_ns(),
            ReplayClock::Sent => self.now_ns,
        }
    }
}
