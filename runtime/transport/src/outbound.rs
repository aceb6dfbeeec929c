use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::{Channel, Limits};

/// Why a frame was not queued. Sending again is the business of whoever sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// Nobody of that name is a member, or it is oneself.
    #[error("no such peer")]
    Unknown,
    /// There is no session with the member now.
    #[error("the member can't be reached now")]
    Unreachable,
    /// The member's queue is full: it reads too slowly.
    #[error("the member's queue is full")]
    Full,
    /// The frame is larger than its channel allows: the receiver would close the session.
    #[error("the frame is larger than its channel allows")]
    TooLarge,
}

/// What waits to be sent to one peer.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    queue: Mutex<Queue>,
    /// Something was queued since the session's writer was last woken.
    unflushed: AtomicBool,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<(Channel, Bytes)>,
    bytes: usize,
    session: Option<(u64, Arc<Notify>)>,
    sessions: u64,
}

/// The session has been ended, or replaced by a newer one.
#[derive(Debug)]
pub(crate) struct Over;

impl Outbound {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(
        &self,
        channel: Channel,
        payload: Bytes,
        limits: &Limits,
    ) -> Result<(), Undelivered> {
        if payload.len() > limits.frame_bytes_on(channel) || channel == Channel::PING {
            return Err(Undelivered::TooLarge);
        }
        let mut queue = self.queue();
        if queue.session.is_none() {
            return Err(Undelivered::Unreachable);
        }
        // An empty queue takes any frame, so that none is too large for ever.
        let fits = queue.bytes + payload.len() <= limits.outbound_bytes
            && queue.frames.len() < limits.outbound_frames;
        if !fits && !queue.frames.is_empty() {
            return Err(Undelivered::Full);
        }
        queue.bytes += payload.len();
        queue.frames.push_back((channel, payload));
        drop(queue);
        self.unflushed.store(true, Ordering::Release);
        Ok(())
    }

    /// Wakes the session's writer if something was queued since it was last woken.
    pub(crate) fn flush(&self) {
        if self.unflushed.load(Ordering::Acquire)
            && self.unflushed.swap(false, Ordering::AcqRel)
            && let Some((_, wake)) = &self.queue().session
        {
            wake.notify_one();
        }
    }

    /// Begins a session: it takes the place of one that there may be. `wake` is notified when there is something to
    /// write, and when the session is over.
    pub(crate) fn begin(&self, wake: Arc<Notify>) -> u64 {
        let mut queue = self.queue();
        queue.sessions += 1;
        let session = queue.sessions;
        queue.frames.clear();
        queue.bytes = 0;
        if let Some((_, replaced)) = queue.session.replace((session, wake)) {
            replaced.notify_one();
        }
        session
    }

    /// Ends a session, unless a newer one has taken its place; says whether there is none now.
    pub(crate) fn end(&self, session: u64) -> bool {
        let mut queue = self.queue();
        let current = queue.session.as_ref();
        let ended = current.is_some_and(|(current, _)| *current == session);
        if ended {
            queue.session = None;
            queue.frames = VecDeque::new();
            queue.bytes = 0;
        }
        ended
    }

    /// Takes frames off the queue, about `bytes` of them and at least one if there is one.
    pub(crate) fn take(
        &self,
        session: u64,
        bytes: usize,
        into: &mut Vec<(Channel, Bytes)>,
    ) -> Result<(), Over> {
        let mut queue = self.queue();
        if queue
            .session
            .as_ref()
            .is_none_or(|(current, _)| *current != session)
        {
            return Err(Over);
        }
        let mut taken = 0;
        while taken < bytes
            && let Some((channel, payload)) = queue.frames.pop_front()
        {
            taken += payload.len() + crate::frame::HEADER;
            queue.bytes -= payload.len();
            into.push((channel, payload));
        }
        Ok(())
    }

    /// How many frames and bytes wait, and whether there is a session.
    pub(crate) fn waiting(&self) -> (usize, usize, bool) {
        let queue = self.queue();
        (queue.frames.len(), queue.bytes, queue.session.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_frame_is_dropped_when_the_queue_is_full() {
        let limits = Limits {
            outbound_bytes: 100,
            outbound_frames: 5,
            ..Limits::default()
        };
        let outbound = Outbound::default();
        let push = |length: usize| outbound.push(Channel(0), Bytes::from(vec![0; length]), &limits);
        assert_eq!(push(1), Err(Undelivered::Unreachable));
        let session = outbound.begin(Arc::default());
        assert_eq!(push(200), Ok(()), "an empty queue takes any frame");
        assert_eq!(push(1), Err(Undelivered::Full));
        let mut taken = Vec::new();
        outbound.take(session, 1000, &mut taken).unwrap();
        assert_eq!(
            [push(60), push(40), push(1)],
            [Ok(()), Ok(()), Err(Undelivered::Full)]
        );
        assert_eq!(push(limits.frame_bytes + 1), Err(Undelivered::TooLarge));
        outbound.take(session, 1000, &mut taken).unwrap();
        assert_eq!(
            [(); 6]
                .map(|()| push(1))
                .iter()
                .filter(|pushed| pushed.is_err())
                .count(),
            1
        );
        assert_eq!(outbound.waiting(), (5, 5, true));

        let newer = outbound.begin(Arc::default());
        assert!(outbound.take(session, 1, &mut taken).is_err());
        outbound.end(session);
        assert_eq!(
            outbound.waiting(),
            (0, 0, true),
            "frames belong to their session"
        );
        outbound.end(newer);
        assert_eq!(push(1), Err(Undelivered::Unreachable));
    }
}
