//! Which connections are broken, as the machine is told: not of those that are back at once.

use std::{collections::BTreeMap, time::Duration};

use hedgerow_base::{NodeId, NodeSet, Time};

#[derive(Debug)]
pub(crate) struct Links {
    grace: Duration,
    /// Connections that are away, and when the machine is to hear of it.
    away: BTreeMap<NodeId, Time>,
    /// What it was told is broken.
    broken: NodeSet,
    /// What stands, again or for the first time, and the machine is still to hear of it.
    back: NodeSet,
    /// What it has heard of.
    known: NodeSet,
}

impl Links {
    pub(crate) const fn new(grace: Duration) -> Self {
        Self {
            grace,
            away: BTreeMap::new(),
            broken: NodeSet::EMPTY,
            back: NodeSet::EMPTY,
            known: NodeSet::EMPTY,
        }
    }

    pub(crate) fn note(&mut self, peer: NodeId, up: bool, now: Time) {
        if up {
            self.away.remove(&peer);
        } else if !self.broken.contains(peer) {
            self.away
                .entry(peer)
                .or_insert_with(|| now.plus(self.grace));
        }
        let news = self.broken.contains(peer) || !self.known.contains(peer);
        self.back.set(peer, up && news);
    }

    /// When the machine is to hear of the next one.
    pub(crate) fn due(&self) -> Option<Time> {
        self.away.values().copied().min()
    }

    /// What the machine is to be told by `now`.
    pub(crate) fn next(&mut self, now: Time) -> Option<(NodeId, bool)> {
        if let Some(peer) = self.back.iter().next() {
            self.back.remove(peer);
            self.broken.remove(peer);
            self.known.insert(peer);
            return Some((peer, true));
        }
        let mut due = self.away.iter().filter(|(_, at)| **at <= now);
        let peer = due.next().map(|(peer, _)| *peer)?;
        self.away.remove(&peer);
        self.broken.insert(peer);
        self.known.insert(peer);
        Some((peer, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: NodeId = NodeId(1);

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn what_is_back_in_time_was_never_away() {
        let mut links = Links::new(Duration::from_millis(100));
        links.note(ONE, true, at(0));
        assert_eq!(links.next(at(0)), Some((ONE, true)), "for the first time");
        links.note(ONE, false, at(10));
        assert_eq!((links.due(), links.next(at(109))), (Some(at(110)), None));
        links.note(ONE, true, at(109));
        assert_eq!((links.due(), links.next(at(200))), (None, None));
    }

    #[test]
    fn what_is_broken_is_told_once_and_so_is_its_return() {
        let mut links = Links::new(Duration::from_millis(100));
        links.note(ONE, false, at(10));
        links.note(ONE, false, at(50));
        assert_eq!(links.next(at(110)), Some((ONE, false)));
        links.note(ONE, false, at(120));
        assert_eq!((links.due(), links.next(at(300))), (None, None));
        links.note(ONE, true, at(301));
        links.note(ONE, false, at(302));
        assert_eq!(links.next(at(500)), None, "it is as it was");
        links.note(ONE, true, at(501));
        assert_eq!(links.next(at(501)), Some((ONE, true)));
        assert_eq!(links.next(at(501)), None);
    }
}
