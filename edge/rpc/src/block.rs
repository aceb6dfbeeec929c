//! Blocks, transactions, receipts and events as Ethereum's tools see them.

use alloy_consensus::{
    BlockHeader as _, ReceiptEnvelope, Transaction as _, TxEnvelope, transaction::Recovered,
};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, LogData, U256};
use alloy_rlp::Decodable;
use alloy_rpc_types_eth::{Block, BlockTransactions, Header, Log, Transaction, TransactionReceipt};
use hedgerow_base::Height;
use hedgerow_chain::{ContractBlock, FoundLog, LogQuery};

use crate::chain::Terms;

/// A block with its executed Ethereum transactions.
#[derive(Clone, Debug)]
pub(crate) struct BlockView {
    pub(crate) header: alloy_consensus::Header,
    pub(crate) hash: B256,
    size: usize,
    pub(crate) transactions: Vec<TransactionView>,
    logs: u64,
}

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct TransactionView {
    pub(crate) transaction: Transaction,
    pub(crate) receipt: TransactionReceipt<ReceiptEnvelope<Log>>,
}

impl TransactionView {
    pub(crate) const fn hash(&self) -> B256 {
        self.receipt.transaction_hash
    }
}

impl BlockView {
    /// The block without its transactions; `None` when the header is none.
    pub(crate) fn new(page: &ContractBlock) -> Option<Self> {
        let bytes: &[u8] = &page.header;
        let header = alloy_consensus::Header::decode(&mut &*bytes).ok()?;
        Some(Self {
            hash: alloy_primitives::keccak256(bytes),
            header,
            size: bytes.len(),
            transactions: Vec::new(),
            logs: 0,
        })
    }

    pub(crate) const fn height(&self) -> Height {
        Height(self.header.number)
    }

    /// Puts the next transactions to it; `None` when they are none.
    pub(crate) fn append(&mut self, page: ContractBlock, terms: Terms) -> Option<()> {
        for executed in page.transactions.into_vec() {
            let (bytes, kept) = (executed.bytes.into_vec(), executed.receipt);
            let envelope = TxEnvelope::decode_2718_exact(&bytes).ok()?;
            let receipt = ReceiptEnvelope::decode_2718_exact(&kept.receipt).ok()?;
            let (hash, sender) = (B256::from(kept.hash.0), Address(kept.sender.into()));
            let place = Place {
                block: self.hash,
                height: self.header.number,
                time: self.header.timestamp,
                position: self.transactions.len() as u64,
                transaction: hash,
            };
            let first = self.logs;
            let mut next = first;
            let receipt = receipt.map_logs(|log| {
                next += 1;
                place.log(log, next - 1)
            });
            self.logs = next;
            self.size += bytes.len();
            let price = u128::from(terms.gas_price);
            let receipt = TransactionReceipt {
                inner: receipt,
                transaction_hash: hash,
                transaction_index: Some(place.position),
                block_hash: Some(self.hash),
                block_number: Some(self.header.number),
                gas_used: kept.gas_used,
                effective_gas_price: price,
                blob_gas_used: None,
                blob_gas_price: None,
                from: sender,
                to: envelope.to(),
                contract_address: kept.created.map(|created| Address(created.into())),
            };
            let transaction = Transaction {
                inner: Recovered::new_unchecked(envelope, sender),
                block_hash: Some(self.hash),
                block_number: Some(self.header.number),
                transaction_index: Some(place.position),
                effective_gas_price: Some(price),
                block_timestamp: Some(self.header.timestamp),
            };
            self.transactions.push(TransactionView {
                transaction,
                receipt,
            });
        }
        Some(())
    }

    /// The header as `eth_subscribe` tells of it.
    pub(crate) fn head(&self) -> Header {
        Header {
            hash: self.hash,
            inner: self.header.clone(),
            total_difficulty: None,
            size: Some(U256::from(self.size)),
        }
    }

    /// The block, with whole transactions or their hashes.
    pub(crate) fn to_rpc(&self, full: bool) -> Block {
        let transactions = self.transactions.iter();
        let transactions = if full {
            let whole = transactions.map(|one| one.transaction.clone());
            BlockTransactions::Full(whole.collect())
        } else {
            BlockTransactions::Hashes(transactions.map(TransactionView::hash).collect())
        };
        Block {
            header: self.head(),
            uncles: Vec::new(),
            transactions,
            withdrawals: Some(Vec::new().into()),
        }
    }

    /// Its events that are wanted, in order.
    pub(crate) fn logs(&self, wanted: &LogQuery) -> impl Iterator<Item = &Log> {
        let all = self.transactions.iter();
        let all = all.flat_map(|transaction| transaction.receipt.inner.logs());
        all.filter(|log| {
            let topics: Vec<_> = log.topics().iter().map(|topic| topic.0).collect();
            wanted.wants(&log.address().0, &topics)
        })
    }

    /// How full it is, from 0 to 1.
    pub(crate) fn fullness(&self) -> f64 {
        self.header.gas_used() as f64 / self.header.gas_limit().max(1) as f64
    }
}

struct Place {
    block: B256,
    height: u64,
    time: u64,
    position: u64,
    transaction: B256,
}

impl Place {
    const fn log(&self, inner: alloy_primitives::Log, index: u64) -> Log {
        Log {
            inner,
            block_hash: Some(self.block),
            block_number: Some(self.height),
            block_timestamp: Some(self.time),
            transaction_hash: Some(self.transaction),
            transaction_index: Some(self.position),
            log_index: Some(index),
            removed: false,
        }
    }
}

/// An event that was found.
pub(crate) fn log(found: FoundLog) -> Log {
    let place = Place {
        block: B256::from(found.block.0),
        height: found.height.0,
        time: found.time / 1000,
        position: u64::from(found.position),
        transaction: B256::from(found.transaction.0),
    };
    let topics = found.topics.into_vec().into_iter().map(B256::from);
    let inner = alloy_primitives::Log {
        address: Address(found.address.into()),
        data: LogData::new_unchecked(topics.collect(), Bytes::from(found.data.into_vec())),
    };
    place.log(inner, u64::from(found.index))
}

/// A transaction that waits.
pub(crate) fn pending(transaction: &hedgerow_evm::Transaction, terms: Terms) -> Transaction {
    Transaction {
        inner: Recovered::new_unchecked(transaction.envelope().clone(), transaction.sender()),
        block_hash: None,
        block_number: None,
        transaction_index: None,
        effective_gas_price: Some(u128::from(terms.gas_price)),
        block_timestamp: None,
    }
}
