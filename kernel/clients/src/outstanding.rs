use alloc::vec::Vec;

use bytes::Bytes;

/// What a client waits for, to be taken on by its successor in another protocol: under the same numbers, because the
/// replicas may have executed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outstanding {
    /// The last number used; 0 when none was.
    pub last: u64,
    /// Invocations without a result: the number, the application's name for it, and the operation, in the order of their
    /// numbers.
    pub invocations: Vec<(u64, u64, Bytes)>,
    /// Queries without an answer that were not ordered: the application's name for each, and the query.
    pub queries: Vec<(u64, Bytes)>,
}
