use alloy_primitives::B256;
use alloy_rpc_types_eth::TransactionRequest;
use alloy_rpc_types_trace::geth::{GethDebugTracingCallOptions, GethDebugTracingOptions};
use serde_json::value::RawValue;

use crate::{
    args::Args,
    error::RpcError,
    request::{call_request, tracer},
    server::Served,
};

pub(super) async fn trace_call(served: &Served, args: &Args) -> Result<Box<RawValue>, RpcError> {
    let request: TransactionRequest = args.required(0, "transaction")?;
    let height = served
        .chain
        .state_height(args.optional(1, "block")?)
        .await?;
    let options: Option<GethDebugTracingCallOptions> = args.optional(2, "options")?;
    let options = options.unwrap_or_default();
    let tracer = tracer(options.tracing_options)?;
    let call = call_request(request, options.state_overrides, options.block_overrides)?;
    served.chain.trace_call(height, call, tracer).await
}

pub(super) async fn trace_transaction(
    served: &Served,
    args: &Args,
) -> Result<Box<RawValue>, RpcError> {
    let hash: B256 = args.required(0, "transactionHash")?;
    let options: Option<GethDebugTracingOptions> = args.optional(1, "options")?;
    let tracer = tracer(options.unwrap_or_default())?;
    let Some((block, position)) = served.chain.transaction(hash).await? else {
        return Err(RpcError::server("transaction not found"));
    };
    let height = block.height();
    served
        .chain
        .trace_transaction(height, position as u32, tracer)
        .await
}
