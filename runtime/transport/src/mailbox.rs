use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use hedgerow_base::NodeId;
use tokio::sync::Notify;

use crate::{Channel, Doorbell};

/// A frame that has come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbound {
    /// Who sent it: the session proves it.
    pub from: NodeId,
    /// On which channel.
    pub channel: Channel,
    /// What. Part of a larger buffer, which is kept as long as this is: copy what is to stay.
    pub bytes: Bytes,
}

/// What happens to a frame whose sender's queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The sender's socket is not read until there is room; that holds back all its channels.
    #[default]
    Wait,
    /// The frame is dropped and counted.
    Drop,
}

/// How much a mailbox holds of one peer.
#[derive(Clone, Copy, Debug)]
pub struct MailboxLimits {
    /// Payload bytes; one frame may exceed it.
    pub bytes: usize,
    /// Frames.
    pub frames: usize,
    /// What happens to more.
    pub overflow: Overflow,
}

impl Default for MailboxLimits {
    fn default() -> Self {
        Self {
            bytes: 8 << 20,
            frames: 16_384,
            overflow: Overflow::Wait,
        }
    }
}

/// Which mailbox gets the frames of which channel. Frames of other channels are dropped.
#[derive(Debug, Default)]
pub struct Routes {
    by_channel: BTreeMap<Channel, Mailbox>,
    opened: Vec<Mailbox>,
}

impl Routes {
    /// A mailbox for what comes on `channels`; `bell` is rung when something has come.
    pub fn open(
        &mut self,
        channels: &[Channel],
        limits: MailboxLimits,
        bell: Arc<Doorbell>,
    ) -> Mailbox {
        let mailbox = Mailbox {
            shared: Arc::new(Shared {
                limits,
                bell,
                queues: Mutex::default(),
                links_changed: AtomicBool::new(false),
            }),
        };
        self.opened.push(mailbox.clone());
        for &channel in channels {
            self.by_channel.insert(channel, mailbox.clone());
        }
        mailbox
    }

    pub(crate) fn get(&self, channel: Channel) -> Option<&Mailbox> {
        self.by_channel.get(&channel)
    }

    /// Tells everybody that there is a session with a member, or none any more.
    pub(crate) fn link(&self, peer: NodeId, up: bool) {
        for Mailbox { shared } in &self.opened {
            let mut queues = shared.queues.lock().unwrap_or_else(PoisonError::into_inner);
            queues.links.insert(peer, up);
            drop(queues);
            shared.links_changed.store(true, Ordering::Release);
            shared.bell.ring();
        }
    }
}

/// Where frames wait for one consumer: a queue per peer, served in turn.
#[derive(Clone, Debug)]
pub struct Mailbox {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limits: MailboxLimits,
    bell: Arc<Doorbell>,
    queues: Mutex<Queues>,
    links_changed: AtomicBool,
}

#[derive(Debug, Default)]
struct Queues {
    of_peer: BTreeMap<NodeId, Queue>,
    /// Peers whose queue has something, in the order in which they are served.
    turn: VecDeque<NodeId>,
    /// Whether there is a session, where that changed.
    links: BTreeMap<NodeId, bool>,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<(Channel, Bytes)>,
    bytes: usize,
    /// Set while the peer's session waits for room.
    waiting: Option<Arc<Notify>>,
}

/// How much one peer gets per turn.
const TURN_FRAMES: usize = 64;
const TURN_BYTES: usize = 256 << 10;

impl Mailbox {
    /// Moves up to `max` frames to the end of `burst`; a few per peer in turn, until nothing is left or `max` is
    /// reached. Says how many.
    pub fn take(&self, max: usize, burst: &mut Vec<Inbound>) -> usize {
        let before = burst.len();
        let mut queues = self.queues();
        let Queues { of_peer, turn, .. } = &mut *queues;
        while burst.len() - before < max {
            let Some(from) = turn.pop_front() else { break };
            let Some(queue) = of_peer.get_mut(&from) else {
                continue;
            };
            let (mut frames, mut bytes) =
                (TURN_FRAMES.min(max - (burst.len() - before)), TURN_BYTES);
            while frames > 0
                && let Some((channel, payload)) = queue.frames.pop_front()
            {
                queue.bytes -= payload.len();
                (frames, bytes) = (frames - 1, bytes.saturating_sub(payload.len()));
                burst.push(Inbound {
                    from,
                    channel,
                    bytes: payload,
                });
                if bytes == 0 {
                    break;
                }
            }
            if !queue.frames.is_empty() {
                turn.push_back(from);
            }
            let MailboxLimits { bytes, frames, .. } = self.shared.limits;
            if queue.bytes <= bytes / 2
                && queue.frames.len() <= frames / 2
                && let Some(session) = queue.waiting.take()
            {
                session.notify_one();
            }
        }
        burst.len() - before
    }

    /// As [`Mailbox::take`], after sleeping until there is something or `deadline` has come. The mailbox must have a
    /// bell of its own.
    pub fn recv_burst(
        &self,
        deadline: Option<Instant>,
        max: usize,
        burst: &mut Vec<Inbound>,
    ) -> usize {
        loop {
            let count = self.take(max, burst);
            if count > 0 || !self.shared.bell.wait(deadline) {
                return count;
            }
        }
    }

    /// With whom a session has begun (`true`) or ended since the last call.
    #[must_use]
    pub fn take_links(&self) -> Vec<(NodeId, bool)> {
        if !self.shared.links_changed.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        mem::take(&mut self.queues().links).into_iter().collect()
    }

    /// How many frames wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queues()
            .of_peer
            .values()
            .map(|queue| queue.frames.len())
            .sum()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queues().turn.is_empty()
    }

    /// Puts frames of `from` in, as many as there is room for, and takes them off the front of `frames`. When some
    /// are left, `room` is notified as soon as there is room; with [`Overflow::Drop`] none are, and the second number
    /// says how many were lost. The first one says how many bytes were taken.
    pub(crate) fn deliver(
        &self,
        from: NodeId,
        frames: &mut VecDeque<(Channel, Bytes)>,
        count: usize,
        room: &Arc<Notify>,
    ) -> Delivery {
        let MailboxLimits {
            bytes: max_bytes,
            frames: max_frames,
            overflow,
        } = self.shared.limits;
        let mut delivery = Delivery::default();
        let mut queues = self.queues();
        let Queues { of_peer, turn, .. } = &mut *queues;
        let queue = of_peer.entry(from).or_default();
        let was_empty = queue.frames.is_empty();
        for _ in 0..count {
            if queue.bytes >= max_bytes || queue.frames.len() >= max_frames {
                if overflow == Overflow::Wait {
                    queue.waiting = Some(room.clone());
                    break;
                }
                frames.pop_front();
                delivery.dropped += 1;
            } else if let Some((channel, payload)) = frames.pop_front() {
                queue.bytes += payload.len();
                queue.frames.push_back((channel, payload));
                delivery.taken += 1;
            }
        }
        if was_empty && !queue.frames.is_empty() {
            turn.push_back(from);
        }
        drop(queues);
        if delivery.taken > 0 {
            self.shared.bell.ring();
        }
        delivery
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.shared
            .queues
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delivery {
    pub(crate) taken: usize,
    pub(crate) dropped: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(mailbox: &Mailbox, from: u32, count: usize) -> (Delivery, usize, Arc<Notify>) {
        let mut frames: VecDeque<_> = (0..count)
            .map(|n| (Channel(1), Bytes::from(vec![n as u8; 10])))
            .collect();
        let room = Arc::new(Notify::new());
        let delivery = mailbox.deliver(NodeId(from), &mut frames, count, &room);
        (delivery, frames.len(), room)
    }

    fn open(limits: MailboxLimits) -> Mailbox {
        Routes::default().open(&[Channel(1)], limits, Arc::default())
    }

    #[test]
    fn peers_are_served_in_turn_and_in_order() {
        let mailbox = open(MailboxLimits::default());
        put(&mailbox, 1, 1000);
        put(&mailbox, 2, 3);
        let mut burst = Vec::new();
        assert_eq!(mailbox.take(100, &mut burst), 100);
        assert_eq!(
            burst.iter().filter(|frame| frame.from == NodeId(2)).count(),
            3,
            "2 waits for no more than a turn"
        );
        while mailbox.take(100, &mut burst) > 0 {}
        let of_one: Vec<_> = burst
            .iter()
            .filter(|frame| frame.from == NodeId(1))
            .map(|frame| frame.bytes[0])
            .collect();
        assert_eq!(of_one, (0..1000).map(|n| n as u8).collect::<Vec<_>>());
        assert!(mailbox.is_empty());
    }

    #[test]
    fn a_full_queue_holds_its_sender_back_until_half_of_it_is_free() {
        let mailbox = open(MailboxLimits {
            frames: 10,
            ..MailboxLimits::default()
        });
        let (delivery, left, room) = put(&mailbox, 1, 14);
        assert_eq!((delivery.taken, delivery.dropped, left), (10, 0, 4));
        let mut waiting = tokio_test_future(&room);
        assert!(!waiting());
        mailbox.take(4, &mut Vec::new());
        assert!(!waiting());
        mailbox.take(1, &mut Vec::new());
        assert!(waiting());
    }

    #[test]
    fn a_queue_that_drops_counts_and_is_bounded_by_bytes_too() {
        let mailbox = open(MailboxLimits {
            bytes: 25,
            overflow: Overflow::Drop,
            ..MailboxLimits::default()
        });
        let (delivery, left, _) = put(&mailbox, 1, 14);
        assert_eq!((delivery.taken, delivery.dropped, left), (3, 11, 0));
    }

    /// Whether the notification has come, asked again and again.
    fn tokio_test_future(room: &Arc<Notify>) -> impl FnMut() -> bool {
        let room = room.clone();
        let mut future = Box::pin(async move { room.notified().await });
        move || {
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            future.as_mut().poll(&mut context).is_ready()
        }
    }
}
