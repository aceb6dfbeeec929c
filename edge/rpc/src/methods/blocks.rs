use std::sync::Arc;

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, U64};
use alloy_rpc_types_eth::Block;

use crate::{
    args::Args,
    block::{BlockView, Receipt, Shown},
    error::RpcError,
    server::Served,
};

pub(super) async fn number(served: &Served, _: &Args) -> Result<U64, RpcError> {
    Ok(U64::from(served.chain.newest().0))
}

/// The block that the first param names.
pub(super) async fn named(
    served: &Served,
    block: BlockId,
) -> Result<Option<Arc<BlockView>>, RpcError> {
    match served.chain.height(block).await? {
        Some(height) => served.chain.block(height).await,
        None => Ok(None),
    }
}

pub(super) fn hash_of(args: &Args) -> Result<BlockId, RpcError> {
    Ok(BlockId::from(args.required::<B256>(0, "blockHash")?))
}

pub(super) fn tag_of(args: &Args) -> Result<BlockId, RpcError> {
    Ok(BlockId::from(
        args.required::<BlockNumberOrTag>(0, "block")?,
    ))
}

async fn whole(
    served: &Served,
    block: BlockId,
    args: &Args,
) -> Result<Option<Block<Shown>>, RpcError> {
    let full = args.optional(1, "fullTransactions")?.unwrap_or(false);
    let block = named(served, block).await?;
    Ok(block.map(|block| block.to_rpc(full)))
}

pub(super) async fn by_hash(
    served: &Served,
    args: &Args,
) -> Result<Option<Block<Shown>>, RpcError> {
    whole(served, hash_of(args)?, args).await
}

pub(super) async fn by_number(
    served: &Served,
    args: &Args,
) -> Result<Option<Block<Shown>>, RpcError> {
    whole(served, tag_of(args)?, args).await
}

async fn count(served: &Served, block: BlockId) -> Result<Option<U64>, RpcError> {
    let block = named(served, block).await?;
    Ok(block.map(|block| U64::from(block.transactions.len())))
}

pub(super) async fn count_by_hash(served: &Served, args: &Args) -> Result<Option<U64>, RpcError> {
    count(served, hash_of(args)?).await
}

pub(super) async fn count_by_number(served: &Served, args: &Args) -> Result<Option<U64>, RpcError> {
    count(served, tag_of(args)?).await
}

pub(super) async fn receipts(
    served: &Served,
    args: &Args,
) -> Result<Option<Vec<Receipt>>, RpcError> {
    let block = named(served, args.required(0, "block")?).await?;
    Ok(block.map(|block| {
        let all = block.transactions.iter();
        all.map(|one| one.receipt.clone()).collect()
    }))
}

pub(super) async fn no_uncle(_: &Served, _: &Args) -> Result<(), RpcError> {
    Ok(())
}
