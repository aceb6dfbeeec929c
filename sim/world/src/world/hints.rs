//! What nodes are told of their connections: that one stands for the first time, or that it broke, late or not at all; that
//! it stands again; and at times that one broke which did not.

use hedgerow_base::{NodeId, NodeSet};

use super::{Happening, World};
use crate::{MS, Rng, Subject, node::Inbound};

/// A hint is at most so late.
const LATEST: u64 = 3_000 * MS;

#[derive(Clone, Debug)]
pub(super) struct Hints {
    rng: Rng,
    /// Per node: the replicas of which it was last told that their connections broke.
    broken: Vec<NodeSet>,
    /// Per node: the replicas of which it was told anything.
    known: Vec<NodeSet>,
}

impl Hints {
    pub(super) fn new(seed: u64, members: usize) -> Self {
        Self {
            // Apart from what else chance decides.
            rng: Rng::new(seed ^ 0x6c69_6e6b_7300_0000),
            broken: vec![NodeSet::EMPTY; members],
            known: vec![NodeSet::EMPTY; members],
        }
    }
}

impl<S: Subject> World<'_, S> {
    /// A node starts: connections come to stand for the first time; some notice.
    pub(super) fn hint_first(&mut self, started: NodeId) {
        for other in 0..self.nodes.len() as u32 {
            for (node, peer) in [(started, NodeId(other)), (NodeId(other), started)] {
                if self.plan.roster.contains(peer) && self.hints.rng.chance(700_000) {
                    let delay = self.hints.rng.spread(MS, LATEST);
                    self.hint(node, peer, true, false, delay);
                }
            }
        }
    }

    /// A replica can't be reached by anybody any more; some notice.
    pub(super) fn hint_broken(&mut self, peer: NodeId) {
        for node in 0..self.nodes.len() as u32 {
            self.hint_later(NodeId(node), peer);
        }
    }

    /// Some of those who are separated notice.
    pub(super) fn hint_separated(&mut self) {
        for node in 0..self.nodes.len() as u32 {
            for peer in self.plan.roster.iter() {
                if self.links.is_cut(NodeId(node), peer) {
                    self.hint_later(NodeId(node), peer);
                }
            }
        }
    }

    /// Whoever was told that a connection broke will be told that it stands again, if it does.
    pub(super) fn hint_mended(&mut self) {
        for node in 0..self.nodes.len() {
            for peer in self.hints.broken[node].iter() {
                if self.reaches(NodeId(node as u32), peer) {
                    let delay = self.hints.rng.spread(MS, LATEST);
                    self.hint(NodeId(node as u32), peer, true, false, delay);
                }
            }
        }
    }

    /// A connection breaks and comes back for a reason of its own.
    pub(super) fn hint_at_random(&mut self) {
        let node = self.hints.rng.below(self.nodes.len() as u64);
        let peer = self.hints.rng.below(self.plan.roster.n() as u64);
        self.hint(NodeId(node as u32), NodeId(peer as u32), false, true, MS);
    }

    fn hint_later(&mut self, node: NodeId, peer: NodeId) {
        if self.hints.rng.chance(700_000) {
            let delay = self.hints.rng.spread(MS, LATEST);
            self.hint(node, peer, false, false, delay);
        }
    }

    fn hint(&mut self, id: NodeId, peer: NodeId, up: bool, false_alarm: bool, delay: u64) {
        let node = &self.nodes[id.index()];
        if id == peer || !node.is_up() {
            return;
        }
        let link = Happening::Link {
            node: id,
            life: node.life,
            peer,
            up,
            false_alarm,
        };
        self.schedule(self.now + delay, link);
    }

    /// Tells a node, unless that is no news, or no longer true.
    pub(super) fn tell_link(&mut self, node: NodeId, peer: NodeId, up: bool, false_alarm: bool) {
        let broken = self.hints.broken[node.index()].contains(peer);
        let news = broken == up || !self.hints.known[node.index()].contains(peer);
        let holds = false_alarm || self.reaches(node, peer) == up;
        if !news || !holds || self.rested {
            return;
        }
        self.hints.known[node.index()].insert(peer);
        self.hints.broken[node.index()].set(peer, !up);
        self.transcript.say(self.now, || {
            let what = if up { "stands" } else { "broke" };
            format!("{node} is told that its connection with {peer} {what}")
        });
        self.push(node, Inbound::Link { peer, up });
        if false_alarm {
            let delay = self.hints.rng.spread(MS, LATEST);
            self.hint(node, peer, true, false, delay);
        }
    }

    /// A node that starts has been told nothing.
    pub(super) fn forget_hints(&mut self, node: NodeId) {
        self.hints.broken[node.index()] = NodeSet::EMPTY;
        self.hints.known[node.index()] = NodeSet::EMPTY;
    }

    fn reaches(&self, node: NodeId, peer: NodeId) -> bool {
        self.nodes[peer.index()].is_up()
            && !self.links.is_cut(node, peer)
            && !self.links.is_cut(peer, node)
    }
}
