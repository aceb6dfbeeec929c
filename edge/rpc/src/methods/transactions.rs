use std::time::Duration;

use alloy_eips::BlockId;
use alloy_primitives::{B256, Bytes, U64};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::blocks::{hash_of, named, tag_of};
use crate::{
    args::Args,
    block::{self, Receipt, Shown},
    error::RpcError,
    pool::Fate,
    server::Served,
};

/// How long `eth_sendRawTransactionSync` waits, unless it is told; and at most.
const WAIT: Duration = Duration::from_secs(20);
const MAX_WAIT: Duration = Duration::from_secs(60);

async fn at(served: &Served, block: BlockId, args: &Args) -> Result<Option<Shown>, RpcError> {
    let index: U64 = args.required(1, "index")?;
    let block = named(served, block).await?;
    Ok(block.and_then(|block| {
        let one = block
            .transactions
            .get(usize::try_from(index.to::<u64>()).ok()?)?;
        Some(one.transaction.clone())
    }))
}

pub(super) async fn by_block_hash(served: &Served, args: &Args) -> Result<Option<Shown>, RpcError> {
    at(served, hash_of(args)?, args).await
}

pub(super) async fn by_block_number(
    served: &Served,
    args: &Args,
) -> Result<Option<Shown>, RpcError> {
    at(served, tag_of(args)?, args).await
}

pub(super) async fn by_hash(served: &Served, args: &Args) -> Result<Option<Shown>, RpcError> {
    let hash: B256 = args.required(0, "transactionHash")?;
    if let Some((block, position)) = served.chain.transaction(hash).await? {
        let one = block.transactions.get(position);
        return Ok(one.map(|one| one.transaction.clone()));
    }
    let waiting = served.forwarder.pool().get(hash);
    Ok(waiting.map(|transaction| block::pending(&transaction, served.chain.terms)))
}

async fn receipt_of(served: &Served, hash: B256) -> Result<Option<Receipt>, RpcError> {
    let found = served.chain.transaction(hash).await?;
    Ok(found.and_then(|(block, position)| {
        let one = block.transactions.get(position)?;
        Some(one.receipt.clone())
    }))
}

pub(super) async fn receipt(served: &Served, args: &Args) -> Result<Option<Receipt>, RpcError> {
    receipt_of(served, args.required(0, "transactionHash")?).await
}

pub(super) async fn send_raw(served: &Served, args: &Args) -> Result<B256, RpcError> {
    let bytes: Bytes = args.required(0, "transaction")?;
    if !served.limits.send_waits {
        return served.forwarder.send(bytes.0).await;
    }
    let (hash, fate) = served.forwarder.send_and_watch(bytes.0).await?;
    match timeout(WAIT, fate).await {
        Ok(Ok(Fate::Dropped(reason))) if receipt_of(served, hash).await?.is_none() => {
            Err(RpcError::server(reason))
        }
        // What is not final by now is on its way all the same.
        _ => Ok(hash),
    }
}

pub(super) async fn send_raw_sync(served: &Served, args: &Args) -> Result<Receipt, RpcError> {
    let bytes: Bytes = args.required(0, "transaction")?;
    let wait: Option<u64> = args.optional(1, "timeoutMs")?;
    let wait = wait.map_or(WAIT, Duration::from_millis).min(MAX_WAIT);
    let (hash, fate) = served.forwarder.send_and_watch(bytes.0).await?;
    let fate = timeout(wait, fate)
        .await
        .map_err(|_| RpcError::timed_out(hash))?;
    // Another gateway may have carried it: then its number is used here.
    if let Some(receipt) = receipt_of(served, hash).await? {
        return Ok(receipt);
    }
    match fate {
        Ok(Fate::Dropped(reason)) => Err(RpcError::server(reason)),
        Ok(Fate::Final(_)) | Err(_) => Err(RpcError::timed_out(hash)),
    }
}

pub(super) async fn pool_status(served: &Served, _: &Args) -> Result<Value, RpcError> {
    let (pending, queued) = served.forwarder.pool().counts();
    Ok(json!({ "pending": U64::from(pending), "queued": U64::from(queued) }))
}
