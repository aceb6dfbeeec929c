//! Ethereum's transactions in blocks, among the ledger's own.

#[path = "../../evm/tests/chain/accounts.rs"]
mod accounts;
mod common;

use accounts::{Signer, counter, deploying};
use alloy_consensus_any::AnyReceiptEnvelope;
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::{Address, BloomInput, TxKind};
use common::*;
use hedgerow_base::{Digest, Height};
use hedgerow_chain::{Genesis, Ledger};
use hedgerow_kv::MemoryStore;
use hedgerow_records::{Algorithm, Receipt, Rejection, Transaction};

fn open(store: MemoryStore) -> Ledger<MemoryStore> {
    Ledger::open(store, genesis()).unwrap()
}

fn executed(receipt: &Receipt) -> (u64, bool, u64) {
    let Receipt::Executed {
        height,
        success,
        gas_used,
    } = receipt
    else {
        panic!("{receipt:?}")
    };
    (height.0, *success, *gas_used)
}

fn refused(receipt: &Receipt) -> &str {
    match receipt {
        Receipt::Rejected {
            reason: Rejection::NotExecutable(reason),
        } => reason,
        other => panic!("{other:?}"),
    }
}

/// A ledger in which account 0 has deployed the counter.
fn with_counter() -> (Ledger<MemoryStore>, Address) {
    let mut ledger = open(MemoryStore::new());
    let ann = Signer::new(0);
    let receipts = run(
        &mut ledger,
        [ann.send(0, TxKind::Create, 0, &deploying(&counter()))],
    );
    assert!(executed(&receipts[0]).1, "{receipts:?}");
    (ledger, ann.address().create(0))
}

#[test]
fn contracts_and_records_share_a_block() {
    let (mut ledger, contract) = with_counter();
    let (ann, key) = (Signer::new(0), device(Algorithm::Ed25519, 1));
    let call = ann.send(1, TxKind::Call(contract), 0, &[]);
    let transactions = [
        call.clone(),
        registration(&key, "mast-1"),
        ann.send(2, TxKind::Call(contract), 0, &[9]),
        record(&key, "temperature", &[(0, "21.5")]),
        vec![0xc0],
    ];
    let done = execute(&mut ledger, &[bundle(transactions), vec![1].into()]);
    let receipts = &done.receipts[0].0;
    let (height, success, gas) = executed(&receipts[0]);
    assert_eq!((height, success), (2, true));
    assert!(matches!(receipts[1], Receipt::Registered { .. }));
    let (_, success, more) = executed(&receipts[2]);
    assert!(!success, "it reverts");
    assert!(matches!(receipts[3], Receipt::Recorded { appended: 1, .. }));
    assert!(refused(&receipts[4]).starts_with("rlp"));
    assert!(matches!(done.receipts[1].0[0], Receipt::Rejected { .. }));
    assert_eq!((done.transactions, done.readings), (6, 1));

    // The header tells Ethereum's tools of it.
    let header = &done.header;
    assert_eq!(
        (header.gas_limit, header.gas_used),
        (100_000_000, gas + more)
    );
    assert!(
        header
            .logs_bloom
            .contains_input(BloomInput::Raw(contract.as_slice()))
    );
    let kept = ledger.contract_receipts(Height(2)).unwrap();
    assert_eq!(kept.iter().map(|one| one.index).collect::<Vec<_>>(), [0, 2]);
    let receipt = AnyReceiptEnvelope::decode_2718_exact(&kept[0].receipt).unwrap();
    assert_eq!(receipt.logs()[0].topics(), [ann.address().into_word()]);
    assert_eq!(receipt.cumulative_gas_used(), gas);
    assert_eq!(
        (kept[0].sender, kept[0].hash),
        (ann.address().0.0, Transaction::digest(&call))
    );
    assert_eq!(
        ledger.executed_at(kept[1].hash).unwrap(),
        Some((Height(2), 2))
    );
    assert_eq!(ledger.executed_at(Digest::ZERO).unwrap(), None);
    // The receipts' root is of Ethereum's receipts, where they are Ethereum's.
    let leaf = |number: usize| match number {
        0 | 2 => kept[number / 2].receipt.clone(),
        5 => hedgerow_wire::encode(&done.receipts[1].0[0]),
        own => hedgerow_wire::encode(&receipts[own]),
    };
    let leaves: Vec<_> = (0..6).map(leaf).collect();
    let root = alloy_trie::root::ordered_trie_root_with_encoder(&leaves, |bytes, out| {
        out.extend_from_slice(bytes);
    });
    assert_eq!(header.receipts_root.0, root.0);
    assert_eq!(receipt.encoded_2718(), kept[0].receipt);
}

#[test]
fn a_transaction_that_two_gateways_carry_is_executed_once() {
    let mut ledger = open(MemoryStore::new());
    let transfer = Signer::new(0).send(0, TxKind::Call(Address::repeat_byte(9)), 0, &[]);
    let done = execute(
        &mut ledger,
        &[bundle([transfer.clone()]), bundle([transfer.clone()])],
    );
    assert_eq!(executed(&done.receipts[0].0[0]), (1, true, 21_000));
    assert_eq!(
        refused(&done.receipts[1].0[0]),
        "nonce too low: next nonce 1, tx nonce 0"
    );
    assert_eq!(
        ledger.executed_at(Transaction::digest(&transfer)).unwrap(),
        Some((Height(1), 0))
    );
}

#[test]
fn what_is_rolled_back_never_was() {
    let (mut ledger, contract) = with_counter();
    let ann = Signer::new(0);
    let first = ledger.head();
    let call = ann.send(1, TxKind::Call(contract), 0, &[]);
    let once = execute(&mut ledger, &[bundle([call.clone()])]);
    execute(
        &mut ledger,
        &[bundle([ann.send(
            2,
            TxKind::Create,
            0,
            &deploying(&[0x5f, 0x00]),
        )])],
    );
    ledger.rollback(first.header.height);
    assert_eq!(ledger.head(), first);
    assert_eq!(
        ledger.executed_at(Transaction::digest(&call)).unwrap(),
        None
    );
    assert_eq!(ledger.contract_receipts(Height(2)).unwrap(), []);
    // And can be done again, with the same result.
    let again = execute(&mut ledger, &[bundle([call])]);
    assert_eq!(again, once);
}

#[test]
fn who_executes_the_batches_again_has_the_same_ledger() {
    let (mut ledger, contract) = with_counter();
    let (ann, ben) = (Signer::new(0), Signer::new(1));
    for nonce in 0..5 {
        let calls = [
            ann.send(nonce + 1, TxKind::Call(contract), 0, &[]),
            ben.send(nonce, TxKind::Call(contract), 0, &[]),
        ];
        let done = execute(&mut ledger, &[bundle(calls)]);
        ledger.stable(done.header.height).unwrap();
    }
    let mut other = open(MemoryStore::new());
    for batch in ledger.batches(slot(0), 100).unwrap() {
        let done = other
            .execute(batch.slot, batch.time, &batch.requests)
            .unwrap();
        other.stable(done.unwrap().header.height).unwrap();
    }
    assert_eq!(other.head(), ledger.head());
    // A member that starts again, too.
    let head = ledger.head();
    let mut reopened = open(ledger.into_store());
    assert_eq!(reopened.head(), head);
    let call = [ann.send(6, TxKind::Call(contract), 0, &[])];
    let done = execute(&mut reopened, &[bundle(call.clone())]);
    assert!(
        executed(&done.receipts[0].0[0]).1,
        "its code comes from the store"
    );
    assert_eq!(execute(&mut other, &[bundle(call)]), done);
}

#[test]
fn the_genesis_says_who_owns_what_and_what_gas_costs() {
    let (ann, ben) = (Signer::new(0), Signer::new(1));
    let mut json: serde_json::Value = serde_json::from_str(&genesis().to_json()).unwrap();
    let whose = format!("0x{}", hex::encode(ann.address()));
    json["contracts"] = serde_json::json!({
        "gas_price": 50, "gas_limit": 20_000_000, "accounts": {whose: 1},
    });
    let genesis = Genesis::from_json(&json.to_string()).unwrap();
    let mut ledger = Ledger::open(MemoryStore::new(), genesis).unwrap();
    let to = TxKind::Call(ben.address());
    let receipts = run(
        &mut ledger,
        [
            ann.send(0, to, 1000, &[]),
            ben.send(0, to, 0, &[]),
            ann.send(1, to, 1_000_000_000, &[]),
        ],
    );
    assert_eq!(executed(&receipts[0]), (1, true, 21_000));
    assert_eq!(
        refused(&receipts[1]),
        "insufficient funds for gas * price + value"
    );
    assert_eq!(
        refused(&receipts[2]),
        "insufficient funds for gas * price + value"
    );
    assert_eq!(ledger.head().header.gas_limit, 20_000_000);

    for (contracts, problem) in [
        (serde_json::json!({"gas_limit": 1}), "gas_limit"),
        (
            serde_json::json!({"accounts": {"0x12": 1}}),
            "not an address",
        ),
        (serde_json::json!({"gas": 1}), "unknown field"),
    ] {
        json["contracts"] = contracts;
        let error = Genesis::from_json(&json.to_string())
            .unwrap_err()
            .to_string();
        assert!(error.contains(problem), "{error}");
    }
}
