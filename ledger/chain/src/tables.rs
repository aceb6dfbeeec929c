use hedgerow_kv::Table;

/// Height (8 bytes, big-endian) → [`BlockEntry`](crate::ledger::BlockEntry).
pub(crate) const BLOCKS: Table = "blocks";
/// Hash of a block's header → height (8 bytes, big-endian).
pub(crate) const HEIGHTS: Table = "heights";
/// Slot (8 bytes, big-endian) → [`Batch`](crate::Batch).
pub(crate) const BATCHES: Table = "batches";
/// Position (8 bytes, big-endian) → node of the Merkle mountain range over all headers.
pub(crate) const HISTORY: Table = "history";
/// Height (8 bytes, big-endian) → the receipts of each of the block's requests.
pub(crate) const RECEIPTS: Table = "receipts";
/// Hash of an Ethereum transaction that was executed → the block's height, its number in the block.
pub(crate) const TRANSACTIONS: Table = "transactions";
/// Height (8 bytes, big-endian) → [`ContractReceipt`](crate::ContractReceipt)s; absent where the block has none.
pub(crate) const CONTRACT_RECEIPTS: Table = "contract_receipts";
/// A few single values.
pub(crate) const META: Table = "meta";

/// Every table that a ledger uses.
pub fn tables() -> impl Iterator<Item = Table> {
    [
        BLOCKS,
        HEIGHTS,
        BATCHES,
        RECEIPTS,
        TRANSACTIONS,
        CONTRACT_RECEIPTS,
        HISTORY,
        META,
    ]
    .into_iter()
    .chain(hedgerow_state::TABLES)
    .chain(hedgerow_streams::TABLES)
    .chain(hedgerow_evm::TABLES)
}
