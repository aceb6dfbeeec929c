//! A block's Ethereum transactions: how the ledger has them executed, and what it keeps of them.

use alloy_consensus::TxReceipt;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bloom};
use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::{Digest, Height};
use hedgerow_evm::{Ancestors, Block, Contracts, Executed, Refusal, Rules, Transaction};
use hedgerow_kv::{KvRead, KvStore, StoreError};
use hedgerow_proofs::Header;
use hedgerow_records::{Receipt, Rejection};
use hedgerow_state::{State, View, Writes};
use hedgerow_wire::{Text, decode, encode};

use crate::{
    Genesis,
    ledger::{BlockEntry, damaged, key},
    tables::{BLOCKS, CONTRACT_RECEIPTS, TRANSACTIONS},
};

/// What the ledger keeps of an Ethereum transaction that was executed.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ContractReceipt {
    /// Its number in the block.
    pub index: u32,
    /// Its hash.
    pub hash: Digest,
    /// Who signed it.
    pub sender: [u8; 20],
    /// The contract that it made.
    pub created: Option<[u8; 20]>,
    /// How much gas it took.
    pub gas_used: u64,
    /// The receipt as Ethereum encodes it (EIP-2718): what the header's receipts root is of.
    pub receipt: Vec<u8>,
}

/// Where a block stands among others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) height: Height,
    pub(crate) time: u64,
    pub(crate) history: Digest,
}

/// What a block's Ethereum transactions gave.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    /// What became of each, and its receipt as Ethereum encodes it where it was executed.
    pub(crate) receipts: Vec<(Receipt, Option<Vec<u8>>)>,
    pub(crate) logs_bloom: Bloom,
    pub(crate) gas_used: u64,
}

pub(crate) fn rules(genesis: &Genesis) -> Rules {
    let contracts = &genesis.contracts;
    Rules {
        chain: genesis.network,
        gas_limit: contracts.gas_limit,
        gas_price: contracts.gas_price,
        beneficiary: Address(contracts.beneficiary.0.into()),
    }
}

/// Executes a block's Ethereum transactions, each with its number in the block.
pub(crate) fn run<S: KvStore>(
    contracts: &mut Contracts,
    place: Place,
    transactions: &[(u32, &[u8])],
    view: &View<'_, S>,
    state: &mut State,
    writes: &mut Writes,
) -> Result<Ran, StoreError> {
    if transactions.is_empty() {
        return Ok(Ran::default());
    }
    let chain = contracts.rules().chain;
    let looked_at = transactions.iter().map(|(index, bytes)| {
        Transaction::admit(bytes, chain).map(|transaction| (*index, transaction))
    });
    let looked_at: Vec<_> = looked_at.collect();
    let admitted = looked_at
        .iter()
        .flatten()
        .map(|(_, transaction)| transaction);
    let block = Block {
        height: place.height.0,
        time: place.time,
        history: B256::from(place.history.0),
    };
    let earlier = Earlier { view };
    let mut results = contracts
        .execute(block, admitted, &earlier, view, state, writes)?
        .into_iter();
    let (mut ran, mut kept) = (Ran::default(), Vec::new());
    for one in looked_at {
        let result = match one {
            Err(refusal) => Err(refusal),
            Ok((index, transaction)) => match results.next() {
                Some(Ok(executed)) => Ok((index, transaction, executed)),
                Some(Err(refusal)) => Err(refusal),
                None => break,
            },
        };
        ran.receipts.push(match result {
            Err(refusal) => (rejected(&refusal), None),
            Ok((index, transaction, executed)) => {
                ran.gas_used = executed.cumulative_gas_used;
                let receipt = executed.receipt();
                ran.logs_bloom.accrue_bloom(&receipt.bloom());
                let encoded = receipt.encoded_2718();
                let at = (place.height.0, index);
                writes.put(TRANSACTIONS, transaction.hash().0, encode(&at));
                kept.push(keep(index, &transaction, &executed, encoded.clone()));
                let receipt = Receipt::Executed {
                    height: place.height,
                    success: executed.outcome.is_success(),
                    gas_used: executed.gas_used,
                };
                (receipt, Some(encoded))
            }
        });
    }
    if !kept.is_empty() {
        writes.put(CONTRACT_RECEIPTS, key(place.height.0), encode(&kept));
    }
    Ok(ran)
}

fn keep(
    index: u32,
    transaction: &Transaction,
    executed: &Executed,
    receipt: Vec<u8>,
) -> ContractReceipt {
    ContractReceipt {
        index,
        hash: Digest(transaction.hash().0),
        sender: transaction.sender().0.0,
        created: executed.created.map(|address| address.0.0),
        gas_used: executed.gas_used,
        receipt,
    }
}

fn rejected(refusal: &Refusal) -> Receipt {
    let mut reason = refusal.to_string();
    // Only what other software words may be longer.
    while Text::<{ hedgerow_records::MAX_REASON }>::new(reason.as_str()).is_err() {
        reason.pop();
    }
    Receipt::Rejected {
        reason: Rejection::NotExecutable(Text::new(reason).unwrap_or_default()),
    }
}

/// The blocks before this one.
pub(crate) struct Earlier<'a, 'b, S: ?Sized> {
    pub(crate) view: &'b View<'a, S>,
}

impl<S: KvRead + ?Sized> Ancestors for Earlier<'_, '_, S> {
    fn hash(&self, height: u64) -> Result<Option<B256>, StoreError> {
        let Some(bytes) = self.view.get(BLOCKS, &key(height))? else {
            return Ok(None);
        };
        let entry: BlockEntry = decode(&bytes, bytes.len()).map_err(|_| damaged(BLOCKS))?;
        Ok(Some(B256::from(Header::hash_encoded(&entry.header).0)))
    }
}

impl<S: KvStore> crate::Ledger<S> {
    /// What is kept of the Ethereum transactions that a block executed, in their order; none where there is no such block.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn contract_receipts(&self, height: Height) -> Result<Vec<ContractReceipt>, StoreError> {
        let Some(bytes) = self.view(height).get(CONTRACT_RECEIPTS, &key(height.0))? else {
            return Ok(Vec::new());
        };
        decode(&bytes, bytes.len()).map_err(|_| damaged(CONTRACT_RECEIPTS))
    }

    /// Where an Ethereum transaction was executed: the block, and its number in it.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn executed_at(&self, transaction: Digest) -> Result<Option<(Height, u32)>, StoreError> {
        let head = self.head().header.height;
        let Some(bytes) = self.view(head).get(TRANSACTIONS, transaction.as_ref())? else {
            return Ok(None);
        };
        let at: (u64, u32) = decode(&bytes, bytes.len()).map_err(|_| damaged(TRANSACTIONS))?;
        Ok(Some((Height(at.0), at.1)))
    }
}
