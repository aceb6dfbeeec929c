//! What a checkpoint vouches for, and votes counted by what they say. The table of clients itself is
//! [`hedgerow_clients`].

use alloc::collections::BTreeMap;

use hedgerow_base::{Digest, NodeId, NodeSet, Slot};
pub(super) use hedgerow_clients::Numbers;
use hedgerow_crypto::Hasher;

/// What a checkpoint vouches for: the application's state and the encoded table of clients.
pub(crate) fn checkpoint_digest(slot: Slot, state: &Digest, clients: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    hasher
        .update(b"pbft state\0")
        .update(&slot.0.to_le_bytes())
        .update(&state.0)
        .update(clients);
    hasher.finish()
}

/// Votes of distinct replicas, counted by what they say.
pub(crate) fn most_common<T: Ord + Copy>(
    votes: impl Iterator<Item = (NodeId, T)>,
) -> Option<(T, NodeSet)> {
    let mut tally = BTreeMap::<T, NodeSet>::new();
    for (who, what) in votes {
        tally.entry(what).or_default().insert(who);
    }
    tally.into_iter().max_by_key(|(_, who)| who.len())
}
