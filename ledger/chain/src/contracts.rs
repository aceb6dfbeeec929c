//! What makes contracts run in a block, Ethereum's transactions and records in streams that contracts have subscribed to:
//! how the ledger has it executed, and what it keeps of it.

use std::collections::BTreeMap;

use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bloom};
use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::{Digest, Height};
use hedgerow_evm::{
    Ancestors, Block, Contracts, Delivery, Executed, Refusal, Rules, Transaction, Work,
};
use hedgerow_kv::{KvRead, KvStore, StoreError};
use hedgerow_proofs::Header;
use hedgerow_records::{Receipt, Rejection, Subject};
use hedgerow_state::{State, View, Writes};
use hedgerow_streams::roles_of;
use hedgerow_wire::{Text, decode, encode};

use crate::{
    Genesis,
    ledger::{BlockEntry, damaged, key},
    tables::{BLOCKS, CONTRACT_RECEIPTS, TRANSACTIONS},
};

/// What the ledger keeps of what made contracts run: an Ethereum transaction that was executed, or a record.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ContractReceipt {
    /// Its number in the block.
    pub index: u32,
    /// Its hash: keccak256 of the transaction.
    pub hash: Digest,
    /// Who signed it: an account, or a device.
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

/// What running a block's contracts gave.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    /// What became of each of Ethereum's transactions.
    pub(crate) receipts: Vec<Receipt>,
    /// By number in the block: Ethereum's encoding of the receipt of what made contracts run.
    pub(crate) leaves: BTreeMap<u32, Vec<u8>>,
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

/// A record that makes contracts run.
pub(crate) struct RecordWork {
    /// The transaction's number in the block.
    pub(crate) index: u32,
    /// The transaction's hash.
    pub(crate) hash: B256,
    pub(crate) delivery: Delivery,
}

/// Runs a block's contracts: those whom its records call, then its Ethereum transactions, each with its number in the
/// block.
pub(crate) fn run<S: KvStore>(
    contracts: &mut Contracts,
    place: Place,
    records: &[RecordWork],
    transactions: &[(u32, &[u8])],
    view: &View<'_, S>,
    state: &mut State,
    writes: &mut Writes,
) -> Result<Ran, StoreError> {
    if records.is_empty() && transactions.is_empty() {
        return Ok(Ran::default());
    }
    let chain = contracts.rules().chain;
    let looked_at = transactions.iter().map(|(index, bytes)| {
        let transaction = Transaction::admit(bytes, chain)?;
        check_roles(state, &transaction)?;
        Ok((*index, transaction))
    });
    let looked_at: Vec<_> = looked_at.collect();
    let admitted = looked_at.iter().flatten();
    let work = records
        .iter()
        .map(|record| Work::Record(&record.delivery))
        .chain(admitted.map(|(_, transaction)| Work::Transaction(transaction)));
    let block = Block {
        height: place.height.0,
        time: place.time,
        history: B256::from(place.history.0),
    };
    let earlier = Earlier { view };
    let mut results = contracts
        .execute(block, work, &earlier, view, state, writes)?
        .into_iter();
    let (mut ran, mut kept) = (Ran::default(), Vec::new());
    for (record, result) in records.iter().zip(&mut results) {
        let Ok(executed) = result else {
            continue;
        };
        let sender = record.delivery.device.0;
        kept.push(ran.take(record.index, record.hash, sender, &executed));
    }
    for one in looked_at {
        let result = match one {
            Err(refusal) => Err(refusal),
            Ok((index, transaction)) => match results.next() {
                Some(Ok(executed)) => Ok((index, transaction, executed)),
                Some(Err(refusal)) => Err(refusal),
                None => break,
            },
        };
        let receipt = match result {
            Err(refusal) => rejected(&refusal),
            Ok((index, transaction, executed)) => {
                let sender = transaction.sender().0.0;
                kept.push(ran.take(index, transaction.hash(), sender, &executed));
                Receipt::Executed {
                    height: place.height,
                    success: executed.outcome.is_success(),
                    gas_used: executed.gas_used,
                }
            }
        };
        ran.receipts.push(receipt);
    }
    for one in &kept {
        let at = (place.height.0, one.index);
        writes.put(TRANSACTIONS, one.hash.0, encode(&at));
    }
    if !kept.is_empty() {
        writes.put(CONTRACT_RECEIPTS, key(place.height.0), encode(&kept));
    }
    Ok(ran)
}

/// Whether the sender has the roles for a transaction, in the state before the block.
pub(crate) fn check_roles(state: &State, transaction: &Transaction) -> Result<(), Refusal> {
    let sender = transaction.sender();
    let has = roles_of(state, Subject(sender.0.0));
    let lacking = transaction.roles().find(|role| !has.has(*role));
    match lacking {
        Some(role) => Err(Refusal::NotAllowed { sender, role }),
        None => Ok(()),
    }
}

impl Ran {
    /// Takes what one gave; gives what is kept of it.
    fn take(
        &mut self,
        index: u32,
        hash: B256,
        sender: [u8; 20],
        executed: &Executed,
    ) -> ContractReceipt {
        self.gas_used = executed.cumulative_gas_used;
        let receipt = executed.receipt();
        self.logs_bloom.accrue_bloom(receipt.bloom_ref());
        let receipt = receipt.encoded_2718();
        self.leaves.insert(index, receipt.clone());
        ContractReceipt {
            index,
            hash: Digest(hash.0),
            sender,
            created: executed.created.map(|address| address.0.0),
            gas_used: executed.gas_used,
            receipt,
        }
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
    /// What is kept of what made contracts run in a block, in that order; none where there is no such block.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn contract_receipts(&self, height: Height) -> Result<Vec<ContractReceipt>, StoreError> {
        let Some(bytes) = self.view(height).get(CONTRACT_RECEIPTS, &key(height.0))? else {
            return Ok(Vec::new());
        };
        decode(&bytes, bytes.len()).map_err(|_| damaged(CONTRACT_RECEIPTS))
    }

    /// Where an Ethereum transaction was executed, or a record that made contracts run: the block, and its number in it.
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
