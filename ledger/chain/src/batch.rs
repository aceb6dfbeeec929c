use alloy_trie::root::ordered_trie_root_with_encoder;
use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use hedgerow_base::{Digest, NodeId, Slot, Time};
use hedgerow_proofs::Header;
use hedgerow_records::{Bundle, MAX_TRANSACTIONS, Receipt, Receipts, Rejection};
use hedgerow_wire::{List, encode_into};

/// A batch that the protocol ordered, exactly as it was given to [`Ledger::execute`](crate::Ledger::execute): whoever
/// executes all of them from the genesis on has the ledger.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Batch {
    /// Its place in the order.
    pub slot: Slot,
    /// The time that was proposed with it.
    pub time: Time,
    /// The requests, in order; none in a batch that a new primary put where nothing had been proposed.
    pub requests: Vec<Request>,
}

/// An ordered request. Only its operation is executed; the rest is kept so that the batch can be given to another
/// member exactly as it was ordered.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Request {
    /// The protocol's client that made it: a gateway.
    pub client: NodeId,
    /// The client's number for it.
    pub number: u64,
    /// A bundle of transactions, unless the client is at fault.
    pub operation: Bytes,
}

/// What executing a batch gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// The new block's header.
    pub header: Header,
    /// The header's hash.
    pub hash: Digest,
    /// What became of each request's transactions; a request that is not a bundle has one receipt.
    pub receipts: Vec<Receipts>,
    /// How many transactions the block has, rejected ones too.
    pub transactions: u32,
    /// How many readings it appended.
    pub readings: u32,
}

/// A batch's requests, taken apart into transactions.
pub(crate) struct Split<'a> {
    /// The block's transactions. A request that is not a bundle counts as one.
    pub(crate) transactions: Vec<&'a [u8]>,
    /// Those that are to be executed.
    pub(crate) executable: Vec<&'a [u8]>,
    /// How many transactions each request has; `None` for one that is not a bundle.
    counts: Vec<Option<usize>>,
}

impl<'a> Split<'a> {
    pub(crate) fn new(requests: &'a [Request]) -> Self {
        let mut split = Self {
            transactions: Vec::new(),
            executable: Vec::new(),
            counts: Vec::new(),
        };
        for request in requests {
            let bundle = Bundle::split(&request.operation);
            split.counts.push(bundle.as_ref().map(Vec::len));
            match bundle {
                Some(transactions) => {
                    split.transactions.extend_from_slice(&transactions);
                    split.executable.extend(transactions);
                }
                None => split.transactions.push(&request.operation),
            }
        }
        split
    }

    /// The receipts of each request, given those of the executable transactions.
    pub(crate) fn receipts(&self, executed: Vec<Receipt>) -> Vec<Receipts> {
        let mut executed = executed.into_iter();
        let of_request = |count: &Option<usize>| {
            let receipts = match count {
                Some(count) => executed.by_ref().take(*count).collect(),
                None => vec![Receipt::Rejected {
                    reason: Rejection::NotABundle,
                }],
            };
            debug_assert!(receipts.len() <= MAX_TRANSACTIONS, "a bundle has no more");
            Receipts(List::new(receipts).unwrap_or_default())
        };
        self.counts.iter().map(of_request).collect()
    }
}

/// The root of Ethereum's trie of a block's transactions: by their numbers, their bytes.
pub(crate) fn transactions_root(transactions: &[&[u8]]) -> Digest {
    Digest(
        ordered_trie_root_with_encoder(transactions, |bytes, out| out.extend_from_slice(bytes)).0,
    )
}

/// The root of the trie of a block's receipts: by the transactions' numbers, the receipts' encodings.
pub(crate) fn receipts_root(receipts: &[Receipts]) -> Digest {
    let receipts: Vec<&Receipt> = receipts
        .iter()
        .flat_map(|receipts| receipts.0.iter())
        .collect();
    Digest(ordered_trie_root_with_encoder(&receipts, encode_into).0)
}

pub(crate) fn appended(receipts: &[Receipts]) -> u32 {
    let all = receipts.iter().flat_map(|receipts| receipts.0.iter());
    all.map(|receipt| {
        if let Receipt::Recorded { appended, .. } = receipt {
            *appended
        } else {
            0
        }
    })
    .sum()
}
