use core::fmt;

use borsh::{BorshDeserialize, BorshSerialize};

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
        )]
        pub struct $name(pub $inner);

        impl $name {
            /// The first value.
            pub const ZERO: Self = Self(0);

            /// The value after this one; it stays at the greatest one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }

            /// The value before this one; it stays at zero.
            #[must_use]
            pub const fn previous(self) -> Self {
                Self(self.0.saturating_sub(1))
            }

            /// The value `count` further on; it stays at the greatest one.
            #[must_use]
            pub const fn plus(self, count: $inner) -> Self {
                Self(self.0.saturating_add(count))
            }

            /// How far this value is past `earlier`; zero when it is not.
            #[must_use]
            pub const fn since(self, earlier: Self) -> $inner {
                self.0.saturating_sub(earlier.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

counter! {
    /// A member of the network. Validators (replicas) are `0..n`; gateways (clients) come after them,
    /// in the order of the genesis.
    NodeId(u32)
}
counter! {
    /// A configuration of the replicas under one primary (OSDI '99 §4.1).
    View(u64)
}
counter! {
    /// A place in the total order: the protocol's sequence number of a batch. Slot 0 is before the first batch.
    Slot(u64)
}
counter! {
    /// A block's number. The genesis block has height 0.
    Height(u64)
}
counter! {
    /// A position in a participant's durable log. `Lsn(0)` is durable from the start: nothing to wait for.
    Lsn(u64)
}

impl NodeId {
    /// This identifier as an index into the genesis' list of members.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}
