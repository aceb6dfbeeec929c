use alloc::vec::Vec;

use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::Digest;
use hedgerow_wire::List;

use crate::{
    NodeAddress, Nodes, ProveError,
    address::peak_addresses,
    hashes::{node_hash, root_hash},
    range::fetch,
};

/// How many hashes a path may have: a mountain's levels and the other mountains.
pub const MAX_PATH: usize = 128;

/// The path from a leaf to the root: the siblings from the leaf up to its mountain's top, then the tops of the other
/// mountains, the greatest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Inclusion(pub List<Digest, MAX_PATH>);

/// The mountain that has the leaf `index`, as its number and its height.
fn mountain(length: u64, index: u64) -> Option<(usize, u32)> {
    let mut peaks = peak_addresses(length).enumerate();
    peaks
        .find(|(_, top)| index <= top.last_leaf())
        .map(|(number, top)| (number, top.level))
}

impl Inclusion {
    /// The path of leaf `index` in the range's first `length` leaves.
    ///
    /// # Errors
    /// When there is no such leaf, or `nodes` lacks a node or can't be read.
    pub fn prove<N: Nodes + ?Sized>(
        nodes: &N,
        length: u64,
        index: u64,
    ) -> Result<Self, ProveError<N::Error>> {
        let out_of_range = ProveError::OutOfRange {
            asked: index,
            length,
        };
        if index >= length {
            return Err(out_of_range);
        }
        let Some((own, height)) = mountain(length, index) else {
            return Err(out_of_range);
        };
        let mut path = Vec::new();
        let mut at = NodeAddress::leaf(index);
        while at.level < height {
            path.push(fetch(nodes, at.sibling())?);
            at = at.parent();
        }
        for (_, top) in peak_addresses(length)
            .enumerate()
            .filter(|(number, _)| *number != own)
        {
            path.push(fetch(nodes, top)?);
        }
        List::new(path).map(Self).map_err(|_| out_of_range)
    }

    /// The root of the range of `length` leaves of which number `index` has the hash `leaf`, or `None` where the path
    /// has not exactly the hashes that it must have.
    #[must_use]
    pub fn root(&self, length: u64, index: u64, leaf: Digest) -> Option<Digest> {
        if index >= length {
            return None;
        }
        let (own, height) = mountain(length, index)?;
        let peaks = length.count_ones() as usize;
        if self.0.len() != height as usize + peaks - 1 {
            return None;
        }
        let (siblings, others) = self.0.split_at(height as usize);
        let mut at = NodeAddress::leaf(index);
        let mut hash = leaf;
        for sibling in siblings {
            hash = if at.is_left() {
                node_hash(&hash, sibling)
            } else {
                node_hash(sibling, &hash)
            };
            at = at.parent();
        }
        let (before, after) = others.split_at(own);
        Some(root_hash(length, before.iter().chain([&hash]).chain(after)))
    }

    /// Whether the range of `length` leaves with that root has at `index` the leaf with that hash.
    #[must_use]
    pub fn verify(&self, root: &Digest, length: u64, index: u64, leaf: Digest) -> bool {
        self.root(length, index, leaf).as_ref() == Some(root)
    }
}
