//! The thread that keeps the index.

use super::engine::{IndexEngine, IndexError};
use super::memory_engine::MemoryEngine;
use super::opening::{Gate, Opened as GateOpened};
use super::projection::{Step, position};
use super::sled_engine::SledEngine;
use super::{Index, IndexOptions, Shared};
use crate::error::StoreError;
use crate::failpoint;
use crate::log::{LogInner, RawScan};
use crate::options::IndexKind;
use crate::usage::Counters;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};
use tillwatch_protocol::{Record, Seq};
use tokio::sync::watch;

/// Records projected in one batch at most.
const BATCH_RECORDS: usize = 2_048;
/// Bytes of keys and values in one batch, roughly. Each batch makes sled write and wait for the disk
/// twice, which whoever waits for the log's `fdatasync` feels: few large ones, then.
const BATCH_BYTES: usize = 256 << 10;
/// Bytes applied between two checkpoints: a small part of one engine segment.
const CHECKPOINT_BYTES: usize = 512 << 10;
/// How long the follower sleeps at most.
const IDLE: Duration = Duration::from_secs(1);
/// Priority of the thread, as `nice` counts: about a tenth of the processor while others want it.
/// Lower, and it would keep the engine's locks too long from those who ask.
const NICE: i32 = 10;
/// Pause after a failed rebuild.
const RETRY: Duration = Duration::from_secs(5);

impl Index {
    /// Lets a thread open the index and follow the log.
    pub(crate) fn open(
        log: Arc<LogInner>,
        options: IndexOptions,
        counters: Arc<Counters>,
    ) -> Result<Index, StoreError> {
        let dir = options.dir.clone();
        let goal = AtomicU64::new(log.through());
        let shared = Arc::new(Shared {
            log,
            options,
            counters,
            engine: RwLock::new(Arc::new(MemoryEngine::default())),
            writing: Mutex::new(()),
            broken: AtomicBool::new(false),
            through: watch::Sender::new(Seq(0)),
            goal,
            forgotten: AtomicU64::new(0),
            gate: Gate::default(),
            closing: AtomicBool::new(false),
        });
        let follower = Follower {
            shared: Arc::clone(&shared),
            checkpoint: Instant::now(),
            unsynced: 0,
        };
        let thread = std::thread::Builder::new()
            .name("tw-index".into())
            .spawn(move || follower.run())
            .map_err(StoreError::io("start a thread for", &dir))?;
        Ok(Index {
            shared,
            follower: Mutex::new(Some(thread)),
        })
    }

    /// Takes records out that are about to leave the log. Those that the index has not reached yet it
    /// never takes in.
    pub(crate) fn forget(&self, first: u64, last: u64) {
        let shared = &self.shared;
        let reached = {
            // A batch under way may hold some of them.
            let _writing = crate::lock(&shared.writing);
            shared.forgotten.fetch_max(last, Ordering::AcqRel);
            self.through().0
        };
        if reached < first {
            return;
        }
        let last = last.min(reached);
        let engine = shared.engine();
        let mut scan = RawScan::new(&shared.log, Seq(first));
        loop {
            let _writing = crate::lock(&shared.writing);
            let mut step = Step::new(engine.as_ref());
            let mut more = false;
            while step.bytes < BATCH_BYTES {
                let Some(next) = scan.step() else { break };
                let Ok(raw) = next else { continue };
                if raw.seq > last {
                    break;
                }
                more = true;
                let seq = Seq(raw.seq);
                if let Ok(record) = Record::decode(seq, raw.kind, raw.version, raw.body) {
                    shared.or_broken(step.forget(seq, &record));
                }
            }
            shared.or_broken(engine.apply(&step.batch));
            if !more {
                return;
            }
        }
    }
}

type Opened = (Arc<dyn IndexEngine>, Seq);

fn open_engine(log: &LogInner, options: &IndexOptions) -> Result<Opened, IndexError> {
    let engine: Arc<dyn IndexEngine> = match options.kind {
        IndexKind::Memory => Arc::new(MemoryEngine::default()),
        IndexKind::Sled => {
            let bytes = SledEngine::bytes_at(&options.dir);
            if bytes > options.budget_bytes {
                // sled never shrinks by itself, and reads all of it to open. Once per start, and
                // nothing is kept of the old one.
                tracing::warn!(bytes, "the index is over its budget and is made anew");
                let failed = |error: std::io::Error| IndexError {
                    call: "remove",
                    why: error.to_string(),
                };
                fs::remove_dir_all(&options.dir).map_err(failed)?;
            }
            Arc::new(SledEngine::open(&options.dir)?)
        }
    };
    let held = position(engine.as_ref(), log.options.log_id)?;
    let empty = || -> Result<bool, IndexError> {
        let mut empty = true;
        engine.range(&[0], &[u8::MAX], false, &mut |_, _| {
            empty = false;
            false
        })?;
        Ok(empty)
    };
    let lost = |seq: Seq| {
        let gap = log.gap;
        gap.is_some_and(|gap| seq.0 > gap.after && seq.0 <= gap.claimed)
    };
    match held {
        // It knows records that are lost, and would show them.
        Some(seq) if lost(seq) => Err(IndexError {
            call: "open",
            why: "it knows records that the log has lost".into(),
        }),
        Some(seq) if seq.0 <= log.through() => Ok((engine, seq)),
        None if empty()? => Ok((engine, Seq(0))),
        _ => Err(IndexError {
            call: "open",
            why: "it does not belong to this log".into(),
        }),
    }
}

/// Sets the directory aside (one such is kept) and begins an empty index.
fn fresh_engine(options: &IndexOptions) -> Result<Opened, IndexError> {
    if options.kind == IndexKind::Memory {
        return Ok((Arc::new(MemoryEngine::default()), Seq(0)));
    }
    let failed = |error: std::io::Error| IndexError {
        call: "set aside",
        why: error.to_string(),
    };
    let aside = options.aside.join("index");
    if options.dir.exists() {
        fs::create_dir_all(&options.aside).map_err(failed)?;
        if aside.exists() {
            fs::remove_dir_all(&aside).map_err(failed)?;
        }
        fs::rename(&options.dir, &aside).map_err(failed)?;
    }
    Ok((Arc::new(SledEngine::open(Path::new(&options.dir))?), Seq(0)))
}

struct Follower {
    shared: Arc<Shared>,
    checkpoint: Instant,
    /// Bytes applied since the last checkpoint.
    unsynced: usize,
}

impl Follower {
    fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        // Those who witness go first. sled's own threads are begun by this one and inherit it.
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::debug!(%error, "the index runs at the usual priority");
        }
        shared.gate.wait_for_question(shared.options.delay, || {
            shared.closing.load(Ordering::Acquire)
        });
        if shared.closing.load(Ordering::Acquire) {
            return;
        }
        self.open();
        while !shared.closing.load(Ordering::Acquire) {
            if shared.broken.load(Ordering::Acquire) && !self.rebuild() {
                shared.broken.store(true, Ordering::Release);
                shared.log.wait_above(u64::MAX, RETRY.min(IDLE));
                continue;
            }
            let through = shared.through.borrow().0;
            if shared.log.through() <= through {
                if shared.log.stopped() {
                    break;
                }
                if shared.log.wait_above(through, IDLE) > through {
                    self.gather();
                }
            }
            if let Err(error) = self.follow() {
                shared.or_broken::<()>(Err(error));
            }
        }
        shared.or_broken(self.save());
    }

    /// Lets records gather after the first one came, and the disk belong to the log meanwhile. Not
    /// while somebody waits for them.
    fn gather(&self) {
        let shared = &self.shared;
        shared.gate.wait_until_asked(shared.options.pace, || {
            shared.closing.load(Ordering::Acquire) || shared.log.stopped()
        });
    }

    fn open(&mut self) {
        let shared = &self.shared;
        let (opened, notice) = match open_engine(&shared.log, &shared.options) {
            Ok(opened) => (Ok(opened), None),
            Err(error) => {
                shared.counters.index_rebuilds.add(1);
                let notice =
                    format!("the index was damaged and is being rebuilt from the log: {error}");
                (fresh_engine(&shared.options), Some(notice))
            }
        };
        match opened {
            Ok((engine, through)) => {
                *crate::write(&shared.engine) = engine;
                shared.through.send_replace(through);
            }
            // Tried again until it can be made.
            Err(error) => shared.or_broken(Err(error)),
        }
        shared.gate.opened(GateOpened { notice });
    }

    /// One batch, and a checkpoint when it is time.
    fn follow(&mut self) -> Result<(), IndexError> {
        let shared = Arc::clone(&self.shared);
        let from = shared.through.borrow().next();
        if shared.log.through() >= from.0 {
            let writing = crate::lock(&shared.writing);
            let engine = shared.engine();
            let mut step = Step::new(engine.as_ref());
            let mut scan = RawScan::new(&shared.log, from);
            let mut reached = from.0 - 1;
            let mut records = 0;
            let forgotten = shared.forgotten.load(Ordering::Acquire);
            while records < BATCH_RECORDS && step.bytes < BATCH_BYTES {
                match scan.step() {
                    None => {
                        reached = reached.max(scan.last());
                        break;
                    }
                    Some(Ok(raw)) => {
                        (reached, records) = (raw.seq, records + 1);
                        if raw.seq <= forgotten {
                            continue;
                        }
                        let seq = Seq(raw.seq);
                        match Record::decode(seq, raw.kind, raw.version, raw.body) {
                            Ok(record) => step.add(seq, &record)?,
                            Err(tillwatch_protocol::RecordError::Unknown { .. }) => {}
                            Err(error) => tracing::error!(%error, "record not indexed"),
                        }
                    }
                    Some(Err(error)) => tracing::error!(%error, "part of the log not indexed"),
                }
            }
            step.set_position(shared.log.options.log_id, Seq(reached));
            engine.apply(&step.batch)?;
            shared.through.send_replace(Seq(reached));
            drop(writing);
            failpoint::hit("index.applied").map_err(|e| IndexError {
                call: "apply",
                why: e.to_string(),
            })?;
            self.unsynced += step.bytes;
            shared.gate.nudge();
        }
        let due = self.checkpoint.elapsed() >= shared.options.checkpoint;
        if self.unsynced >= CHECKPOINT_BYTES || (self.unsynced > 0 && due) {
            self.save()?;
        }
        Ok(())
    }

    fn save(&mut self) -> Result<(), IndexError> {
        if self.unsynced > 0 {
            self.shared.engine().checkpoint()?;
            self.shared.counters.index_checkpoints.add(1);
        }
        self.unsynced = 0;
        self.checkpoint = Instant::now();
        Ok(())
    }

    fn rebuild(&mut self) -> bool {
        let shared = &self.shared;
        let _writing = crate::lock(&shared.writing);
        // In this order: at no moment the empty engine passes for a complete one.
        shared.goal.store(shared.log.through(), Ordering::Release);
        shared.through.send_replace(Seq(0));
        shared.broken.store(false, Ordering::Release);
        // The old engine goes first, as far as no query is still in it.
        *crate::write(&shared.engine) = Arc::new(MemoryEngine::default());
        shared.counters.index_rebuilds.add(1);
        match fresh_engine(&shared.options) {
            Ok((engine, through)) => {
                *crate::write(&shared.engine) = engine;
                shared.through.send_replace(through);
                self.unsynced = 0;
                true
            }
            Err(error) => {
                tracing::error!(%error, "the index cannot be made anew");
                false
            }
        }
    }
}
