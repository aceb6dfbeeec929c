use hedgerow_base::Digest;
use hedgerow_kv::{KvRead, StoreError};
use hedgerow_merkle::{NodeAddress, Nodes, node_count};
use hedgerow_records::StreamId;
use hedgerow_state::{View, Writes};

use crate::{
    read::damaged,
    tables::{NODES, at, end},
};

/// How many leaves' nodes are kept together.
const MAX_SEGMENT: usize = 128;

/// The nodes of a stream's Merkle mountain range.
pub struct StreamNodes<'a, S: ?Sized> {
    view: View<'a, S>,
    stream: StreamId,
}

impl<'a, S: KvRead + ?Sized> StreamNodes<'a, S> {
    /// Those of `stream`.
    #[must_use]
    pub const fn new(view: View<'a, S>, stream: StreamId) -> Self {
        Self { view, stream }
    }
}

impl<S: KvRead + ?Sized> Nodes for StreamNodes<'_, S> {
    type Error = StoreError;

    fn node(&self, address: NodeAddress) -> Result<Option<Digest>, StoreError> {
        let from = at(self.stream, address.last_leaf());
        let Some((_, segment)) = self.view.first(NODES, &from, &end(self.stream))? else {
            return Ok(None);
        };
        let Some((first, hashes)) = segment.split_first_chunk() else {
            return Err(damaged(NODES));
        };
        let Some(skipped) = address
            .position()
            .checked_sub(node_count(u64::from_be_bytes(*first)))
        else {
            return Ok(None);
        };
        let hash = usize::try_from(skipped)
            .ok()
            .and_then(|skipped| hashes.chunks_exact(32).nth(skipped));
        hash.map(|hash| hash.try_into().map(Digest).map_err(|_| damaged(NODES)))
            .transpose()
    }
}

/// The nodes that one block makes in a stream, in groups: 8 bytes of the group's first leaf, then the hashes in the
/// order of their positions.
#[derive(Debug, Default)]
pub(crate) struct NewNodes {
    full: Vec<(u64, Vec<u8>)>,
    group: Vec<u8>,
    leaves: usize,
    last: u64,
}

impl NewNodes {
    pub(crate) fn push(&mut self, address: NodeAddress, hash: &Digest) {
        if address.level == 0 {
            if self.leaves == MAX_SEGMENT {
                self.close();
            }
            if self.leaves == 0 {
                self.group.extend_from_slice(&address.index.to_be_bytes());
            }
            self.leaves += 1;
            self.last = address.index;
        }
        self.group.extend_from_slice(hash.as_ref());
    }

    fn close(&mut self) {
        if self.leaves > 0 {
            self.full.push((self.last, std::mem::take(&mut self.group)));
            self.leaves = 0;
        }
    }

    pub(crate) fn write(mut self, stream: StreamId, writes: &mut Writes) {
        self.close();
        for (last, group) in self.full {
            writes.put(NODES, at(stream, last), group);
        }
    }
}
