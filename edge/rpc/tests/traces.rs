//! Traces, access lists and overrides over HTTP. What anvil said of the same transactions is beside this file:
//! `anvil --chain-id 4711 --hardfork osaka --gas-price 0 --base-fee 0` (1.7.1), the sender owning nothing.

#[path = "../../../ledger/evm/tests/chain/accounts.rs"]
mod accounts;
#[path = "../../gateway/tests/support/mod.rs"]
mod support;
mod world;

use accounts::{Signer, counter, deploying, plain, spinner};
use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, B256, TxKind, U256, hex};
use serde_json::{Value, json};
use world::World;

/// Takes the counter's address. Calls it, then so that it reverts, asks a precompiled contract, has the counter's code
/// run as its own, tries a creation that fails, logs a byte and returns it.
const CALLER: [u8; 63] = hex!(
    "5f5f5f5f5f5f355af150"
    "60095f53"
    "5f5f60015f5f5f355af150"
    "5f5f60015f60045afa50"
    "60015f53"
    "5f5f60015f5f355af450"
    "60015f5ff050"
    "60015fa0"
    "60015ff3"
);

/// What both were asked of the last transaction.
fn options() -> [(&'static str, Value); 6] {
    [
        (
            "calls",
            json!({ "tracer": "callTracer", "tracerConfig": { "withLog": true } }),
        ),
        (
            "top",
            json!({ "tracer": "callTracer", "tracerConfig": { "onlyTopCall": true } }),
        ),
        ("prestate", json!({ "tracer": "prestateTracer" })),
        (
            "diff",
            json!({ "tracer": "prestateTracer", "tracerConfig": { "diffMode": true } }),
        ),
        ("selectors", json!({ "tracer": "4byteTracer" })),
        (
            "steps",
            json!({ "enableMemory": true, "enableReturnData": true }),
        ),
    ]
}

fn transactions() -> ([Vec<u8>; 3], Address, Address) {
    let ann = Signer::new(0);
    let [counter_at, caller_at] = [0, 1].map(|nonce| ann.address().create(nonce));
    // They offer nothing for gas: anvil takes what is offered.
    let sign = |nonce, to, input: &[u8]| {
        ann.sign(TxEip1559 {
            max_fee_per_gas: 0,
            max_priority_fee_per_gas: 0,
            ..plain(nonce, to, 0, input)
        })
    };
    let signed = [
        sign(0, TxKind::Create, &deploying(&counter())),
        sign(1, TxKind::Create, &deploying(&CALLER)),
        sign(
            2,
            TxKind::Call(caller_at),
            counter_at.into_word().as_slice(),
        ),
    ];
    (signed, counter_at, caller_at)
}

/// What anvil said as geth would have: anvil counts the gas of the whole transaction in another way (more than its limit
/// here), words a fault of the code differently, and shows accounts that are not there.
fn as_geth_says(name: &str, mut answer: Value, receipt: &Value) -> Value {
    let used = &receipt["gasUsed"];
    match name {
        "calls" | "top" => {
            answer["gas"] = json!("0x61a80");
            answer["gasUsed"] = used.clone();
        }
        "steps" => {
            let used = used.as_str().unwrap().trim_start_matches("0x");
            answer["gas"] = json!(u64::from_str_radix(used, 16).unwrap());
        }
        "prestate" => {
            let accounts = answer.as_object_mut().unwrap();
            accounts.retain(|_, account| *account != json!({ "balance": "0x0" }));
        }
        _ => {}
    }
    if let Some(failed) = answer.pointer_mut("/calls/4/error") {
        assert_eq!(*failed, "StackUnderflow");
        *failed = json!("stack underflow");
    }
    answer
}

#[test]
fn traces_are_as_anvil_gives_them() {
    let world = World::new();
    let (signed, counter_at, caller_at) = transactions();
    let known: Value = serde_json::from_str(include_str!("anvil.json")).unwrap();
    let raw: Vec<_> = signed.iter().map(hex::encode_prefixed).collect();
    assert_eq!(known["transactions"], json!(raw));
    let [_, _, receipt] = signed.map(|signed| world.send(&signed));
    let hash = &receipt["transactionHash"];
    for (name, options) in options() {
        let found = world.get("debug_traceTransaction", json!([hash, options]));
        let known = as_geth_says(name, known["answers"][name].clone(), &receipt);
        assert_eq!(found, known, "{name}");
    }
    let call = json!({ "from": Signer::new(0).address(), "to": caller_at, "gas": "0x61a80", "input": counter_at.into_word() });
    let found = world.get(
        "debug_traceCall",
        json!([call, "latest", { "tracer": "callTracer" }]),
    );
    assert_eq!(found["calls"].as_array().unwrap().len(), 5);
    // A contract that calls itself as deeply as its gas goes: deeper than readers of JSON go by default.
    let code = "0x5f5f5f5f5f305af15000";
    let options = json!({ "tracer": "callTracer", "stateOverrides": { counter_at.to_string(): { "code": code } } });
    let deep = json!([{ "to": counter_at }, "latest", options]);
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "debug_traceCall", "params": deep });
    let (_, body) = world.post(&body.to_string());
    assert!(
        body.matches("\"type\":\"CALL\"").count() > 300,
        "{}",
        body.len()
    );
    let mut found = world.get("eth_createAccessList", json!([call, "latest"]));
    let mut known = known["answers"]["accessList"].clone();
    for list in [&mut found, &mut known] {
        let items = list["accessList"].as_array_mut().unwrap();
        items.sort_by_key(|item| item["address"].as_str().unwrap().to_owned());
    }
    assert_eq!(found, known);
}

#[test]
fn a_call_may_change_what_it_finds_and_pay() {
    let (world, ann) = (World::new(), Signer::new(0));
    let (contract, _) = world.deploy_counter(&ann);
    let call = json!({ "to": contract, "input": "0x01" });
    let word = |number: u64| json!(B256::from(U256::from(number)));
    let with = |overrides: Value| world.get("eth_call", json!([call, "latest", overrides]));
    let slot = json!({ word(0).as_str().unwrap(): word(5) });
    assert_eq!(
        with(json!({ contract.to_string(): { "stateDiff": slot } })),
        word(5)
    );
    assert_eq!(
        with(json!({ contract.to_string(): { "state": slot } })),
        word(5)
    );
    let code = "0x475f5260205ff3";
    let rich = json!({ contract.to_string(): { "code": code, "balance": "0x7", "nonce": "0x9" } });
    assert_eq!(with(rich.clone()), word(7));
    let block = json!([call, "latest", { contract.to_string(): { "code": "0x435f5260205ff3" } }, { "number": "0x10" }]);
    assert_eq!(world.get("eth_call", block), word(16));
    let estimate = json!([{ "to": contract, "input": "0x09" }, "latest", rich]);
    assert!(world.get("eth_estimateGas", estimate).is_string());
    let traced = world.get(
        "debug_traceCall",
        json!([call, "latest", { "tracer": "callTracer", "stateOverrides": rich }]),
    );
    assert_eq!(traced["output"], word(7));
    let listed = json!({ "to": contract, "input": "0x01", "accessList": [{ "address": contract, "storageKeys": [word(0)] }] });
    let plain = world.get("eth_estimateGas", json!([call]));
    assert_ne!(world.get("eth_estimateGas", json!([listed])), plain);

    let refused = |code: i64, said: &str, method: &str, params: Value| {
        let (found, message) = world.refused(method, params);
        assert_eq!(found, code, "{message}");
        assert!(message.contains(said), "{message}");
    };
    let both = json!({ contract.to_string(): { "state": slot, "stateDiff": slot } });
    refused(
        -32602,
        "both 'state' and 'stateDiff'",
        "eth_call",
        json!([call, "latest", both]),
    );
    let moved = json!({ contract.to_string(): { "movePrecompileToAddress": contract } });
    refused(
        -32602,
        "movePrecompileToAddress",
        "eth_call",
        json!([call, "latest", moved]),
    );
    refused(
        -32602,
        "stateOverrides",
        "eth_call",
        json!([call, "latest", { contract.to_string(): { "blance": "0x1" } }]),
    );
    refused(
        -32602,
        "block overrides",
        "eth_call",
        json!([call, "latest", {}, { "baseFee": "0x1" }]),
    );
    let slots: serde_json::Map<_, _> = (0..1_025)
        .map(|number| (word(number).as_str().unwrap().to_owned(), word(1)))
        .collect();
    refused(
        -32005,
        "1024",
        "eth_call",
        json!([call, "latest", { contract.to_string(): { "state": slots } }]),
    );
    let accounts = |count: u64, bytes: usize| -> Value {
        let one = |number| {
            let address = Address::from_word(U256::from(number + 0x10_0000).into());
            (
                address.to_string(),
                json!({ "code": format!("0x{}", "00".repeat(bytes)) }),
            )
        };
        (0..count)
            .map(one)
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    refused(
        -32005,
        "128",
        "eth_call",
        json!([call, "latest", accounts(129, 1)]),
    );
    refused(
        -32005,
        "bytes",
        "eth_call",
        json!([call, "latest", accounts(4, 49_000)]),
    );
    let streams = json!({ "0x0000000000000000000000000000000000004847": { "stateDiff": slot } });
    refused(
        -32000,
        "can't be overridden",
        "eth_call",
        json!([call, "latest", streams]),
    );
    let fees = json!({ "to": contract, "gasPrice": "0x1", "maxFeePerGas": "0x1" });
    refused(-32602, "both gasPrice and", "eth_call", json!([fees]));
    let fees = json!({ "to": contract, "maxPriorityFeePerGas": "0x2", "maxFeePerGas": "0x1" });
    refused(-32602, "maxPriorityFeePerGas", "eth_call", json!([fees]));
}

#[test]
fn what_can_not_be_traced_is_said() {
    let (world, ann) = (World::new(), Signer::new(0));
    let refused = |code: i64, said: &str, method: &str, params: Value| {
        let (found, message) = world.refused(method, params);
        assert_eq!(found, code, "{message}");
        assert!(message.contains(said), "{message}");
    };
    refused(
        -32000,
        "transaction not found",
        "debug_traceTransaction",
        json!([B256::ZERO]),
    );
    let deploy = ann.send(0, TxKind::Create, 0, &deploying(&spinner()));
    let contract = world.send(&deploy)["contractAddress"].clone();
    let hash = world.send(&ann.send(
        1,
        TxKind::Call(contract.as_str().unwrap().parse().unwrap()),
        0,
        &[],
    ))["transactionHash"]
        .clone();
    for tracer in ["muxTracer", "flatCallTracer", "{step: function() {}}"] {
        refused(
            -32602,
            "is not there",
            "debug_traceTransaction",
            json!([hash, { "tracer": tracer }]),
        );
    }
    refused(
        -32602,
        "tracerConfig",
        "debug_traceTransaction",
        json!([hash, { "tracer": "callTracer", "tracerConfig": 7 }]),
    );
    refused(-32005, "set limit", "debug_traceTransaction", json!([hash]));
    let found = world.get("debug_traceTransaction", json!([hash, { "limit": 10 }]));
    assert_eq!(found["structLogs"].as_array().unwrap().len(), 10);
    let found = world.get(
        "debug_traceTransaction",
        json!([hash, { "tracer": "callTracer" }]),
    );
    assert_eq!(found["error"], "out of gas");
}
