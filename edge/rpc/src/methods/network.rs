use alloy_primitives::{B256, Bytes, U64, keccak256};
use serde_json::Value;

use crate::{args::Args, error::RpcError, openrpc, server::Served};

pub(super) async fn accounts(_: &Served, _: &Args) -> Result<[u8; 0], RpcError> {
    Ok([])
}

pub(super) async fn chain_id(served: &Served, _: &Args) -> Result<U64, RpcError> {
    Ok(U64::from(served.chain.terms.chain))
}

pub(super) async fn version(served: &Served, _: &Args) -> Result<String, RpcError> {
    Ok(served.chain.terms.chain.to_string())
}

pub(super) async fn syncing(_: &Served, _: &Args) -> Result<bool, RpcError> {
    Ok(false)
}

pub(super) async fn listening(served: &Served, _: &Args) -> Result<bool, RpcError> {
    Ok(served.chain.network.status().stalled.is_none())
}

pub(super) async fn peer_count(served: &Served, _: &Args) -> Result<U64, RpcError> {
    let status = served.chain.network.status();
    let others = status
        .members
        .iter()
        .filter(|member| member.name != status.node);
    Ok(U64::from(others.filter(|member| member.reachable).count()))
}

pub(super) async fn discover(_: &Served, _: &Args) -> Result<Value, RpcError> {
    Ok(openrpc::document())
}

pub(super) async fn client_version(_: &Served, _: &Args) -> Result<&'static str, RpcError> {
    Ok(concat!("hedgerow/v", env!("CARGO_PKG_VERSION")))
}

pub(super) async fn sha3(_: &Served, args: &Args) -> Result<B256, RpcError> {
    Ok(keccak256(args.required::<Bytes>(0, "data")?))
}
