use alloy_primitives::B256;
use alloy_rpc_types_eth::{Filter, FilterBlockOption, Log};
use hedgerow_base::Height;
use hedgerow_chain::LogQuery;
use hedgerow_wire::List;

use crate::{args::Args, block, error::RpcError, server::Served};

/// How many events one answer has at most.
const MAX_LOGS: usize = 20_000;

/// Which events of which contracts; of all blocks.
pub(crate) fn wanted(filter: &Filter) -> Result<LogQuery, RpcError> {
    let limit = |error| RpcError::limit(format!("filter: {error}"));
    // Validators are to be asked the same question, and sets have no order.
    let mut addresses: Vec<_> = filter.address.iter().map(|address| address.0.0).collect();
    addresses.sort_unstable();
    let mut topics = Vec::new();
    for topic in &filter.topics {
        let mut any: Vec<_> = topic.iter().map(|topic| topic.0).collect();
        any.sort_unstable();
        topics.push(List::new(any).map_err(limit)?);
    }
    while topics.last().is_some_and(|any| any.is_empty()) {
        topics.pop();
    }
    Ok(LogQuery {
        addresses: List::new(addresses).map_err(limit)?,
        topics: List::new(topics).map_err(limit)?,
        ..LogQuery::default()
    })
}

/// The events in some blocks.
pub(super) async fn between(
    served: &Served,
    wanted: &LogQuery,
    from: Height,
    to: Height,
) -> Result<Vec<Log>, RpcError> {
    let query = LogQuery {
        from,
        to,
        ..wanted.clone()
    };
    let found = served.chain.logs(query, MAX_LOGS).await?;
    Ok(found.into_iter().map(block::log).collect())
}

/// The blocks that a filter is about; `None` where there are none yet.
async fn range(served: &Served, filter: &Filter) -> Result<Option<(Height, Height)>, RpcError> {
    let newest = served.chain.newest();
    match filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => {
            let height = served.chain.height(B256::from(hash).into()).await?;
            let height = height.ok_or_else(|| RpcError::not_found("unknown block"))?;
            Ok(Some((height, height)))
        }
        FilterBlockOption::Range {
            from_block,
            to_block,
        } => {
            let height = |tag| served.chain.height_of_tag(tag);
            let Some(from) = from_block.map_or(Some(newest), height) else {
                return Ok(None);
            };
            let to = to_block.and_then(height).unwrap_or(newest);
            if from > to {
                return Err(RpcError::invalid(
                    "invalid block range params: it ends before it begins",
                ));
            }
            let limit = served.limits.log_blocks;
            if to.0 - from.0 >= limit {
                return Err(RpcError::limit(format!(
                    "block range too large: {} blocks, at most {limit} are allowed",
                    to.0 - from.0 + 1
                )));
            }
            Ok(Some((from, to)))
        }
    }
}

pub(super) async fn find(served: &Served, args: &Args) -> Result<Vec<Log>, RpcError> {
    all(served, &args.required(0, "filter")?).await
}

/// All events that a filter finds.
pub(super) async fn all(served: &Served, filter: &Filter) -> Result<Vec<Log>, RpcError> {
    let wanted = wanted(filter)?;
    match range(served, filter).await? {
        Some((from, to)) => between(served, &wanted, from, to).await,
        None => Ok(Vec::new()),
    }
}
