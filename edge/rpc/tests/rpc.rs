//! The methods over HTTP, as tools call them, on the real ledger.

#[path = "../../../ledger/evm/tests/chain/accounts.rs"]
mod accounts;
#[path = "../../gateway/tests/support/mod.rs"]
mod support;
mod world;

use std::time::Duration;

use accounts::{Signer, counter, deploying};
use alloy_primitives::{Address, TxKind, hex, keccak256};
use hedgerow_rpc::RpcLimits;
use serde_json::{Value, json};
use support::Fake;
use world::World;

#[test]
fn a_contract_is_deployed_called_and_heard() {
    let (world, ann) = (World::new(), Signer::new(0));
    assert_eq!(world.get("eth_chainId", json!([])), "0x1267");
    assert_eq!(world.get("net_version", json!([])), "4711");
    assert_eq!(world.get("eth_blockNumber", json!([])), "0x0");
    let (contract, receipt) = world.deploy_counter(&ann);
    assert_eq!(receipt["status"], "0x1");
    assert_eq!(receipt["blockNumber"], "0x1");
    assert_eq!(
        world.get("eth_getCode", json!([contract, "latest"])),
        hex::encode_prefixed(counter())
    );

    let count = ann.send(1, TxKind::Call(contract), 0, &[]);
    let hash = world.get(
        "eth_sendRawTransaction",
        json!([hex::encode_prefixed(&count)]),
    );
    assert_eq!(hash, json!(keccak256(&count)));
    let again = world.ask(
        "eth_sendRawTransactionSync",
        json!([hex::encode_prefixed(&count)]),
    );
    // Whether or not it was final by then.
    let said = again.map_or_else(
        |error| error["message"].clone(),
        |receipt| receipt["status"].clone(),
    );
    assert!(
        [
            "already known",
            "nonce too low: next nonce 2, tx nonce 1",
            "0x1"
        ]
        .contains(&said.as_str().unwrap()),
        "{said}"
    );
    let receipt = std::iter::repeat_with(|| {
        std::thread::sleep(Duration::from_millis(5));
        world.get("eth_getTransactionReceipt", json!([hash]))
    });
    let receipt = receipt
        .take(1_000)
        .find(|receipt| !receipt.is_null())
        .unwrap();
    let log = &receipt["logs"][0];
    assert_eq!(log["address"], json!(contract));
    assert_eq!(log["topics"][0], json!(ann.address().into_word()));
    assert_eq!(log["transactionHash"], hash);

    // The same by each way there is.
    let found = world.get(
        "eth_getLogs",
        json!([{ "address": contract, "fromBlock": "earliest" }]),
    );
    assert_eq!(found, json!([log]));
    let topics = json!([[ann.address().into_word(), keccak256("other")]]);
    assert_eq!(
        world.get(
            "eth_getLogs",
            json!([{ "topics": topics, "fromBlock": "0x1" }])
        ),
        found
    );
    assert_eq!(
        world.get(
            "eth_getLogs",
            json!([{ "topics": [null, hash], "fromBlock": "0x1" }])
        ),
        json!([])
    );
    assert_eq!(
        world.get(
            "eth_getLogs",
            json!([{ "blockHash": receipt["blockHash"] }])
        ),
        found
    );
    let block = world.get("eth_getBlockByNumber", json!(["latest", true]));
    assert_eq!(block["hash"], receipt["blockHash"]);
    assert_eq!(block["gasUsed"], receipt["gasUsed"]);
    assert_eq!(
        block["transactions"][0],
        world.get("eth_getTransactionByHash", json!([hash]))
    );
    assert_eq!(
        world.get("eth_getBlockByHash", json!([block["hash"], true])),
        block
    );
    assert_eq!(
        world.get("eth_getBlockReceipts", json!(["0x2"])),
        json!([receipt])
    );
    assert_eq!(
        world.get(
            "eth_getTransactionByBlockNumberAndIndex",
            json!(["0x2", "0x0"])
        ),
        block["transactions"][0]
    );
    assert_eq!(
        world.get("eth_getBlockTransactionCountByNumber", json!(["0x2"])),
        "0x1"
    );
    assert_eq!(
        world.get("eth_getStorageAt", json!([contract, "0x0", "latest"])),
        json!(format!("0x{:064x}", 1))
    );

    let request = json!({ "to": contract, "data": "0x01" });
    assert_eq!(
        world.get("eth_call", json!([request, "latest"])),
        json!(format!("0x{:064x}", 1))
    );
    assert_eq!(
        world.get("eth_call", json!([request, "0x1"])),
        json!(format!("0x{:064x}", 0))
    );
    let error = world
        .ask("eth_call", json!([{ "to": contract, "input": "0x09" }]))
        .unwrap_err();
    assert_eq!(
        error,
        json!({ "code": 3, "message": "execution reverted", "data": format!("0x{:064x}", 42) })
    );
    let error = world
        .ask(
            "eth_estimateGas",
            json!([{ "to": contract, "data": "0x09" }]),
        )
        .unwrap_err();
    assert_eq!(error["code"], 3);
    let transfer = json!({ "from": ann.address(), "to": Address::repeat_byte(7), "value": "0x0" });
    assert_eq!(world.get("eth_estimateGas", json!([transfer])), "0x5208");
    assert_eq!(
        world.get("eth_getTransactionCount", json!([ann.address(), "latest"])),
        "0x2"
    );

    let proof = world.get("eth_getProof", json!([contract, ["0x0"], "latest"]));
    assert_eq!(proof["storageProof"][0]["value"], "0x1");
    assert_eq!(
        json!(keccak256(
            hex::decode(proof["accountProof"][0].as_str().unwrap()).unwrap()
        )),
        block["stateRoot"]
    );
}

#[test]
fn what_can_not_be_executed_is_refused_at_the_door_in_words_that_tools_know() {
    let (world, ann) = (World::new(), Signer::new(0));
    let send = |bytes: Vec<u8>| {
        world.refused(
            "eth_sendRawTransaction",
            json!([hex::encode_prefixed(bytes)]),
        )
    };
    let to = TxKind::Call(Address::ZERO);
    assert!(send(vec![1, 2, 3]).1.starts_with("rlp"));
    let plain = |nonce| accounts::plain(nonce, to, 0, &[]);
    let mut other = plain(0);
    other.chain_id = 1;
    assert_eq!(
        send(ann.sign(other)).1,
        "invalid chain id: signed for chain 1, this is chain 4711"
    );
    let mut poor = plain(0);
    poor.gas_limit = 20_999;
    assert_eq!(
        send(ann.sign(poor)).1,
        "intrinsic gas too low: have 20999, want 21000"
    );
    let mut greedy = plain(0);
    greedy.gas_limit = 1 << 25;
    assert!(
        send(ann.sign(greedy))
            .1
            .starts_with("exceeds maximum per-transaction gas limit")
    );
    assert_eq!(
        send(ann.send(0, to, 1, &[])).1,
        "insufficient funds for gas * price + value"
    );
    world.send(&ann.sign(plain(0)));
    assert_eq!(
        send(ann.sign(plain(0))),
        (-32000, "nonce too low: next nonce 1, tx nonce 0".into())
    );

    // A gap: it waits, and is seen to.
    let early = ann.sign(plain(2));
    let hash = world.get(
        "eth_sendRawTransaction",
        json!([hex::encode_prefixed(&early)]),
    );
    let waiting = world.get("eth_getTransactionByHash", json!([hash]));
    assert_eq!(
        (&waiting["blockHash"], &waiting["nonce"]),
        (&Value::Null, &json!("0x2"))
    );
    assert_eq!(
        world.get("txpool_status", json!([])),
        json!({ "pending": "0x0", "queued": "0x1" })
    );
    assert_eq!(
        world.get("eth_getTransactionReceipt", json!([hash])),
        Value::Null
    );
    let late = json!([hex::encode_prefixed(ann.sign(plain(3))), 10]);
    let error = world.ask("eth_sendRawTransactionSync", late).unwrap_err();
    assert_eq!(
        (&error["code"], error["data"].as_str().unwrap().len()),
        (&json!(4), 66)
    );
    assert_eq!(
        world.get("eth_getTransactionCount", json!([ann.address(), "pending"])),
        "0x1"
    );
    // Another gateway carries what is missing.
    world.fake.execute(vec![ann.sign(plain(1)).into()]);
    let receipt = std::iter::repeat_with(|| {
        std::thread::sleep(Duration::from_millis(20));
        world.get("eth_getTransactionReceipt", json!([hash]))
    });
    assert!(receipt.take(500).any(|receipt| !receipt.is_null()));
}

#[test]
fn who_lacks_a_role_is_refused_at_the_door() {
    let (ann, bob) = (Signer::new(0), Signer::new(1));
    let world = World::of(Fake::closed(ann.address().0.0), RpcLimits::default());
    let to = TxKind::Call(bob.address());
    assert_eq!(world.send(&ann.send(0, to, 0, &[]))["status"], "0x1");
    let creation = ann.send(1, TxKind::Create, 0, &deploying(&counter()));
    for (bytes, role) in [(bob.send(0, to, 0, &[]), "`call`"), (creation, "`deploy`")] {
        let sent = json!([hex::encode_prefixed(&bytes)]);
        let (code, message) = world.refused("eth_sendRawTransaction", sent);
        assert_eq!(code, -32000);
        assert!(message.starts_with("not allowed: 0x"), "{message}");
        assert!(message.contains(role), "{message}");
    }
    assert_eq!(world.get("eth_blockNumber", json!([])), "0x1");
    // Whoever asks needs no role.
    let call = json!([{"from": bob.address(), "to": bob.address()}, "latest"]);
    assert_eq!(world.get("eth_call", call), "0x");
}

#[test]
fn sending_waits_where_it_is_told_to() {
    let world = World::with(RpcLimits {
        send_waits: true,
        ..RpcLimits::default()
    });
    let ann = Signer::new(0);
    let send = |bytes: &[u8]| {
        world.ask(
            "eth_sendRawTransaction",
            json!([hex::encode_prefixed(bytes)]),
        )
    };
    for nonce in 0..5 {
        let signed = ann.send(nonce, TxKind::Call(ann.address()), 0, &[]);
        assert_eq!(send(&signed), Ok(json!(keccak256(&signed))));
        // Whoever asks next finds it.
        let count = world.get("eth_getTransactionCount", json!([ann.address(), "latest"]));
        assert_eq!(count, format!("0x{:x}", nonce + 1));
        let receipt = world.get("eth_getTransactionReceipt", json!([keccak256(&signed)]));
        assert_eq!(receipt["status"], "0x1");
    }
}

#[test]
fn filters_tell_what_is_new() {
    let (world, ann) = (World::new(), Signer::new(0));
    let (contract, _) = world.deploy_counter(&ann);
    let logs = world.get(
        "eth_newFilter",
        json!([{ "address": contract, "fromBlock": "0x0" }]),
    );
    let blocks = world.get("eth_newBlockFilter", json!([]));
    let pending = world.get("eth_newPendingTransactionFilter", json!([]));
    let receipts: Vec<_> = (1..3)
        .map(|nonce| world.send(&ann.send(nonce, TxKind::Call(contract), 0, &[])))
        .collect();
    let all = |field: &str| json!([receipts[0][field], receipts[1][field]]);
    assert_eq!(
        world.get("eth_getFilterChanges", json!([blocks])),
        all("blockHash")
    );
    assert_eq!(
        world.get("eth_getFilterChanges", json!([pending])),
        all("transactionHash")
    );
    let new = world.get("eth_getFilterChanges", json!([logs]));
    assert_eq!(new, json!([receipts[0]["logs"][0], receipts[1]["logs"][0]]));
    for filter in [&logs, &blocks, &pending] {
        assert_eq!(
            world.get("eth_getFilterChanges", json!([filter])),
            json!([])
        );
    }
    assert_eq!(world.get("eth_getFilterLogs", json!([logs])), new);
    assert_eq!(world.get("eth_uninstallFilter", json!([logs])), true);
    assert_eq!(world.get("eth_uninstallFilter", json!([logs])), false);
    assert!(
        world
            .refused("eth_getFilterChanges", json!([logs]))
            .1
            .starts_with("filter not found")
    );
}

#[test]
fn limits_and_mistakes_are_said_and_harm_nothing() {
    let world = World::with(RpcLimits {
        batch: 3,
        log_blocks: 2,
        request_bytes: 10_000,
        ..RpcLimits::default()
    });
    for nonce in 0..3 {
        world.send(&Signer::new(0).send(nonce, TxKind::Call(Address::ZERO), 0, &[]));
    }
    let params = |code, said: &str, method, params: Value| {
        let (found, message) = world.refused(method, params);
        assert_eq!(found, code, "{message}");
        assert!(message.contains(said), "{message}");
    };
    params(-32602, "argument 0: address", "eth_getBalance", json!([]));
    params(
        -32602,
        "argument 0: address",
        "eth_getBalance",
        json!(["0x12"]),
    );
    params(
        -32602,
        "must be an array",
        "eth_getBalance",
        json!({ "address": "0x12" }),
    );
    params(
        -32001,
        "header not found",
        "eth_getBalance",
        json!([Address::ZERO, "0x99"]),
    );
    params(
        -32005,
        "4 blocks, at most 2",
        "eth_getLogs",
        json!([{ "fromBlock": "0x0" }]),
    );
    params(
        -32602,
        "ends before it begins",
        "eth_getLogs",
        json!([{ "fromBlock": "0x3", "toBlock": "0x1" }]),
    );
    params(-32601, "not found", "eth_sign", json!([]));
    assert_eq!(
        world.get("eth_getBlockByNumber", json!(["0x99", false])),
        Value::Null
    );
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_chainId" });
    let batch = |count| world.post(&json!(vec![&call; count]).to_string()).1;
    assert_eq!(
        serde_json::from_str::<Vec<Value>>(&batch(3)).unwrap().len(),
        3
    );
    assert!(batch(4).contains("batch"), "{}", batch(4));
    let large = json!({ "jsonrpc": "2.0", "id": 1, "method": "web3_sha3", "params": ["0x".to_owned() + &"00".repeat(5_000)] });
    let (status, _) = world.post(&large.to_string());
    assert_eq!(status, 413);
    let (_, garbage) = world.post("{\"jsonrpc\": [[[[[");
    assert!(garbage.contains("-32700"), "{garbage}");
    assert_eq!(world.get("web3_sha3", json!(["0x"])), json!(keccak256([])));
}

#[test]
fn fees_are_the_members_price() {
    let world = World::new();
    world.send(&Signer::new(0).send(0, TxKind::Call(Address::ZERO), 0, &[]));
    assert_eq!(world.get("eth_gasPrice", json!([])), "0x0");
    let history = world.get("eth_feeHistory", json!(["0x4", "latest", [25.0, 75.0]]));
    assert_eq!(history["oldestBlock"], "0x0");
    assert_eq!(history["baseFeePerGas"], json!(["0x0", "0x0", "0x0"]));
    assert_eq!(
        history["gasUsedRatio"],
        json!([0.0, 21_000.0 / 100_000_000.0])
    );
    assert_eq!(history["reward"], json!([["0x0", "0x0"], ["0x0", "0x0"]]));
}

#[test]
fn the_description_is_the_one_in_the_documentation() {
    let document = serde_json::to_string_pretty(&hedgerow_rpc::document()).unwrap() + "\n";
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openrpc.json");
    let known = std::fs::read_to_string(file).unwrap_or_default();
    if known != document {
        // For whoever has changed a method: the new one is ready to be committed.
        std::fs::write(file, document).unwrap();
        panic!("docs/openrpc.json was out of date, and is written anew: commit it");
    }
    assert_eq!(
        World::new().get("rpc_discover", json!([])),
        hedgerow_rpc::document()
    );
}
