//! The methods, one line each; and what a machine-readable description says of them.

mod blocks;
mod debug;
mod fees;
mod filters;
mod logs;
mod network;
mod state;
mod transactions;

pub(crate) use logs::wanted;

use std::{future::Future, pin::Pin, sync::Arc};

use serde::Serialize;
use serde_json::{Value, value::RawValue};

use crate::{args::Args, error::RpcError, server::Served};

type Answering = Pin<Box<dyn Future<Output = Result<Box<RawValue>, RpcError>> + Send>>;

/// A method.
pub(crate) struct Method {
    pub(crate) name: &'static str,
    /// What it does, in a line.
    pub(crate) summary: &'static str,
    pub(crate) params: &'static [Param],
    pub(crate) result: &'static str,
    pub(crate) answer: fn(Arc<Served>, Args) -> Answering,
}

/// A param, by position.
pub(crate) struct Param {
    pub(crate) name: &'static str,
    /// Its name in [`crate::openrpc`]'s schemas.
    pub(crate) schema: &'static str,
    pub(crate) required: bool,
}

const fn needs(name: &'static str, schema: &'static str) -> Param {
    Param {
        name,
        schema,
        required: true,
    }
}

const fn may(name: &'static str, schema: &'static str) -> Param {
    Param {
        name,
        schema,
        required: false,
    }
}

const BLOCK: Param = may("block", "BlockId");
const TAG: Param = needs("block", "BlockNumberOrTag");
const BLOCK_HASH: Param = needs("blockHash", "Hash");
const HASH: Param = needs("transactionHash", "Hash");
const INDEX: Param = needs("index", "Quantity");
const FULL: Param = may("fullTransactions", "Boolean");
const ADDRESS: Param = needs("address", "Address");
const CALL: Param = needs("transaction", "TransactionRequest");
const STATE_OVERRIDES: Param = may("stateOverrides", "StateOverrides");
const BLOCK_OVERRIDES: Param = may("blockOverrides", "BlockOverrides");
const SIGNED: Param = needs("transaction", "Bytes");
const FILTER: Param = needs("filter", "Filter");
const FILTER_ID: Param = needs("filterId", "Quantity");

/// A line of the table.
macro_rules! method {
    ($name:literal, $answer:path, [$($param:expr),*], $result:literal, $summary:literal) => {
        Method {
            name: $name,
            summary: $summary,
            params: &[$($param),*],
            result: $result,
            answer: |served, args| Box::pin(async move { to_json($answer(&served, &args).await?) }),
        }
    };
}

fn to_json(result: impl Serialize) -> Result<Box<RawValue>, RpcError> {
    serde_json::value::to_raw_value(&result).map_err(|error| RpcError::server(error.to_string()))
}

fn to_value(result: impl Serialize) -> Result<Value, RpcError> {
    serde_json::to_value(result).map_err(|error| RpcError::server(error.to_string()))
}

/// All methods but subscriptions.
pub(crate) const METHODS: &[Method] = &[
    method!(
        "debug_traceCall",
        debug::trace_call,
        [CALL, BLOCK, may("options", "TraceCallOptions")],
        "Trace",
        "The trace of a call, without a transaction."
    ),
    method!(
        "debug_traceTransaction",
        debug::trace_transaction,
        [HASH, may("options", "TraceOptions")],
        "Trace",
        "The trace of a transaction, while its block's state is kept."
    ),
    method!(
        "eth_accounts",
        network::accounts,
        [],
        "Addresses",
        "No account is unlocked on a node: always empty."
    ),
    method!(
        "eth_blobBaseFee",
        fees::none,
        [],
        "Quantity",
        "There are no blobs: 0."
    ),
    method!(
        "eth_blockNumber",
        blocks::number,
        [],
        "Quantity",
        "The height of the newest block."
    ),
    method!(
        "eth_call",
        state::call,
        [CALL, BLOCK, STATE_OVERRIDES, BLOCK_OVERRIDES],
        "Bytes",
        "What a call gives, without a transaction."
    ),
    method!(
        "eth_chainId",
        network::chain_id,
        [],
        "Quantity",
        "The network's number, which transactions are signed for."
    ),
    method!(
        "eth_createAccessList",
        state::create_access_list,
        [CALL, BLOCK, STATE_OVERRIDES, BLOCK_OVERRIDES],
        "AccessListResult",
        "What a call touches, for a transaction to name it beforehand (EIP-2930)."
    ),
    method!(
        "eth_estimateGas",
        state::estimate_gas,
        [CALL, BLOCK, STATE_OVERRIDES, BLOCK_OVERRIDES],
        "Quantity",
        "How much gas a transaction like this needs."
    ),
    method!(
        "eth_feeHistory",
        fees::history,
        [
            needs("blockCount", "Quantity"),
            needs("newestBlock", "BlockNumberOrTag"),
            may("rewardPercentiles", "Numbers")
        ],
        "FeeHistory",
        "What gas cost lately, and how full blocks were."
    ),
    method!(
        "eth_gasPrice",
        fees::gas_price,
        [],
        "Quantity",
        "What a unit of gas costs, in wei."
    ),
    method!(
        "eth_getBalance",
        state::balance,
        [ADDRESS, BLOCK],
        "Quantity",
        "What an account owns, in wei."
    ),
    method!(
        "eth_getBlockByHash",
        blocks::by_hash,
        [BLOCK_HASH, FULL],
        "Block",
        "A block; null where there is none."
    ),
    method!(
        "eth_getBlockByNumber",
        blocks::by_number,
        [TAG, FULL],
        "Block",
        "A block; null where there is none."
    ),
    method!(
        "eth_getBlockReceipts",
        blocks::receipts,
        [needs("block", "BlockId")],
        "Receipts",
        "The receipts of a block's transactions."
    ),
    method!(
        "eth_getBlockTransactionCountByHash",
        blocks::count_by_hash,
        [BLOCK_HASH],
        "Quantity",
        "How many Ethereum transactions a block executed."
    ),
    method!(
        "eth_getBlockTransactionCountByNumber",
        blocks::count_by_number,
        [TAG],
        "Quantity",
        "How many Ethereum transactions a block executed."
    ),
    method!(
        "eth_getCode",
        state::code,
        [ADDRESS, BLOCK],
        "Bytes",
        "A contract's code."
    ),
    method!(
        "eth_getFilterChanges",
        filters::changes,
        [FILTER_ID],
        "Changes",
        "What is new since the filter was asked last."
    ),
    method!(
        "eth_getFilterLogs",
        filters::logs,
        [FILTER_ID],
        "Logs",
        "All events that a filter finds."
    ),
    method!(
        "eth_getLogs",
        logs::find,
        [FILTER],
        "Logs",
        "The events that a filter finds, in order."
    ),
    method!(
        "eth_getProof",
        state::proof,
        [ADDRESS, needs("storageKeys", "Words"), BLOCK],
        "Proof",
        "An account and slots, with proofs against the block's state root."
    ),
    method!(
        "eth_getStorageAt",
        state::storage_at,
        [ADDRESS, needs("slot", "Word"), BLOCK],
        "Word",
        "What a contract's slot holds."
    ),
    method!(
        "eth_getTransactionByBlockHashAndIndex",
        transactions::by_block_hash,
        [BLOCK_HASH, INDEX],
        "Transaction",
        "A transaction by its place in a block."
    ),
    method!(
        "eth_getTransactionByBlockNumberAndIndex",
        transactions::by_block_number,
        [TAG, INDEX],
        "Transaction",
        "A transaction by its place in a block."
    ),
    method!(
        "eth_getTransactionByHash",
        transactions::by_hash,
        [HASH],
        "Transaction",
        "A transaction, also one that waits; null where there is none."
    ),
    method!(
        "eth_getTransactionCount",
        state::transaction_count,
        [ADDRESS, BLOCK],
        "Quantity",
        "How many transactions an account has sent; with `pending`, with those that wait."
    ),
    method!(
        "eth_getTransactionReceipt",
        transactions::receipt,
        [HASH],
        "Receipt",
        "What became of a transaction; null until it is final."
    ),
    method!(
        "eth_getUncleByBlockHashAndIndex",
        blocks::no_uncle,
        [BLOCK_HASH, INDEX],
        "Null",
        "There are no uncles: null."
    ),
    method!(
        "eth_getUncleByBlockNumberAndIndex",
        blocks::no_uncle,
        [TAG, INDEX],
        "Null",
        "There are no uncles: null."
    ),
    method!(
        "eth_getUncleCountByBlockHash",
        fees::none,
        [BLOCK_HASH],
        "Quantity",
        "There are no uncles: 0."
    ),
    method!(
        "eth_getUncleCountByBlockNumber",
        fees::none,
        [TAG],
        "Quantity",
        "There are no uncles: 0."
    ),
    method!(
        "eth_maxPriorityFeePerGas",
        fees::gas_price,
        [],
        "Quantity",
        "The tip to offer: gas has one price here, and no base fee."
    ),
    method!(
        "eth_newBlockFilter",
        filters::new_blocks,
        [],
        "Quantity",
        "A filter of new blocks' hashes."
    ),
    method!(
        "eth_newFilter",
        filters::new_logs,
        [FILTER],
        "Quantity",
        "A filter of events."
    ),
    method!(
        "eth_newPendingTransactionFilter",
        filters::new_pending,
        [],
        "Quantity",
        "A filter of the hashes of transactions that this node takes."
    ),
    method!(
        "eth_sendRawTransaction",
        transactions::send_raw,
        [SIGNED],
        "Hash",
        "Takes a signed transaction."
    ),
    method!(
        "eth_sendRawTransactionSync",
        transactions::send_raw_sync,
        [SIGNED, may("timeoutMs", "Milliseconds")],
        "Receipt",
        "Takes a signed transaction, and waits for its receipt (EIP-7966)."
    ),
    method!(
        "eth_syncing",
        network::syncing,
        [],
        "Boolean",
        "A gateway has nothing to catch up with: false."
    ),
    method!(
        "eth_uninstallFilter",
        filters::uninstall,
        [FILTER_ID],
        "Boolean",
        "Forgets a filter."
    ),
    method!(
        "net_listening",
        network::listening,
        [],
        "Boolean",
        "Whether enough validators can be reached."
    ),
    method!(
        "net_peerCount",
        network::peer_count,
        [],
        "Quantity",
        "How many members there are sessions with."
    ),
    method!(
        "net_version",
        network::version,
        [],
        "String",
        "The network's number, in decimals."
    ),
    method!(
        "rpc_discover",
        network::discover,
        [],
        "OpenRpc",
        "This description, as an OpenRPC document."
    ),
    method!(
        "txpool_status",
        transactions::pool_status,
        [],
        "PoolStatus",
        "How many transactions wait at this node."
    ),
    method!(
        "web3_clientVersion",
        network::client_version,
        [],
        "String",
        "This program and its version."
    ),
    method!(
        "web3_sha3",
        network::sha3,
        [needs("data", "Bytes")],
        "Hash",
        "keccak256 of the data."
    ),
];
