use alloy_eips::BlockNumberOrTag;
use alloy_primitives::U64;
use alloy_rpc_types_eth::FeeHistory;
use hedgerow_base::Height;

use crate::{args::Args, error::RpcError, server::Served};

/// How many blocks one answer tells of at most.
const MAX_BLOCKS: u64 = 128;
/// How many percentiles may be asked for.
const MAX_PERCENTILES: usize = 100;

pub(super) async fn none(_: &Served, _: &Args) -> Result<U64, RpcError> {
    Ok(U64::ZERO)
}

pub(super) async fn gas_price(served: &Served, _: &Args) -> Result<U64, RpcError> {
    Ok(U64::from(served.chain.terms.gas_price))
}

/// Gas has one price, which all pay as the tip: the same at every percentile.
pub(super) async fn history(served: &Served, args: &Args) -> Result<FeeHistory, RpcError> {
    let count: U64 = args.required(0, "blockCount")?;
    let newest: BlockNumberOrTag = args.required(1, "newestBlock")?;
    let percentiles: Option<Vec<f64>> = args.optional(2, "rewardPercentiles")?;
    let percentiles = percentiles.map(|all| all.len());
    if percentiles.is_some_and(|count| count > MAX_PERCENTILES) {
        return Err(RpcError::limit(format!(
            "at most {MAX_PERCENTILES} percentiles"
        )));
    }
    let newest = served.chain.height_of_tag(newest);
    let newest = newest.ok_or_else(|| RpcError::not_found("header not found"))?;
    let count = count.to::<u64>().clamp(1, MAX_BLOCKS).min(newest.0 + 1);
    let oldest = newest.0 + 1 - count;
    let mut history = FeeHistory {
        oldest_block: oldest,
        base_fee_per_gas: vec![0; count as usize + 1],
        base_fee_per_blob_gas: vec![0; count as usize + 1],
        blob_gas_used_ratio: vec![0.0; count as usize],
        ..FeeHistory::default()
    };
    for height in oldest..=newest.0 {
        let block = served.chain.block(Height(height)).await?;
        history
            .gas_used_ratio
            .push(block.map_or(0.0, |block| block.fullness()));
    }
    let price = u128::from(served.chain.terms.gas_price);
    history.reward = percentiles.map(|each| vec![vec![price; each]; count as usize]);
    Ok(history)
}
