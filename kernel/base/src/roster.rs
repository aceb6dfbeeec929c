use core::fmt;

use crate::{NodeId, NodeSet, View};

/// The replicas of a network, `0..n`, and the arithmetic of their quorums: at most f of n ≥ 3f + 1 are faulty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roster {
    n: u32,
}

/// A number of replicas that no roster can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RosterError(pub u32);

impl fmt::Display for RosterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} replicas: a network has 1 to {}",
            self.0,
            NodeSet::CAPACITY
        )
    }
}

impl core::error::Error for RosterError {}

impl Roster {
    /// A roster of `n` replicas.
    ///
    /// # Errors
    /// When `n` is 0 or above [`NodeSet::CAPACITY`].
    pub const fn new(n: u32) -> Result<Self, RosterError> {
        if n == 0 || n > NodeSet::CAPACITY {
            Err(RosterError(n))
        } else {
            Ok(Self { n })
        }
    }

    /// How many replicas there are.
    #[must_use]
    pub const fn n(self) -> usize {
        self.n as usize
    }

    /// How many of them may be faulty: the greatest f with n ≥ 3f + 1.
    #[must_use]
    pub const fn f(self) -> usize {
        (self.n as usize - 1) / 3
    }

    /// The least number of replicas such that any two quorums share a correct one: ⌈(n + f + 1) / 2⌉,
    /// which is 2f + 1 when n = 3f + 1. It never exceeds n − f, so the correct replicas form a quorum.
    #[must_use]
    pub const fn quorum(self) -> usize {
        (self.n() + self.f() + 2) / 2
    }

    /// The least number of replicas of which one is correct: f + 1.
    #[must_use]
    pub const fn weak(self) -> usize {
        self.f() + 1
    }

    /// The primary of `view`: view mod n.
    #[must_use]
    pub const fn primary(self, view: View) -> NodeId {
        NodeId((view.0 % self.n as u64) as u32)
    }

    /// Whether `node` is a replica.
    #[must_use]
    pub const fn contains(self, node: NodeId) -> bool {
        node.0 < self.n
    }

    /// The replicas in ascending order.
    pub fn iter(self) -> impl Iterator<Item = NodeId> {
        (0..self.n).map(NodeId)
    }

    /// The replicas but `me`, in ascending order.
    pub fn others(self, me: NodeId) -> impl Iterator<Item = NodeId> {
        self.iter().filter(move |&node| node != me)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorums_intersect_in_a_correct_replica_and_the_correct_ones_form_one() {
        for n in 1..=NodeSet::CAPACITY {
            let roster = Roster::new(n).unwrap();
            let (n, f, quorum) = (roster.n(), roster.f(), roster.quorum());
            assert!(n > 3 * f);
            assert!(2 * quorum > n + f, "n = {n}");
            assert!(
                2 * (quorum - 1) <= n + f,
                "n = {n}: a smaller quorum would do"
            );
            assert!(quorum <= n - f, "n = {n}");
        }
        assert_eq!(Roster::new(4).unwrap().quorum(), 3);
        assert_eq!(Roster::new(7).unwrap().quorum(), 5);
    }

    #[test]
    fn primaries_rotate() {
        let roster = Roster::new(4).unwrap();
        assert_eq!(roster.primary(View(0)), NodeId(0));
        assert_eq!(roster.primary(View(7)), NodeId(3));
    }
}
