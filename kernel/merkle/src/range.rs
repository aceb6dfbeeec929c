use alloc::vec::Vec;

use hedgerow_base::Digest;

use crate::{
    NodeAddress,
    address::peak_addresses,
    hashes::{node_hash, root_hash},
};

/// How many mountains a range may have.
pub const MAX_PEAKS: usize = 63;

/// Where the nodes of a range are kept.
pub trait Nodes {
    /// Why the keeper can't be read.
    type Error;

    /// The hash of the node at `address`, or `None` where the keeper doesn't have it.
    ///
    /// # Errors
    /// When the keeper can't be read.
    fn node(&self, address: NodeAddress) -> Result<Option<Digest>, Self::Error>;
}

/// Why nothing could be proved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProveError<E> {
    /// The range has no such leaf, or the earlier length is the greater one.
    #[error("{asked} is not within the range's {length} leaves")]
    OutOfRange {
        /// The leaf or the length.
        asked: u64,
        /// The range's length.
        length: u64,
    },
    /// A node that the range must have is not there.
    #[error("node {0:?} is missing")]
    Missing(NodeAddress),
    /// The keeper can't be read.
    #[error(transparent)]
    Nodes(E),
}

/// The end of a range: what is needed to append, and to know the root. O(log n) memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    length: u64,
    peaks: Vec<Digest>,
}

/// The number of mountains doesn't fit the number of leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a range of {length} leaves has {} mountains, not {found}", length.count_ones())]
pub struct BadPeaks {
    /// The number of leaves.
    pub length: u64,
    /// The number of mountains given.
    pub found: usize,
}

impl Range {
    /// The empty range.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            length: 0,
            peaks: Vec::new(),
        }
    }

    /// The range of `length` leaves whose mountains have these tops, the greatest first.
    ///
    /// # Errors
    /// When a range of that length has another number of mountains.
    pub fn from_peaks(length: u64, peaks: Vec<Digest>) -> Result<Self, BadPeaks> {
        if length.count_ones() as usize != peaks.len() || peaks.len() > MAX_PEAKS {
            return Err(BadPeaks {
                length,
                found: peaks.len(),
            });
        }
        Ok(Self { length, peaks })
    }

    /// The range of `length` leaves whose nodes are kept in `nodes`.
    ///
    /// # Errors
    /// When a mountain's top is not there, or `nodes` can't be read.
    pub fn load<N: Nodes + ?Sized>(nodes: &N, length: u64) -> Result<Self, ProveError<N::Error>> {
        let peaks = peak_addresses(length)
            .map(|address| fetch(nodes, address))
            .collect::<Result<_, _>>()?;
        Ok(Self { length, peaks })
    }

    /// How many leaves it has.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The mountains' tops, the greatest first.
    #[must_use]
    pub fn peaks(&self) -> &[Digest] {
        &self.peaks
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Digest {
        root_hash(self.length, &self.peaks)
    }

    /// Appends a leaf by its hash. `write` gets the nodes that come into being, in the order of their positions: the
    /// leaf first.
    ///
    /// # Panics
    /// When the range has 2^63 - 1 leaves.
    pub fn append(&mut self, leaf: Digest, mut write: impl FnMut(NodeAddress, Digest)) {
        assert!(self.length < (1 << 63) - 1, "a range is full");
        let mut address = NodeAddress::leaf(self.length);
        let mut hash = leaf;
        write(address, hash);
        // A right child completes its parent: the mountain before it is its sibling.
        while !address.is_left() {
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash(&left, &hash);
            address = address.parent();
            write(address, hash);
        }
        self.peaks.push(hash);
        self.length += 1;
    }
}

pub(crate) fn fetch<N: Nodes + ?Sized>(
    nodes: &N,
    address: NodeAddress,
) -> Result<Digest, ProveError<N::Error>> {
    nodes
        .node(address)
        .map_err(ProveError::Nodes)?
        .ok_or(ProveError::Missing(address))
}
