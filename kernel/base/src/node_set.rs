use core::fmt;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::NodeId;

/// A set of members whose identifiers are below [`NodeSet::CAPACITY`]; the votes of a quorum are one.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub struct NodeSet(u128);

impl NodeSet {
    /// One more than the greatest identifier that fits.
    pub const CAPACITY: u32 = 128;
    /// The set without members.
    pub const EMPTY: Self = Self(0);

    /// Adds `node`; says whether it was new. An identifier that does not fit is never added.
    pub const fn insert(&mut self, node: NodeId) -> bool {
        if node.0 >= Self::CAPACITY {
            return false;
        }
        let bit = 1 << node.0;
        let new = self.0 & bit == 0;
        self.0 |= bit;
        new
    }

    /// Takes `node` out; says whether it was there.
    pub const fn remove(&mut self, node: NodeId) -> bool {
        let there = self.contains(node);
        if there {
            self.0 &= !(1 << node.0);
        }
        there
    }

    /// Adds `node` or takes it out.
    pub const fn set(&mut self, node: NodeId, there: bool) {
        if there {
            self.insert(node);
        } else {
            self.remove(node);
        }
    }

    /// Whether `node` is in the set.
    #[must_use]
    pub const fn contains(&self, node: NodeId) -> bool {
        node.0 < Self::CAPACITY && self.0 >> node.0 & 1 == 1
    }

    /// How many members it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether it has no members.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// The members in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = NodeId> + use<> {
        let bits = self.0;
        (0..Self::CAPACITY)
            .filter(move |id| bits >> id & 1 == 1)
            .map(NodeId)
    }
}

impl FromIterator<NodeId> for NodeSet {
    fn from_iter<I: IntoIterator<Item = NodeId>>(nodes: I) -> Self {
        let mut set = Self::EMPTY;
        for node in nodes {
            set.insert(node);
        }
        set
    }
}

impl fmt::Debug for NodeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(|node| node.0))
            .finish()
    }
}
