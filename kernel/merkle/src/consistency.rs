use alloc::vec::Vec;

use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::Digest;
use hedgerow_wire::List;

use crate::{
    MAX_PATH, NodeAddress, Nodes, ProveError, Range, address::peak_addresses, hashes::node_hash,
    range::fetch,
};

/// That a range's first leaves are those of an earlier one: the earlier mountains' tops, then, from left to right, the
/// tops of the largest trees that cover the leaves since.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Consistency(pub List<Digest, MAX_PATH>);

/// The largest trees, from left to right, that cover the leaves `old..new` without any other.
fn added(old: u64, new: u64) -> impl Iterator<Item = NodeAddress> {
    let mut at = old;
    core::iter::from_fn(move || {
        let left = new.checked_sub(at).filter(|&left| left > 0)?;
        let level = at.trailing_zeros().min(left.ilog2());
        let address = NodeAddress {
            level,
            index: at >> level,
        };
        at += 1 << level;
        Some(address)
    })
}

impl Consistency {
    /// That the first `new` leaves go on from the first `old`.
    ///
    /// # Errors
    /// When `old` is the greater one, or `nodes` lacks a node or can't be read.
    pub fn prove<N: Nodes + ?Sized>(
        nodes: &N,
        old: u64,
        new: u64,
    ) -> Result<Self, ProveError<N::Error>> {
        if old > new {
            return Err(ProveError::OutOfRange {
                asked: old,
                length: new,
            });
        }
        let hashes = peak_addresses(old)
            .chain(added(old, new))
            .map(|address| fetch(nodes, address));
        let hashes = hashes.collect::<Result<Vec<_>, _>>()?;
        List::new(hashes)
            .map(Self)
            .map_err(|_| ProveError::OutOfRange {
                asked: old,
                length: new,
            })
    }

    /// Whether the range of `new` leaves with root `new_root` goes on from the one of `old` leaves with `old_root`.
    #[must_use]
    pub fn verify(&self, old_root: &Digest, old: u64, new_root: &Digest, new: u64) -> bool {
        let count = old.count_ones() as usize;
        if old > new
            || new >= 1 << 63
            || self.0.len() < count
            || self.0.len() - count != added(old, new).count()
        {
            return false;
        }
        let (peaks, rest) = self.0.split_at(count);
        let Ok(range) = Range::from_peaks(old, peaks.to_vec()) else {
            return false;
        };
        if range.root() != *old_root {
            return false;
        }
        // The mountains grow by whole trees as they do by leaves: equal neighbours merge.
        let mut mountains: Vec<(NodeAddress, Digest)> =
            peak_addresses(old).zip(peaks.iter().copied()).collect();
        for (mut address, mut hash) in added(old, new).zip(rest.iter().copied()) {
            while !address.is_left() {
                let Some((_, left)) = mountains.pop_if(|(top, _)| *top == address.sibling()) else {
                    break;
                };
                hash = node_hash(&left, &hash);
                address = address.parent();
            }
            mountains.push((address, hash));
        }
        let tops = mountains.into_iter().map(|(_, hash)| hash).collect();
        Range::from_peaks(new, tops).is_ok_and(|range| range.root() == *new_root)
    }
}
