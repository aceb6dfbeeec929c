use std::{
    net::SocketAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hedgerow_base::NodeId;

use crate::{MemberAddress, outbound::Outbound};

/// How it stands with one member.
#[derive(Clone, Debug, Default)]
pub struct MemberStatus {
    /// Who.
    pub id: NodeId,
    /// Whether there is a session.
    pub connected: bool,
    /// How long ago it was last heard, if ever since the start.
    pub last_heard: Option<Duration>,
    /// Where the session's other end is.
    pub remote: Option<SocketAddr>,
    /// Frames that wait to be sent.
    pub queued_frames: usize,
    /// Payload bytes that wait to be sent.
    pub queued_bytes: usize,
    /// Frames sent, since the start.
    pub sent_frames: u64,
    /// Bytes sent, frame headers included and TLS's own not.
    pub sent_bytes: u64,
    /// Frames received.
    pub received_frames: u64,
    /// Bytes received, frame headers included and TLS's own not.
    pub received_bytes: u64,
    /// Frames not sent because the queue was full or the frame too large.
    pub dropped: u64,
    /// Frames not sent because there was no session.
    pub unreachable: u64,
    /// Frames received and dropped: nobody takes their channel, or its mailbox was full and drops.
    pub refused: u64,
    /// Sessions begun.
    pub sessions: u64,
    /// Why the last session ended, or why none could be begun.
    pub last_error: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sent_frames: AtomicU64,
    pub(crate) sent_bytes: AtomicU64,
    pub(crate) received_frames: AtomicU64,
    pub(crate) received_bytes: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) unreachable: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) sessions: AtomicU64,
}

pub(crate) fn add(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}

/// What the transport knows of another member.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) member: MemberAddress,
    pub(crate) outbound: Outbound,
    pub(crate) counters: Counters,
    epoch: Instant,
    /// Milliseconds after the epoch, plus one; 0 for never.
    heard: AtomicU64,
    remote: Mutex<Option<SocketAddr>>,
    last_error: Mutex<Option<String>>,
}

impl Peer {
    pub(crate) fn new(member: MemberAddress) -> Self {
        Self {
            member,
            outbound: Outbound::default(),
            counters: Counters::default(),
            epoch: Instant::now(),
            heard: AtomicU64::new(0),
            remote: Mutex::default(),
            last_error: Mutex::default(),
        }
    }

    pub(crate) const fn id(&self) -> NodeId {
        self.member.id
    }

    pub(crate) fn heard_now(&self) {
        let millis = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.heard.store(millis + 1, Ordering::Relaxed);
    }

    /// How long ago it was heard.
    pub(crate) fn silence(&self) -> Option<Duration> {
        let millis = self.heard.load(Ordering::Relaxed).checked_sub(1)?;
        Some(
            self.epoch
                .elapsed()
                .saturating_sub(Duration::from_millis(millis)),
        )
    }

    pub(crate) fn set_remote(&self, remote: SocketAddr) {
        *self.remote.lock().unwrap_or_else(PoisonError::into_inner) = Some(remote);
    }

    /// Notes what went wrong, and logs it unless it is what went wrong the last time.
    pub(crate) fn failed(&self, error: String) {
        let mut last = self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() != Some(&error) {
            tracing::warn!(member = self.id().0, "{error}");
        }
        *last = Some(error);
    }

    pub(crate) fn status(&self) -> MemberStatus {
        let (queued_frames, queued_bytes, connected) = self.outbound.waiting();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        MemberStatus {
            id: self.id(),
            connected,
            last_heard: self.silence(),
            remote: *self.remote.lock().unwrap_or_else(PoisonError::into_inner),
            queued_frames,
            queued_bytes,
            sent_frames: count(&self.counters.sent_frames),
            sent_bytes: count(&self.counters.sent_bytes),
            received_frames: count(&self.counters.received_frames),
            received_bytes: count(&self.counters.received_bytes),
            dropped: count(&self.counters.dropped),
            unreachable: count(&self.counters.unreachable),
            refused: count(&self.counters.refused),
            sessions: count(&self.counters.sessions),
            last_error: self
                .last_error
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }
}
