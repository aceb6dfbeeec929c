//! Whose threads use the processors: members run in one process, each with threads of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use serde::Serialize;

use crate::host::ticks;

/// The threads of each member, by the order in which they were started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Threads {
    seen: BTreeSet<u32>,
    members: Vec<Vec<u32>>,
}

/// What each member's threads have used up to some moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Used(Vec<BTreeMap<u32, Duration>>);

impl Threads {
    /// Threads that run already belong to nobody.
    pub(crate) fn new() -> Self {
        Self {
            seen: running().collect(),
            members: Vec::new(),
        }
    }

    /// A member was started: what runs now and did not before is its.
    pub(crate) fn started(&mut self) {
        let new: Vec<_> = running().filter(|id| !self.seen.contains(id)).collect();
        self.seen.extend(&new);
        self.members.push(new);
    }

    /// Reads the clocks.
    pub(crate) fn used(&self) -> Used {
        let of = |id: &u32| Some((*id, ticks(&format!("/proc/self/task/{id}/stat"))?));
        let members = self.members.iter();
        Used(
            members
                .map(|ids| ids.iter().filter_map(of).collect())
                .collect(),
        )
    }
}

impl Used {
    /// What each member has used since `before`, per 1,000 of `requests`.
    pub(crate) fn since(&self, before: &Self, requests: u64) -> Vec<MemberCpu> {
        let per_1000 = |used: Duration| used.as_secs_f64() * 1000.0 / requests as f64;
        let both = self.0.iter().zip(&before.0);
        let members = both.map(|(after, before)| {
            let threads = after.iter().map(|(id, used)| {
                let earlier = before.get(id).copied().unwrap_or_default();
                per_1000(used.saturating_sub(earlier))
            });
            let threads: Vec<_> = threads.collect();
            MemberCpu {
                cpu_s_per_1000: threads.iter().sum(),
                busiest_thread_s_per_1000: threads.iter().copied().fold(0.0, f64::max),
            }
        });
        members.collect()
    }
}

/// Processor time of one member, user and system, in seconds per 1,000 requests; each thread's is known to 10 ms.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MemberCpu {
    /// Of all its threads: ordering, network, application and log.
    pub cpu_s_per_1000: f64,
    /// Of the one that used most.
    pub busiest_thread_s_per_1000: f64,
}

impl MemberCpu {
    /// Requests per second at which it would be busy all the time on a machine of its own with so many processors. Derived:
    /// no network, no caches shared with others and no waiting are in it.
    #[must_use]
    pub fn alone_per_s(&self, cores: u32) -> f64 {
        let most = self.cpu_s_per_1000 / f64::from(cores.max(1));
        1000.0 / most.max(self.busiest_thread_s_per_1000)
    }
}

fn running() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc/self/task").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A thread that works until it is told to stop.
    fn worker() -> (mpsc::Sender<()>, std::thread::JoinHandle<()>) {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
                std::hint::black_box((0..1000_u64).fold(1, u64::wrapping_mul));
            }
        });
        (stop, thread)
    }

    #[test]
    fn work_is_its_members() {
        let mut threads = Threads::new();
        let (stop, thread) = worker();
        threads.started();
        threads.started();
        let before = threads.used();
        let found = loop {
            let used = threads.used().since(&before, 1000);
            if used.first().is_some_and(|one| one.cpu_s_per_1000 > 0.05) {
                break used;
            }
        };
        drop(stop);
        thread.join().unwrap();
        let [worked, idle] = found.as_slice() else {
            panic!("two members");
        };
        assert!(worked.busiest_thread_s_per_1000 > 0.0);
        assert_eq!(idle.cpu_s_per_1000, 0.0);
    }

    #[test]
    fn one_core_is_filled_by_all_threads_and_many_by_the_busiest() {
        let member = MemberCpu {
            cpu_s_per_1000: 0.02,
            busiest_thread_s_per_1000: 0.008,
        };
        assert!((member.alone_per_s(1) - 50_000.0).abs() < 1.0);
        assert!((member.alone_per_s(2) - 100_000.0).abs() < 1.0);
        assert!((member.alone_per_s(4) - 125_000.0).abs() < 1.0);
    }
}
