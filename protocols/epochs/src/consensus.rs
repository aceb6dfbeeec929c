use alloc::{borrow::ToOwned, string::String, vec::Vec};
use core::str::FromStr;

use hedgerow_abstract::Composition;

/// An ordering protocol that an epoch can have, as the genesis and the votes name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consensus {
    /// Practical Byzantine fault tolerance.
    Pbft,
    /// Instances that may abort, one after the other.
    Abstract(Composition),
}

impl Consensus {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let composed = Composition::ALL.iter().copied().map(Self::Abstract);
        core::iter::once(Self::Pbft).chain(composed)
    }

    /// The name in the genesis, in votes and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pbft => "pbft",
            Self::Abstract(composition) => composition.name(),
        }
    }
}

/// No protocol has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not an ordering protocol of this version; it has: {names}", names = names())]
pub struct UnknownConsensus(pub String);

fn names() -> String {
    let names: Vec<_> = Consensus::all().map(Consensus::name).collect();
    names.join(", ")
}

impl FromStr for Consensus {
    type Err = UnknownConsensus;

    fn from_str(name: &str) -> Result<Self, UnknownConsensus> {
        let known = Self::all().find(|known| known.name() == name);
        known.ok_or_else(|| UnknownConsensus(name.to_owned()))
    }
}
