use alloy_eips::{BlockId, BlockNumberOrTag, eip2930::AccessListResult};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_rpc_types_eth::{EIP1186AccountProofResponse, EIP1186StorageProof};
use alloy_serde::JsonStorageKey;
use hedgerow_base::Height;
use hedgerow_chain::{CallRequest, Nodes};

use crate::{args::Args, error::RpcError, request::call_request, server::Served};

const ADDRESS: &str = "address";
const BLOCK: &str = "block";

pub(super) async fn balance(served: &Served, args: &Args) -> Result<U256, RpcError> {
    let address: Address = args.required(0, ADDRESS)?;
    let height = served.chain.state_height(args.optional(1, BLOCK)?).await?;
    let account = served
        .chain
        .account(height, address, false, Vec::new())
        .await?;
    Ok(U256::from_be_bytes(account.balance))
}

pub(super) async fn code(served: &Served, args: &Args) -> Result<Bytes, RpcError> {
    let address: Address = args.required(0, ADDRESS)?;
    let height = served.chain.state_height(args.optional(1, BLOCK)?).await?;
    let account = served
        .chain
        .account(height, address, true, Vec::new())
        .await?;
    Ok(account.code.into_vec().into())
}

pub(super) async fn storage_at(served: &Served, args: &Args) -> Result<B256, RpcError> {
    let address: Address = args.required(0, ADDRESS)?;
    let slot: JsonStorageKey = args.required(1, "slot")?;
    let height = served.chain.state_height(args.optional(2, BLOCK)?).await?;
    let slots = vec![slot.as_b256().0];
    let account = served.chain.account(height, address, false, slots).await?;
    Ok(account.slots.first().copied().unwrap_or_default().into())
}

pub(super) async fn transaction_count(served: &Served, args: &Args) -> Result<U64, RpcError> {
    let address: Address = args.required(0, ADDRESS)?;
    let block: Option<BlockId> = args.optional(1, BLOCK)?;
    let height = served.chain.state_height(block).await?;
    let account = served
        .chain
        .account(height, address, false, Vec::new())
        .await?;
    let mut count = account.nonce;
    if block == Some(BlockId::Number(BlockNumberOrTag::Pending)) {
        count = count.max(served.forwarder.pool().next_free(address).unwrap_or(0));
    }
    Ok(U64::from(count))
}

fn nodes(nodes: Nodes) -> Vec<Bytes> {
    let nodes = nodes.into_vec().into_iter();
    nodes.map(|node| Bytes::from(node.into_vec())).collect()
}

pub(super) async fn proof(
    served: &Served,
    args: &Args,
) -> Result<EIP1186AccountProofResponse, RpcError> {
    let address: Address = args.required(0, ADDRESS)?;
    let keys: Vec<JsonStorageKey> = args.required(1, "storageKeys")?;
    let height = served.chain.state_height(args.optional(2, BLOCK)?).await?;
    let slots = keys.iter().map(|key| key.as_b256().0).collect();
    let found = served.chain.proof(height, address, slots).await?;
    let (account, values) = (found.account.clone(), found.account.slots.into_vec());
    let proofs = found.slots.into_vec().into_iter();
    let storage = keys.into_iter().zip(values).zip(proofs);
    Ok(EIP1186AccountProofResponse {
        address,
        balance: U256::from_be_bytes(account.balance),
        code_hash: account.code_hash.into(),
        nonce: account.nonce,
        storage_hash: found.storage_root.into(),
        account_proof: nodes(found.nodes),
        storage_proof: storage
            .map(|((key, value), proof)| EIP1186StorageProof {
                key,
                value: U256::from_be_bytes(value),
                proof: nodes(proof),
            })
            .collect(),
    })
}

/// The block and the call of `eth_call` and the like.
async fn call_of(served: &Served, args: &Args) -> Result<(Height, CallRequest), RpcError> {
    let request = args.required(0, "transaction")?;
    let height = served.chain.state_height(args.optional(1, BLOCK)?).await?;
    let state = args.optional(2, "stateOverrides")?;
    let block = args.optional(3, "blockOverrides")?;
    Ok((height, call_request(request, state, block)?))
}

pub(super) async fn call(served: &Served, args: &Args) -> Result<Bytes, RpcError> {
    let (height, call) = call_of(served, args).await?;
    let (output, _) = served.chain.call(height, call, false).await?;
    Ok(output)
}

pub(super) async fn estimate_gas(served: &Served, args: &Args) -> Result<U64, RpcError> {
    let (height, call) = call_of(served, args).await?;
    let (_, gas) = served.chain.call(height, call, true).await?;
    Ok(U64::from(gas))
}

pub(super) async fn create_access_list(
    served: &Served,
    args: &Args,
) -> Result<AccessListResult, RpcError> {
    let (height, call) = call_of(served, args).await?;
    served.chain.access_list(height, call).await
}
