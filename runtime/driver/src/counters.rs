use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// What a driver has done since it started.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Stats { $($(#[$doc])* pub $name: u64),* }

        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: AtomicU64),* }

        impl Counters {
            pub(crate) fn stats(&self) -> Stats {
                Stats { $($name: self.$name.load(Ordering::Relaxed)),* }
            }
        }
    };
}

counters! {
    /// Bursts of inputs.
    bursts,
    /// Inputs stepped, of all kinds.
    inputs,
    /// Messages admitted and stepped, one's own included.
    messages_in,
    /// Frames that were not admitted.
    rejected,
    /// Commands of the application stepped.
    commands,
    /// Deadlines stepped.
    deadlines,
    /// Messages sealed to be sent.
    messages_out,
    /// Frames handed to the transport: a message counts once for each receiver.
    frames_out,
    /// Payload bytes handed to the transport.
    bytes_out,
    /// Frames that the transport did not take: nobody there, or too slow.
    undelivered,
    /// Events given to the application.
    events,
    /// Records appended to the log.
    records,
    /// Their bytes.
    record_bytes,
    /// Commits of the log: with durability on each is one wait for the disk.
    syncs,
    /// Nanoseconds spent in them.
    sync_nanos,
}

pub(crate) fn add(counter: &AtomicU64, more: usize) {
    if more > 0 {
        counter.fetch_add(more as u64, Ordering::Relaxed);
    }
}
