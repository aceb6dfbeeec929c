//! Blocks, transactions, receipts and events as Ethereum's tools see them.

use alloy_consensus::{
    BlockHeader as _, ReceiptWithBloom, Transaction as _, TxEnvelope, transaction::Recovered,
};
use alloy_consensus_any::AnyReceiptEnvelope;
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, LogData, U8, U64, U256};
use alloy_rlp::Decodable;
use alloy_rpc_types_eth::{Block, BlockTransactions, Header, Log, Transaction, TransactionReceipt};
use hedgerow_base::Height;
use hedgerow_chain::{ContractBlock, ExecutedTransaction, FoundLog, LogQuery};
use hedgerow_evm::STREAMS_ADDRESS;
use serde::Serialize;

use crate::chain::Terms;

/// A receipt as it is shown.
pub(crate) type Receipt = TransactionReceipt<AnyReceiptEnvelope<Log>>;

/// A block with what made contracts run in it.
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
    pub(crate) transaction: Shown,
    pub(crate) receipt: Receipt,
}

/// A transaction as it is shown.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Shown {
    /// One of Ethereum's.
    Ethereums(Box<Transaction>),
    /// A record.
    Record(Box<RecordShown>),
}

impl From<Transaction> for Shown {
    fn from(transaction: Transaction) -> Self {
        Self::Ethereums(Box::new(transaction))
    }
}

/// A device's record that made contracts run, with what Ethereum's tools want of any transaction: a call of the streams'
/// account by the device. It has no signature of Ethereum's.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecordShown {
    hash: B256,
    r#type: U8,
    block_hash: B256,
    block_number: U64,
    transaction_index: U64,
    from: Address,
    to: Address,
    /// The whole transaction, of which the hash is; `0x` when it has more than 128 KiB.
    input: Bytes,
    gas: U64,
    gas_price: U64,
    chain_id: U64,
    nonce: U64,
    value: U64,
    v: U64,
    r: B256,
    s: B256,
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
            let ExecutedTransaction { bytes, receipt } = executed;
            let (bytes, kept) = (Bytes::from(bytes.into_vec()), receipt);
            let receipt = AnyReceiptEnvelope::decode_2718_exact(&kept.receipt).ok()?;
            let (hash, sender) = (B256::from(kept.hash.0), Address(kept.sender.into()));
            let place = Place {
                block: self.hash,
                height: self.header.number,
                time: self.header.timestamp,
                position: self.transactions.len() as u64,
                transaction: hash,
            };
            self.size += bytes.len();
            let (transaction, to) = if receipt.r#type == hedgerow_records::Transaction::RECORD {
                let shown = place.record(sender, bytes, kept.gas_used, terms);
                (shown, Some(STREAMS_ADDRESS))
            } else {
                let envelope = TxEnvelope::decode_2718_exact(&bytes).ok()?;
                let to = envelope.to();
                (place.ethereums(sender, envelope, terms), to)
            };
            let first = self.logs;
            let logs = (first..).zip(receipt.inner.receipt.logs);
            let logs: Vec<_> = logs.map(|(index, log)| place.log(log, index)).collect();
            self.logs += logs.len() as u64;
            let receipt = Receipt {
                inner: AnyReceiptEnvelope {
                    inner: ReceiptWithBloom {
                        receipt: alloy_consensus::Receipt {
                            status: receipt.inner.receipt.status,
                            cumulative_gas_used: receipt.inner.receipt.cumulative_gas_used,
                            logs,
                        },
                        logs_bloom: receipt.inner.logs_bloom,
                    },
                    r#type: receipt.r#type,
                },
                transaction_hash: hash,
                transaction_index: Some(place.position),
                block_hash: Some(self.hash),
                block_number: Some(self.header.number),
                gas_used: kept.gas_used,
                effective_gas_price: u128::from(terms.gas_price),
                blob_gas_used: None,
                blob_gas_price: None,
                from: sender,
                to,
                contract_address: kept.created.map(|created| Address(created.into())),
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
    pub(crate) fn to_rpc(&self, full: bool) -> Block<Shown> {
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
    fn ethereums(&self, sender: Address, envelope: TxEnvelope, terms: Terms) -> Shown {
        Shown::from(Transaction {
            inner: Recovered::new_unchecked(envelope, sender),
            block_hash: Some(self.block),
            block_number: Some(self.height),
            transaction_index: Some(self.position),
            effective_gas_price: Some(u128::from(terms.gas_price)),
            block_timestamp: Some(self.time),
        })
    }

    fn record(&self, device: Address, input: Bytes, gas: u64, terms: Terms) -> Shown {
        Shown::Record(Box::new(RecordShown {
            hash: self.transaction,
            r#type: U8::from(hedgerow_records::Transaction::RECORD),
            block_hash: self.block,
            block_number: U64::from(self.height),
            transaction_index: U64::from(self.position),
            from: device,
            to: STREAMS_ADDRESS,
            input,
            gas: U64::from(gas),
            gas_price: U64::from(terms.gas_price),
            chain_id: U64::from(terms.chain),
            nonce: U64::ZERO,
            value: U64::ZERO,
            v: U64::ZERO,
            r: B256::ZERO,
            s: B256::ZERO,
        }))
    }

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
pub(crate) fn pending(transaction: &hedgerow_evm::Transaction, terms: Terms) -> Shown {
    Shown::from(Transaction {
        inner: Recovered::new_unchecked(transaction.envelope().clone(), transaction.sender()),
        block_hash: None,
        block_number: None,
        transaction_index: None,
        effective_gas_price: Some(u128::from(terms.gas_price)),
        block_timestamp: None,
    })
}
