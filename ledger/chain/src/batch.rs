use std::collections::BTreeMap;

use alloy_trie::root::ordered_trie_root_with_encoder;
use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use hedgerow_base::{Digest, NodeId, Slot, Time};
use hedgerow_proofs::Header;
use hedgerow_records::{Bundle, MAX_TRANSACTIONS, Receipt, Receipts, Rejection, Transaction};
use hedgerow_wire::{List, encode};

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
    /// The ledger's own, each with its number in the block. They are executed first: a contract sees all readings of its
    /// block.
    pub(crate) own: Vec<(u32, &'a [u8])>,
    /// Ethereum's, each with its number in the block.
    pub(crate) ethereums: Vec<(u32, &'a [u8])>,
    /// What each of a request's transactions is; `None` for a request that is not a bundle.
    kinds: Vec<Option<Vec<Kind>>>,
}

#[derive(Clone)]
enum Kind {
    Own,
    Ethereums,
    /// It is not executed, because of who carried it.
    Refused(Rejection),
}

/// What became of a block's transactions.
pub(crate) struct BlockReceipts {
    /// For each request, of its transactions.
    pub(crate) of_requests: Vec<Receipts>,
    /// For each transaction, what the receipts' root is of: Ethereum's encoding of the receipt where contracts ran, else
    /// ours.
    pub(crate) leaves: Vec<Vec<u8>>,
}

impl<'a> Split<'a> {
    /// `refusal` says why a client may not carry transactions, where it may not. Votes are taken from any, or members that
    /// may not could never be let in again.
    pub(crate) fn new(
        requests: &'a [Request],
        refusal: impl Fn(NodeId) -> Option<Rejection>,
    ) -> Self {
        let mut split = Self {
            transactions: Vec::new(),
            own: Vec::new(),
            ethereums: Vec::new(),
            kinds: Vec::new(),
        };
        for request in requests {
            let Some(transactions) = Bundle::split(&request.operation) else {
                split.kinds.push(None);
                split.transactions.push(&request.operation);
                continue;
            };
            let refused = refusal(request.client);
            let kinds = transactions
                .into_iter()
                .map(|bytes| split.take(bytes, refused.as_ref()));
            let kinds = kinds.collect();
            split.kinds.push(Some(kinds));
        }
        split
    }

    fn take(&mut self, bytes: &'a [u8], refused: Option<&Rejection>) -> Kind {
        let index = self.transactions.len() as u32;
        self.transactions.push(bytes);
        if let Some(refused) = refused.filter(|_| !Transaction::is_vote(bytes)) {
            Kind::Refused(refused.clone())
        } else if Transaction::is_ethereums(bytes) {
            self.ethereums.push((index, bytes));
            Kind::Ethereums
        } else {
            self.own.push((index, bytes));
            Kind::Own
        }
    }

    /// Those of the ledger's own transactions, in their order, of all receipts by request.
    pub(crate) fn own_receipts(&self, of_requests: &[Receipts]) -> Vec<Receipt> {
        let mut own = Vec::new();
        for (kinds, receipts) in self.kinds.iter().zip(of_requests) {
            let kinds = kinds.iter().flatten();
            for (kind, receipt) in kinds.zip(receipts.0.iter()) {
                if matches!(kind, Kind::Own) {
                    own.push(receipt.clone());
                }
            }
        }
        own
    }

    /// The receipts, given those of the ledger's own transactions and of Ethereum's; and Ethereum's receipts of whatever
    /// made contracts run, by its number in the block.
    pub(crate) fn receipts(
        &self,
        own: Vec<Receipt>,
        ethereums: Vec<Receipt>,
        mut ran: BTreeMap<u32, Vec<u8>>,
    ) -> BlockReceipts {
        let (mut own, mut ethereums) = (own.into_iter(), ethereums.into_iter());
        let (mut of_requests, mut leaves) = (Vec::new(), Vec::new());
        for kinds in &self.kinds {
            let mut receipts = Vec::new();
            let mut put = |receipt: Receipt| {
                let leaf = ran.remove(&(leaves.len() as u32));
                leaves.push(leaf.unwrap_or_else(|| encode(&receipt)));
                receipts.push(receipt);
            };
            match kinds {
                None => {
                    let reason = Rejection::NotABundle;
                    put(Receipt::Rejected { reason });
                }
                Some(kinds) => {
                    for kind in kinds {
                        let next = match kind {
                            Kind::Own => own.next(),
                            Kind::Ethereums => ethereums.next(),
                            Kind::Refused(reason) => Some(Receipt::Rejected {
                                reason: reason.clone(),
                            }),
                        };
                        if let Some(receipt) = next {
                            put(receipt);
                        }
                    }
                }
            }
            debug_assert!(receipts.len() <= MAX_TRANSACTIONS, "a bundle has no more");
            of_requests.push(Receipts(List::new(receipts).unwrap_or_default()));
        }
        BlockReceipts {
            of_requests,
            leaves,
        }
    }
}

/// The root of Ethereum's trie of a block's transactions: by their numbers, their bytes.
pub(crate) fn transactions_root(transactions: &[&[u8]]) -> Digest {
    Digest(
        ordered_trie_root_with_encoder(transactions, |bytes, out| out.extend_from_slice(bytes)).0,
    )
}

/// The root of the trie of a block's receipts: by the transactions' numbers, the receipts' encodings.
pub(crate) fn receipts_root(leaves: &[Vec<u8>]) -> Digest {
    Digest(ordered_trie_root_with_encoder(leaves, |bytes, out| out.extend_from_slice(bytes)).0)
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
