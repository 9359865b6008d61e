//! Which probes run when there are more of them than may run at once.
//!
//! ```text
//! due ─▶ quick lane ─┐
//!    └─▶ slow lane ──┴─▶ room in all? room at the target? ─▶ runs
//!                                        └─▶ waits for its target
//! ```
//!
//! Pure. Probes run in the order in which they fell due, but for two rules that
//! keep the slow ones from delaying the others: those whose last probe took its whole
//! time, or of which nothing is known yet, have at most half of the room, in all and
//! at each target, and an eighth for themselves; and at most so many run at one
//! target, whose others wait aside meanwhile.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// How many probes may run at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// In all; 1 or more.
    pub(super) total: usize,
    /// At one address; 1 or more.
    pub(super) per_target: usize,
}

/// Probes that are due. What waits is bounded by what is pushed: one for each instance.
#[derive(Debug)]
pub(super) struct Queue<J> {
    room: Room,
    lanes: [VecDeque<Ready<J>>; 2],
    running: Running,
    targets: HashMap<IpAddr, Waiting<J>>,
    waiting: usize,
}

/// How fast a probe is expected to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lane {
    /// Its last one did before its time was over.
    Quick,
    /// It didn't, or there was none.
    Slow,
}

/// A probe that is due.
#[derive(Clone, Debug)]
pub(super) struct Ready<J> {
    /// Where it goes.
    pub(super) target: IpAddr,
    /// How fast it's expected to be.
    pub(super) lane: Lane,
    /// What it is.
    pub(super) job: J,
}

/// How many probes run, by lane.
#[derive(Clone, Copy, Debug, Default)]
struct Running([usize; 2]);

impl Running {
    /// Whether one more may run where `limit` may in all.
    fn has_room(self, lane: Lane, limit: usize) -> bool {
        let own = match lane {
            // A room for one is everybody's.
            Lane::Quick if limit == 1 => 1,
            Lane::Quick => limit - limit.div_ceil(8),
            Lane::Slow => limit.div_ceil(2),
        };
        self.0.iter().sum::<usize>() < limit && self.0[lane as usize] < own
    }
}

/// Probes of one target: those that run, and those that wait until one of them ends.
#[derive(Debug)]
struct Waiting<J> {
    running: Running,
    lanes: [VecDeque<Ready<J>>; 2],
}

impl<J> Queue<J> {
    /// An empty one.
    pub(super) fn new(room: Room) -> Self {
        Self {
            room: Room {
                total: room.total.max(1),
                per_target: room.per_target.max(1),
            },
            lanes: Default::default(),
            running: Running::default(),
            targets: HashMap::new(),
            waiting: 0,
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// How many run.
    pub(super) fn running(&self) -> usize {
        self.running.0.iter().sum()
    }

    /// Drops those that wait and aren't `wanted` any more.
    pub(super) fn retain(&mut self, wanted: impl Fn(&J) -> bool) {
        let mut dropped = 0;
        let aside = self
            .targets
            .values_mut()
            .flat_map(|target| &mut target.lanes);
        for lane in self.lanes.iter_mut().chain(aside) {
            let before = lane.len();
            lane.retain(|ready| wanted(&ready.job));
            dropped += before - lane.len();
        }
        self.waiting -= dropped;
    }

    /// Adds a probe that is due.
    pub(super) fn push(&mut self, ready: Ready<J>) {
        self.waiting += 1;
        self.lanes[ready.lane as usize].push_back(ready);
    }

    /// Takes the next one that may run now; it does until [`Queue::end`].
    pub(super) fn start(&mut self) -> Option<Ready<J>> {
        for lane in [Lane::Quick, Lane::Slow] {
            while self.running.has_room(lane, self.room.total) {
                let Some(ready) = self.lanes[lane as usize].pop_front() else {
                    break;
                };
                let target = self.targets.entry(ready.target).or_insert_with(|| Waiting {
                    running: Running::default(),
                    lanes: Default::default(),
                });
                if target.running.has_room(lane, self.room.per_target) {
                    target.running.0[lane as usize] += 1;
                    self.running.0[lane as usize] += 1;
                    self.waiting -= 1;
                    return Some(ready);
                }
                target.lanes[lane as usize].push_back(ready);
            }
        }
        None
    }

    /// Notes that a probe which was started has ended, so that another may run.
    pub(super) fn end(&mut self, target: IpAddr, lane: Lane) {
        let Some(known) = self.targets.get_mut(&target) else {
            return;
        };
        self.running.0[lane as usize] -= 1;
        known.running.0[lane as usize] -= 1;
        // Those that waited for this target fell due before what waits in the lanes.
        for lane in [Lane::Quick, Lane::Slow] {
            if known.running.has_room(lane, self.room.per_target)
                && let Some(ready) = known.lanes[lane as usize].pop_front()
            {
                self.lanes[lane as usize].push_front(ready);
            }
        }
        let is_idle = known.running.0 == [0, 0] && known.lanes.iter().all(VecDeque::is_empty);
        if is_idle {
            self.targets.remove(&target);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn target(number: u8) -> IpAddr {
        [10, 0, 0, number].into()
    }

    fn ready(number: u8, lane: Lane, job: usize) -> Ready<usize> {
        Ready {
            target: target(number),
            lane,
            job,
        }
    }

    #[test]
    fn a_slow_target_delays_nobody() {
        let mut queue = Queue::new(Room {
            total: 8,
            per_target: 4,
        });
        for job in 0..1000 {
            queue.push(ready(1, Lane::Quick, job));
        }
        queue.push(ready(2, Lane::Quick, 1000));
        let started: Vec<usize> = std::iter::from_fn(|| queue.start())
            .map(|r| r.job)
            .collect();
        assert_eq!(
            started,
            [0, 1, 2, 1000],
            "3 of 4 at the one, and the other's"
        );
        assert_eq!(queue.len(), 997);
        queue.end(target(1), Lane::Quick);
        assert_eq!(queue.start().map(|ready| ready.job), Some(3));
        assert!(queue.start().is_none());
        // One that is slow has a place at that target, too.
        queue.push(ready(1, Lane::Slow, 2000));
        assert_eq!(queue.start().map(|ready| ready.job), Some(2000));
        queue.retain(|job| *job < 10);
        assert_eq!(queue.len(), 6);
    }

    #[test]
    fn slow_ones_leave_half_of_the_room() {
        let mut queue = Queue::new(Room {
            total: 8,
            per_target: 8,
        });
        for job in 0..100 {
            queue.push(ready(job as u8, Lane::Slow, job));
        }
        assert_eq!(std::iter::from_fn(|| queue.start()).count(), 4);
        for job in 100..200 {
            queue.push(ready(job as u8, Lane::Quick, job));
        }
        assert_eq!(std::iter::from_fn(|| queue.start()).count(), 4);
    }

    #[test]
    fn quick_ones_leave_slow_ones_a_place() {
        let mut queue = Queue::new(Room {
            total: 8,
            per_target: 8,
        });
        for job in 0..100 {
            queue.push(ready(job as u8, Lane::Quick, job));
        }
        assert_eq!(std::iter::from_fn(|| queue.start()).count(), 7);
        queue.push(ready(1, Lane::Slow, 100));
        assert_eq!(queue.start().map(|ready| ready.job), Some(100));
    }

    proptest! {
        /// Limits hold at every moment, and everything runs in the end.
        #[test]
        fn limits_hold_and_everything_runs(
            total in 1usize..10, per_target in 1usize..6,
            jobs in prop::collection::vec((0u8..4, any::<bool>()), 1..200),
            ends in prop::collection::vec(any::<prop::sample::Index>(), 200),
        ) {
            let mut queue = Queue::new(Room { total, per_target });
            let count = jobs.len();
            let mut jobs = jobs.into_iter().enumerate();
            let (mut running, mut done): (Vec<Ready<usize>>, _) = (Vec::new(), HashSet::new());
            let mut ends = ends.into_iter().cycle();
            while done.len() < count {
                for (job, (number, slow)) in jobs.by_ref().take(3) {
                    queue.push(ready(number, if slow { Lane::Slow } else { Lane::Quick }, job));
                }
                running.extend(std::iter::from_fn(|| queue.start()));
                let slow = |r: &&Ready<usize>| r.lane == Lane::Slow;
                prop_assert!(running.len() <= total);
                prop_assert!(running.iter().filter(slow).count() <= total.div_ceil(2));
                for number in 0..4 {
                    let here = running.iter().filter(|r| r.target == target(number));
                    prop_assert!(here.clone().count() <= per_target);
                    prop_assert!(here.filter(slow).count() <= per_target.div_ceil(2));
                }
                prop_assert!(!running.is_empty(), "nothing runs, and {} wait", queue.len());
                let ended = running.swap_remove(ends.next().unwrap().index(running.len()));
                queue.end(ended.target, ended.lane);
                prop_assert!(done.insert(ended.job), "{} ran twice", ended.job);
            }
            prop_assert_eq!(queue.len(), 0);
            prop_assert!(queue.targets.is_empty() || !running.is_empty());
        }
    }
}
