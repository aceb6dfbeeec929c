//! Calls as tools describe them: a transaction-like object, what is to be found changed, and what a trace is to show.

use alloy_eips::eip2930::AccessList;
use alloy_primitives::{B256, U256, map::B256HashMap};
use alloy_rpc_types_eth::{BlockOverrides, TransactionRequest, state::StateOverride};
use alloy_rpc_types_trace::geth::{
    GethDebugBuiltInTracerType, GethDebugTracerType, GethDebugTracingOptions,
};
use hedgerow_chain::{
    AccessItem, AccessItems, CallRequest, ChangedAccount, ChangedBlock, Slots, Tracer,
};
use hedgerow_wire::{Blob, List};

use crate::error::RpcError;

/// What is sent to the validators of a call.
pub(crate) fn call_request(
    request: TransactionRequest,
    state: Option<StateOverride>,
    block: Option<BlockOverrides>,
) -> Result<CallRequest, RpcError> {
    let fee = fee(&request)?;
    let conflict = |_| RpcError::invalid("both \"data\" and \"input\" are set and not equal");
    let input = request.input.try_into_unique_input().map_err(conflict)?;
    let input = Blob::new(input.unwrap_or_default().to_vec());
    Ok(CallRequest {
        from: request.from.unwrap_or_default().0.0,
        to: request.to.and_then(|to| to.to().copied()).map(|to| to.0.0),
        gas: request.gas.unwrap_or(u64::MAX),
        value: request.value.unwrap_or(U256::ZERO).to_be_bytes(),
        input: input.map_err(|error| RpcError::limit(format!("input: {error}")))?,
        fee,
        access_list: access_items(request.access_list.unwrap_or_default())?,
        accounts: changed_accounts(state.unwrap_or_default())?,
        block: Box::new(changed_block(&block.unwrap_or_default())?),
    })
}

/// What is offered for a unit of gas.
fn fee(request: &TransactionRequest) -> Result<Option<u128>, RpcError> {
    let (most, tip) = (request.max_fee_per_gas, request.max_priority_fee_per_gas);
    if request.gas_price.is_some() && (most.is_some() || tip.is_some()) {
        return Err(RpcError::invalid(
            "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified",
        ));
    }
    if let (Some(most), Some(tip)) = (most, tip)
        && tip > most
    {
        return Err(RpcError::invalid(format!(
            "maxFeePerGas ({most}) < maxPriorityFeePerGas ({tip})"
        )));
    }
    Ok(request.gas_price.or(most))
}

fn access_items(list: AccessList) -> Result<AccessItems, RpcError> {
    let limit = |error| RpcError::limit(format!("accessList: {error}"));
    let items = list.0.into_iter().map(|item| {
        let slots = item.storage_keys.iter().map(|slot| slot.0).collect();
        Ok(AccessItem {
            address: item.address.0.0,
            slots: List::new(slots).map_err(limit)?,
        })
    });
    List::new(items.collect::<Result<_, RpcError>>()?).map_err(limit)
}

/// In order, so that all validators are asked the same.
fn changed_accounts<const MAX: usize>(
    state: StateOverride,
) -> Result<List<ChangedAccount, MAX>, RpcError> {
    let mut changes: Vec<_> = state.into_iter().collect();
    changes.sort_by_key(|(address, _)| *address);
    let changed = changes.into_iter().map(|(address, change)| {
        let limit = |what: &str, error| {
            RpcError::limit(format!(
                "state overrides: {what} of account {address}: {error}"
            ))
        };
        if change.move_precompile_to.is_some() {
            return Err(RpcError::invalid(
                "state overrides: movePrecompileToAddress is not there",
            ));
        }
        if change.state.is_some() && change.state_diff.is_some() {
            return Err(RpcError::invalid(format!(
                "account {address} has both 'state' and 'stateDiff'"
            )));
        }
        let code = change.code.map(|code| Blob::new(code.to_vec()));
        let storage = change.state.map(slots).transpose();
        Ok(ChangedAccount {
            address: address.0.0,
            balance: change.balance.map(|balance| balance.to_be_bytes()),
            nonce: change.nonce,
            code: code.transpose().map_err(|error| limit("code", error))?,
            storage: storage.map_err(|error| limit("state", error))?,
            slots: slots(change.state_diff.unwrap_or_default())
                .map_err(|error| limit("stateDiff", error))?,
        })
    });
    List::new(changed.collect::<Result<_, RpcError>>()?)
        .map_err(|error| RpcError::limit(format!("state overrides: accounts: {error}")))
}

fn slots(slots: B256HashMap<B256>) -> Result<Slots, hedgerow_wire::TooLong> {
    let mut slots: Vec<_> = slots
        .into_iter()
        .map(|(slot, word)| (slot.0, word.0))
        .collect();
    slots.sort_unstable();
    List::new(slots)
}

fn changed_block(block: &BlockOverrides) -> Result<ChangedBlock, RpcError> {
    let zero = |value: Option<U256>| value.unwrap_or_default().is_zero();
    let there = zero(block.difficulty)
        && zero(block.base_fee)
        && zero(block.blob_base_fee)
        && block.beacon_root.is_none()
        && block.block_hash.is_none();
    if !there {
        return Err(RpcError::invalid(
            "block overrides: only number, time, gasLimit, feeRecipient and prevRandao can be set",
        ));
    }
    Ok(ChangedBlock {
        number: block.number.map(|number| number.to_be_bytes()),
        time: block.time,
        gas_limit: block.gas_limit,
        beneficiary: block.coinbase.map(|address| address.0.0),
        randomness: block.random.map(|word| word.0),
    })
}

/// What a trace is to show.
pub(crate) fn tracer(options: GethDebugTracingOptions) -> Result<Tracer, RpcError> {
    let bad = |error: serde_json::Error| RpcError::invalid(format!("tracerConfig: {error}"));
    let config = options.tracer_config;
    let steps = options.config;
    let name = match options.tracer {
        None => None,
        Some(GethDebugTracerType::JsTracer(name)) if name.is_empty() => None,
        Some(tracer) => Some(tracer),
    };
    let Some(name) = name else {
        return Ok(Tracer::Steps {
            disable_stack: !steps.is_stack_enabled(),
            disable_storage: !steps.is_storage_enabled(),
            enable_memory: steps.is_memory_enabled(),
            enable_return_data: steps.is_return_data_enabled(),
            limit: steps.limit.unwrap_or(0),
        });
    };
    use GethDebugBuiltInTracerType as Type;
    match name {
        GethDebugTracerType::BuiltInTracer(Type::CallTracer) => {
            let config = config.into_call_config().map_err(bad)?;
            Ok(Tracer::Calls {
                only_top_call: config.only_top_call.unwrap_or(false),
                with_log: config.with_log.unwrap_or(false),
            })
        }
        GethDebugTracerType::BuiltInTracer(Type::PreStateTracer) => {
            let config = config.into_pre_state_config().map_err(bad)?;
            Ok(Tracer::Prestate {
                diff_mode: config.is_diff_mode(),
                disable_code: !config.code_enabled(),
                disable_storage: !config.storage_enabled(),
            })
        }
        GethDebugTracerType::BuiltInTracer(Type::FourByteTracer) => Ok(Tracer::FourByte),
        GethDebugTracerType::BuiltInTracer(Type::NoopTracer) => Ok(Tracer::Noop),
        other => {
            let name: String = other.as_str().chars().take(40).collect();
            Err(RpcError::invalid(format!(
                "tracer {name} is not there: only callTracer, prestateTracer, 4byteTracer, noopTracer, or none for the steps"
            )))
        }
    }
}
