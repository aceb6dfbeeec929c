//! The description of the methods: an OpenRPC document.

use serde_json::{Value, json};

use crate::methods::METHODS;

/// The document, as `rpc_discover` gives it.
#[must_use]
pub fn document() -> Value {
    let reference = |schema: &str| json!({ "$ref": format!("#/components/schemas/{schema}") });
    let methods = METHODS.iter().map(|method| {
        let params = method.params.iter().map(|param| {
            json!({
                "name": param.name,
                "required": param.required,
                "schema": reference(param.schema),
            })
        });
        json!({
            "name": method.name,
            "summary": method.summary,
            "paramStructure": "by-position",
            "params": params.collect::<Vec<_>>(),
            "result": { "name": "result", "schema": reference(method.result) },
        })
    });
    json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "Hedgerow's JSON-RPC",
            "description": "Ethereum's JSON-RPC, over HTTP and WebSocket. Over WebSocket also eth_subscribe (newHeads, logs, newPendingTransactions) and eth_unsubscribe.",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "methods": methods.collect::<Vec<_>>(),
        "components": { "schemas": schemas() },
    })
}

fn hex(description: &str, pattern: &str) -> Value {
    json!({ "type": "string", "description": description, "pattern": pattern })
}

fn list(of: &str) -> Value {
    json!({ "type": "array", "items": { "$ref": format!("#/components/schemas/{of}") } })
}

/// An object of Ethereum's: the execution APIs describe its fields.
fn object(description: &str) -> Value {
    json!({ "type": ["object", "null"], "description": description })
}

fn schemas() -> Value {
    json!({
        "AccessListResult": object("accessList, gasUsed, and error where the call fails"),
        "Address": hex("20 bytes", "^0x[0-9a-fA-F]{40}$"),
        "Addresses": list("Address"),
        "Block": object("A block, with its transactions' hashes or whole ones"),
        "BlockId": {
            "description": "A height, a tag, or an object with a blockHash or a blockNumber (EIP-1898); the newest block where it is left out",
            "type": ["string", "object"],
        },
        "BlockNumberOrTag": {
            "description": "A height, or latest, safe, finalized, pending (all the newest block) or earliest",
            "type": "string",
        },
        "BlockOverrides": object("What the call finds changed of its block: number, time, gasLimit, feeRecipient, prevRandao"),
        "Boolean": { "type": "boolean" },
        "Bytes": hex("Bytes", "^0x([0-9a-fA-F]{2})*$"),
        "Changes": { "type": "array", "description": "Hashes or events, by the filter's kind" },
        "FeeHistory": object("What gas cost"),
        "Filter": object("fromBlock, toBlock or blockHash, address, topics"),
        "Hash": hex("32 bytes", "^0x[0-9a-fA-F]{64}$"),
        "Log": object("An event"),
        "Logs": list("Log"),
        "Milliseconds": { "type": "integer", "minimum": 0 },
        "Null": { "type": "null" },
        "Numbers": { "type": "array", "items": { "type": "number" } },
        "OpenRpc": { "type": "object" },
        "PoolStatus": object("pending and queued"),
        "Proof": object("An account with its proofs (EIP-1186)"),
        "Quantity": hex("A number, without leading zeros", "^0x(0|[1-9a-fA-F][0-9a-fA-F]*)$"),
        "Receipt": object("What became of a transaction"),
        "Receipts": list("Receipt"),
        "StateOverrides": object("What the call finds changed: by account, balance, nonce, code, state or stateDiff"),
        "String": { "type": "string" },
        "Trace": object("As the tracer gives it"),
        "TraceCallOptions": object("As TraceOptions, and stateOverrides, blockOverrides"),
        "TraceOptions": object("tracer: callTracer, prestateTracer, 4byteTracer, noopTracer, or none for the steps; tracerConfig; for the steps disableStack, disableStorage, enableMemory, enableReturnData, limit"),
        "Transaction": object("A transaction, and where it was executed"),
        "TransactionRequest": object("from, to, gas, value, input or data, accessList; gasPrice or maxFeePerGas, where gas is to be paid for"),
        "Word": hex("32 bytes, or a number", "^0x[0-9a-fA-F]{1,64}$"),
        "Words": list("Word"),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_schema_is_described_and_methods_are_in_order() {
        let document = document();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let text = document.to_string();
        let named: BTreeSet<_> = text
            .split("#/components/schemas/")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap())
            .collect();
        let known: BTreeSet<_> = schemas.keys().map(String::as_str).collect();
        assert_eq!(named, known);
        let names: Vec<_> = METHODS.iter().map(|method| method.name).collect();
        assert!(names.is_sorted() && names.len() > 40);
    }
}
