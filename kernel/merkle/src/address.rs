/// Where a node is: it covers the leaves `index << level .. (index + 1) << level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeAddress {
    /// 0 for leaves.
    pub level: u32,
    /// Its number among the nodes of its level.
    pub index: u64,
}

impl NodeAddress {
    /// The leaf with that number.
    #[must_use]
    pub const fn leaf(index: u64) -> Self {
        Self { level: 0, index }
    }

    /// The node above.
    #[must_use]
    pub const fn parent(self) -> Self {
        Self {
            level: self.level + 1,
            index: self.index >> 1,
        }
    }

    /// The other node under the same parent.
    #[must_use]
    pub const fn sibling(self) -> Self {
        Self {
            level: self.level,
            index: self.index ^ 1,
        }
    }

    /// Whether its parent has it on the left.
    #[must_use]
    pub const fn is_left(self) -> bool {
        self.index & 1 == 0
    }

    /// The last leaf under it: the node comes into being when that leaf is appended.
    #[must_use]
    pub const fn last_leaf(self) -> u64 {
        // (index + 1) << level may be 2^64 for the last node of all; minus one it fits.
        (self.index << self.level) | low_bits(self.level)
    }

    /// Its number among all nodes in the order in which they come into being: after its last leaf come the nodes that
    /// the leaf completes, from the lowest level to the highest.
    #[must_use]
    pub const fn position(self) -> u64 {
        node_count(self.last_leaf()).saturating_add(self.level as u64)
    }
}

const fn low_bits(count: u32) -> u64 {
    if count >= 64 {
        u64::MAX
    } else {
        (1 << count) - 1
    }
}

/// How many nodes a range of `length` leaves has. `length` is below 2^63.
#[must_use]
pub const fn node_count(length: u64) -> u64 {
    length.saturating_mul(2) - length.count_ones() as u64
}

/// The tops of the mountains of a range of `length` leaves, the greatest first.
pub fn peak_addresses(length: u64) -> impl DoubleEndedIterator<Item = NodeAddress> {
    (0..u64::BITS)
        .rev()
        .filter(move |level| length >> level & 1 == 1)
        .map(move |level| NodeAddress {
            level,
            // The leaves before this mountain are those of the greater ones.
            index: (length >> level) - 1,
        })
}
