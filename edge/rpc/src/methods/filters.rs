use alloy_primitives::U128;
use alloy_rpc_types_eth::{Filter, Log};
use serde_json::Value;

use super::{
    logs::{all, between, wanted},
    to_value,
};
use crate::{
    args::Args,
    error::RpcError,
    filters::{Kind, New},
    server::Served,
};

pub(super) async fn new_logs(served: &Served, args: &Args) -> Result<U128, RpcError> {
    let filter: Filter = args.required(0, "filter")?;
    let wanted = wanted(&filter)?;
    let next = served.chain.newest().next();
    served.filters.install(Kind::Logs {
        filter: Box::new(filter),
        wanted,
        next,
    })
}

pub(super) async fn new_blocks(served: &Served, _: &Args) -> Result<U128, RpcError> {
    let next = served.chain.newest().next();
    served.filters.install(Kind::Blocks { next })
}

pub(super) async fn new_pending(served: &Served, _: &Args) -> Result<U128, RpcError> {
    let news = served.forwarder.news();
    served.filters.install(Kind::Pending { news })
}

pub(super) async fn changes(served: &Served, args: &Args) -> Result<Value, RpcError> {
    let newest = served.chain.newest();
    match served
        .filters
        .advance(args.required(0, "filterId")?, newest)?
    {
        New::Pending(hashes) => to_value(hashes),
        New::Blocks(heights) => {
            let mut hashes = Vec::new();
            for height in heights {
                hashes.extend(served.chain.block(height).await?.map(|block| block.hash));
            }
            to_value(hashes)
        }
        New::Logs { wanted, from, to } if from <= to => {
            to_value(between(served, &wanted, from, to).await?)
        }
        New::Logs { .. } => to_value(Vec::<Log>::new()),
    }
}

pub(super) async fn logs(served: &Served, args: &Args) -> Result<Vec<Log>, RpcError> {
    all(served, &served.filters.logs(args.required(0, "filterId")?)?).await
}

pub(super) async fn uninstall(served: &Served, args: &Args) -> Result<bool, RpcError> {
    let id: U128 = args.required(0, "filterId")?;
    Ok(served.filters.uninstall(id))
}
