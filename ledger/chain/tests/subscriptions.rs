//! Contracts that read streams and subscribe to them; they are Solidity's, as committed in `contracts/artifacts`.

#[path = "../../evm/tests/chain/accounts.rs"]
mod accounts;
mod common;

use accounts::{Signer, plain};
use alloy_consensus::TxEip1559;
use alloy_consensus_any::AnyReceiptEnvelope;
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Log, TxKind, U256, hex, keccak256};
use alloy_sol_types::{SolCall, SolError, SolEvent};
use common::*;
use hedgerow_base::Height;
use hedgerow_chain::{
    AccountAddress, CallOutcome, CallRequest, ContractAnswer, ContractQuery, ContractReceipt,
    Ledger,
};
use hedgerow_evm::STREAMS_ADDRESS;
use hedgerow_kv::MemoryStore;
use hedgerow_records::{Algorithm, Receipt, Transaction};
use hedgerow_signer::DeviceKey;
use hedgerow_wire::Blob;

mod abi {
    #![allow(missing_docs, clippy::all, clippy::pedantic)]

    alloy_sol_types::sol!("../../contracts/src/streams/IStreams.sol");

    alloy_sol_types::sol! {
        interface Probe {
            error Refused(bytes32 stream, uint256 count);
            function behave(uint8 mode) external;
            function subscribe(bytes32 stream, uint64 gasPerRecord, uint64 gasPrepaid) external payable;
            function unsubscribe(bytes32 stream) external;
            function readingCount() external view returns (uint256);
            function records() external view returns (uint256);
        }
    }
}

use abi::{
    IStreams::{self, BlockFull, Failed, Halted, Recorded, Subscribed, Unsubscribed},
    Probe,
};

type Chain = Ledger<MemoryStore>;

const REVERT: u8 = 1;
const LOOP: u8 = 3;
/// What each call of a probe may take.
const GAS: u64 = 300_000;

/// A device's stream, and probes that account 0 has deployed.
struct Scene {
    ledger: Chain,
    key: DeviceKey,
    stream: B256,
    probes: Vec<Address>,
    nonce: u64,
}

fn probe_code() -> Vec<u8> {
    let artifact = include_str!("../../../contracts/artifacts/mocks/StreamProbe.json");
    let artifact: serde_json::Value = serde_json::from_str(artifact).unwrap();
    hex::decode(artifact["bytecode"].as_str().unwrap()).unwrap()
}

impl Scene {
    fn new(gas_price: u64, probes: u64) -> Self {
        let (mut genesis, ann) = (genesis(), Signer::new(0));
        let owner = AccountAddress(ann.address().0.0);
        genesis.contracts.accounts.insert(owner, 1_000_000_000);
        genesis.contracts.gas_price = gas_price;
        genesis.contracts.beneficiary = AccountAddress([0xbe; 20]);
        let ledger = Ledger::open(MemoryStore::new(), genesis).unwrap();
        let key = device(Algorithm::Ed25519, 1);
        let stream = hedgerow_records::StreamId::new(key.device_id(), &"t".parse().unwrap());
        let mut scene = Self {
            ledger,
            key,
            stream: B256::from(stream.0.0),
            probes: Vec::new(),
            nonce: 0,
        };
        let register = registration(&scene.key, "d");
        run(&mut scene.ledger, [register]);
        for nonce in 0..probes {
            let receipt = scene.send(TxKind::Create, 1_000_000_000, &probe_code());
            assert!(succeeded(&receipt), "{receipt:?}");
            scene.probes.push(ann.address().create(nonce));
        }
        scene
    }

    fn sign(&mut self, to: TxKind, value: u64, input: &[u8]) -> Vec<u8> {
        let transaction = TxEip1559 {
            gas_limit: 8_000_000,
            ..plain(self.nonce, to, value, input)
        };
        self.nonce += 1;
        Signer::new(0).sign(transaction)
    }

    fn send(&mut self, to: TxKind, value: u64, input: &[u8]) -> Receipt {
        let signed = self.sign(to, value, input);
        run(&mut self.ledger, [signed]).remove(0)
    }

    fn tell(&mut self, probe: usize, call: &impl SolCall) -> Receipt {
        self.send(TxKind::Call(self.probes[probe]), 0, &call.abi_encode())
    }

    fn subscribe(&mut self, probe: usize, prepaid: u64) {
        let call = Probe::subscribeCall {
            stream: self.stream,
            gasPerRecord: GAS,
            gasPrepaid: prepaid,
        };
        let receipt = self.tell(probe, &call);
        assert!(succeeded(&receipt), "{receipt:?}");
    }

    /// Executes a block of a record alone; gives what is kept of it.
    fn record(&mut self, readings: &[(u64, &str)]) -> Option<ContractReceipt> {
        let receipt = run(&mut self.ledger, [record(&self.key, "t", readings)]).remove(0);
        assert!(matches!(receipt, Receipt::Recorded { .. }), "{receipt:?}");
        let head = self.ledger.head().header.height;
        let mut kept = self.ledger.contract_receipts(head).unwrap();
        assert!(kept.len() <= 1);
        kept.pop()
    }

    fn call<C: SolCall>(
        &self,
        height: Height,
        to: Address,
        call: &C,
    ) -> Result<C::Return, Vec<u8>> {
        let query = ContractQuery::Call {
            height,
            call: CallRequest {
                from: [0; 20],
                to: Some(to.0.0),
                gas: 16_000_000,
                value: [0; 32],
                input: Blob::new(call.abi_encode()).unwrap(),
                ..CallRequest::default()
            },
        };
        let mut moment = self.ledger.moment(&query).unwrap();
        match moment.answer(&query, self.ledger.store()).unwrap() {
            ContractAnswer::Called {
                outcome: CallOutcome::Success(output),
                ..
            } => Ok(C::abi_decode_returns(&output).unwrap()),
            ContractAnswer::Called {
                outcome: CallOutcome::Reverted(output),
                ..
            } => Err(output.to_vec()),
            other => panic!("{other:?}"),
        }
    }

    fn ask<C: SolCall>(&self, call: &C) -> Result<C::Return, Vec<u8>> {
        self.call(self.height(), STREAMS_ADDRESS, call)
    }

    fn height(&self) -> Height {
        self.ledger.head().header.height
    }

    fn count(&self, probe: usize) -> u64 {
        let call = Probe::readingCountCall {};
        let count = self.call(self.height(), self.probes[probe], &call);
        count.unwrap().to::<u64>()
    }

    /// How much gas a probe's subscription has left; 0 when there is none.
    fn left(&self, probe: usize) -> u64 {
        let call = IStreams::subscriptionCall {
            stream: self.stream,
            subscriber: self.probes[probe],
        };
        self.ask(&call).unwrap().gasLeft
    }

    fn balance(&self, address: Address) -> U256 {
        let proof = self.ledger.prove_account(&address, &[]);
        proof.account.map_or(U256::ZERO, |account| account.balance)
    }
}

fn succeeded(receipt: &Receipt) -> bool {
    matches!(receipt, Receipt::Executed { success: true, .. })
}

fn logs(kept: &ContractReceipt) -> Vec<Log> {
    let receipt = AnyReceiptEnvelope::decode_2718_exact(&kept.receipt).unwrap();
    assert_eq!(receipt.r#type, Transaction::RECORD);
    assert!(receipt.status());
    receipt.logs().to_vec()
}

/// The streams' own events of one kind.
fn own<E: SolEvent>(kept: &ContractReceipt) -> Vec<E> {
    let logs = logs(kept).into_iter();
    let own = logs.filter(|log| log.address == STREAMS_ADDRESS);
    own.filter_map(|log| E::decode_log_data(&log.data).ok())
        .collect()
}

#[test]
fn a_record_calls_who_has_subscribed_in_its_block() {
    let mut scene = Scene::new(0, 2);
    assert_eq!(scene.record(&[(0, "20")]), None, "nobody has subscribed");
    scene.subscribe(0, 10_000_000);
    scene.subscribe(1, 10_000_000);
    let signed = record(&scene.key, "t", &[(0, "20"), (1, "21"), (2, "22")]);
    let kept = scene.record(&[(0, "20"), (1, "21"), (2, "22")]).unwrap();
    assert_eq!(kept.hash.0, keccak256(&signed).0);
    assert_eq!(kept.sender, scene.key.device_id().0);
    assert_eq!(
        (scene.count(0), scene.count(1)),
        (2, 2),
        "a duplicate is none"
    );
    let recorded = &own::<Recorded>(&kept)[0];
    assert_eq!(
        (recorded.stream, recorded.firstPosition, recorded.appended),
        (scene.stream, 1, 2)
    );
    // The probes' own events are the record's, too.
    let from = |probe: usize| {
        let logs = logs(&kept);
        logs.iter()
            .filter(|log| log.address == scene.probes[probe])
            .count()
    };
    assert_eq!((from(0), from(1)), (1, 1));
    let header = scene.ledger.head().header;
    assert_eq!(header.gas_used, kept.gas_used);
    let took = 10_000_000 - scene.left(0);
    assert_eq!(took + 10_000_000 - scene.left(1), kept.gas_used);
    assert!((21_000..GAS).contains(&took));
    // A record that adds nothing calls nobody.
    assert_eq!(scene.record(&[(1, "21")]), None);
}

#[test]
fn a_subscriber_that_fails_harms_neither_the_record_nor_others() {
    let mut scene = Scene::new(0, 3);
    for probe in 0..3 {
        scene.subscribe(probe, 10_000_000);
    }
    scene.tell(0, &Probe::behaveCall { mode: REVERT });
    scene.tell(1, &Probe::behaveCall { mode: LOOP });
    let kept = scene.record(&[(0, "20")]).unwrap();
    assert_eq!([0, 1, 2].map(|probe| scene.count(probe)), [0, 0, 1]);
    let failed = own::<Failed>(&kept);
    let of = |at: usize| (failed[at].subscriber, failed[at].reason.to_vec());
    let refused = Probe::Refused {
        stream: scene.stream,
        count: U256::from(1),
    };
    assert_eq!(of(0), (scene.probes[0], refused.abi_encode()));
    let reason = "out of gas".to_owned();
    assert_eq!(of(1), (scene.probes[1], Halted { reason }.abi_encode()));
    assert_eq!(failed.len(), 2);
    assert_eq!(10_000_000 - scene.left(1), GAS, "all of it");
    assert!(10_000_000 - scene.left(0) < GAS, "what it took");
    let length = IStreams::lengthCall {
        stream: scene.stream,
    };
    assert_eq!(scene.ask(&length).unwrap(), 1);
}

#[test]
fn a_subscription_ends_when_its_gas_does() {
    let mut scene = Scene::new(0, 1);
    scene.subscribe(0, GAS + 100_000);
    let (mut calls, mut ended) = (0, Vec::new());
    while ended.is_empty() && calls < 20 {
        let left = scene.left(0);
        assert!(left >= GAS);
        let kept = scene.record(&[(calls, "20")]).unwrap();
        ended = own::<Unsubscribed>(&kept);
        assert_eq!(scene.left(0) == 0, !ended.is_empty());
        calls += 1;
    }
    assert_eq!(ended[0].subscriber, scene.probes[0]);
    assert!(ended[0].gasLeft < GAS);
    assert_eq!(scene.count(0), calls);
    assert_eq!(scene.record(&[(calls, "20")]), None);
}

#[test]
fn gas_is_paid_for_beforehand_and_not_a_wei_is_lost() {
    let price = 7;
    let mut scene = Scene::new(price, 1);
    let beneficiary = Address::repeat_byte(0xbe);
    let (held, before) = (
        |scene: &Scene| scene.balance(STREAMS_ADDRESS),
        scene.balance(scene.probes[0]),
    );
    // A call, which nobody pays for, sees the price as a transaction does.
    let call = Probe::subscribeCall {
        stream: scene.stream,
        gasPerRecord: GAS,
        gasPrepaid: 1_000_000,
    };
    assert!(scene.call(scene.height(), scene.probes[0], &call).is_ok());
    scene.subscribe(0, 1_000_000);
    assert_eq!(held(&scene), U256::from(1_000_000 * price));
    assert_eq!(before - scene.balance(scene.probes[0]), held(&scene));
    let earned = scene.balance(beneficiary);
    let kept = scene.record(&[(0, "20")]).unwrap();
    assert_eq!(held(&scene), U256::from(scene.left(0) * price));
    let paid = U256::from(kept.gas_used * price);
    assert_eq!(scene.balance(beneficiary) - earned, paid);
    let stream = scene.stream;
    assert!(succeeded(
        &scene.tell(0, &Probe::unsubscribeCall { stream })
    ));
    assert_eq!(held(&scene), U256::ZERO);
    assert_eq!(before - scene.balance(scene.probes[0]), paid);
}

#[test]
fn subscribers_have_half_a_block() {
    let mut scene = Scene::new(0, 1);
    scene.tell(0, &Probe::behaveCall { mode: LOOP });
    let call = Probe::subscribeCall {
        stream: scene.stream,
        gasPerRecord: 1 << 24,
        gasPrepaid: 1 << 40,
    };
    assert!(succeeded(&scene.tell(0, &call)));
    let records: Vec<_> = (0..4)
        .map(|number| record(&scene.key, "t", &[(number, "20")]))
        .collect();
    let ann = Signer::new(0).address();
    let mut transactions = records;
    transactions.push(scene.sign(TxKind::Call(ann), 0, &[]));
    let receipts = run(&mut scene.ledger, transactions);
    assert!(succeeded(&receipts[4]), "{receipts:?}");
    let kept = scene.ledger.contract_receipts(scene.height()).unwrap();
    let took: Vec<_> = kept.iter().map(|one| one.gas_used).collect();
    // 50,000,000 are for records: two loops of 16,777,216 fit, and no third.
    assert_eq!(took, [1 << 24, 1 << 24, 0, 0, 21_000]);
    let failed = &own::<Failed>(&kept[2])[0];
    let full = BlockFull {
        gasLeft: 50_000_000 - (2 << 24),
    };
    assert_eq!(failed.reason.to_vec(), full.abi_encode());
    // To be told so has its price.
    assert_eq!(scene.left(0), (1 << 40) - (2 << 24) - 2 * 3_000);
}

#[test]
fn a_block_that_is_rolled_back_and_executed_again_is_the_same() {
    let mut scene = Scene::new(3, 2);
    scene.subscribe(0, 1_000_000);
    scene.subscribe(1, 1_000_000);
    scene.tell(1, &Probe::behaveCall { mode: REVERT });
    let stable = scene.height();
    let unsubscribe = Probe::unsubscribeCall {
        stream: scene.stream,
    };
    let to = TxKind::Call(scene.probes[0]);
    let operation = bundle([
        scene.sign(to, 0, &unsubscribe.abi_encode()),
        record(&scene.key, "t", &[(0, "20")]),
    ]);
    let slot = scene.ledger.head().slot.next();
    let first = {
        let time = hedgerow_base::Time::from_millis(1_800_000_000_000);
        let done = scene
            .ledger
            .execute(slot, time, &requests(std::slice::from_ref(&operation)));
        done.unwrap().unwrap()
    };
    scene.ledger.rollback(stable);
    let time = hedgerow_base::Time::from_millis(1_800_000_000_000);
    let again = scene.ledger.execute(slot, time, &requests(&[operation]));
    assert_eq!(again.unwrap().unwrap(), first);
    scene.ledger.stable(first.header.height).unwrap();
    let kept = scene.ledger.contract_receipts(first.header.height).unwrap();
    assert_eq!(
        kept.iter().map(|one| one.index).collect::<Vec<_>>(),
        [1, 0],
        "the record's call comes first"
    );
    assert_eq!((scene.left(0), scene.count(0)), (0, 1));

    // Whoever opens the store again is at the same state.
    let (root, genesis) = (first.hash, scene.ledger.genesis().clone());
    let store = scene.ledger.into_store();
    let reopened = Ledger::open(store, genesis).unwrap();
    assert_eq!(reopened.head().hash, root);
}

#[test]
fn a_call_at_an_earlier_block_sees_no_later_reading() {
    let mut scene = Scene::new(0, 0);
    let stream = scene.stream;
    scene.record(&[(5, "five"), (9, "nine")]);
    let earlier = scene.height();
    scene.record(&[(7, "seven"), (11, "eleven")]);
    let range = IStreams::rangeCall {
        stream,
        from: 0,
        limit: 256,
    };
    let numbers = |height| -> Vec<_> {
        let found = scene.call(height, STREAMS_ADDRESS, &range).unwrap();
        found.iter().map(|one| one.sequence).collect()
    };
    assert_eq!(numbers(earlier), [5, 9]);
    assert_eq!(numbers(scene.height()), [5, 7, 9, 11]);
    let latest = IStreams::latestCall { stream };
    let at = |height| scene.call(height, STREAMS_ADDRESS, &latest).unwrap();
    assert_eq!(at(earlier).sequence, 9);
    let newest = at(scene.height());
    assert_eq!((newest.sequence, newest.position), (11, 3));
    assert_eq!(newest.payload.as_ref(), b"eleven");
    assert_eq!(newest.height, scene.height().0);
    let seven = IStreams::readingCall {
        stream,
        sequence: 7,
    };
    let unknown = IStreams::UnknownReading {
        stream,
        sequence: 7,
    };
    let then = scene.call(earlier, STREAMS_ADDRESS, &seven);
    assert_eq!(then.map(|_| ()), Err(unknown.abi_encode()));
    assert_eq!(scene.ask(&seven).unwrap().position, 2);
}

#[test]
fn a_contract_checks_a_proof() {
    let mut scene = Scene::new(0, 0);
    scene.record(&[(0, "20"), (1, "21")]);
    assert!(certify(&mut scene.ledger, &[0, 1]));
    let proved = scene.ledger.prove(&"d/t".parse().unwrap(), 1).unwrap();
    let hedgerow_chain::Proved::Proof(proof) = proved else {
        panic!("{proved:?}")
    };
    let bytes = proof.to_bytes();
    let verify = |bytes: &[u8]| {
        let proof = bytes.to_vec().into();
        scene.ask(&IStreams::verifyCall { proof })
    };
    let found = verify(&bytes).unwrap();
    assert_eq!(found.stream, scene.stream);
    assert_eq!(found.device, Address::from(scene.key.device_id().0));
    assert_eq!(found.found.payload.as_ref(), b"21");
    for at in (0..bytes.len()).step_by(97) {
        let mut forged = bytes.clone();
        forged[at] ^= 1;
        let error = verify(&forged).map(|_| ()).unwrap_err();
        assert!(
            error.starts_with(&IStreams::InvalidProof::SELECTOR),
            "byte {at}"
        );
    }
    // Another network's, by what is known of it; and what is known wrongly.
    let trust = scene.ledger.trust_root().clone();
    let from = |number: u64, keys: usize| {
        let validators = trust.validators.iter().take(keys);
        let network = abi::Network {
            number,
            genesis: B256::from(trust.genesis.0),
            validators: validators.map(|key| B256::from(*key)).collect(),
        };
        let proof = bytes.clone().into();
        scene.ask(&IStreams::verifyFromCall { network, proof })
    };
    assert_eq!(from(NETWORK, 4).unwrap().found.sequence, 1);
    assert!(from(NETWORK, 1).is_err(), "too few validators");
}

#[test]
fn who_subscribes_twice_or_too_much_is_refused() {
    let mut scene = Scene::new(0, 1);
    scene.subscribe(0, GAS);
    let direct = |gas: u64, prepaid: u64| IStreams::subscribeCall {
        stream: scene.stream,
        gasPerRecord: gas,
        gasPrepaid: prepaid,
    };
    let bad = [
        direct(20_999, 1 << 24),
        direct((1 << 24) - GAS + 1, 1 << 30),
        direct(30_000, 29_999),
        direct(30_000, 1 << 48),
    ];
    for call in bad {
        let error = IStreams::BadGas {
            gasPerRecord: call.gasPerRecord,
            gasPrepaid: call.gasPrepaid,
        };
        assert_eq!(scene.ask(&call).map(|_| ()), Err(error.abi_encode()));
    }
    assert!(scene.ask(&direct((1 << 24) - GAS, 1 << 30)).is_ok());
    let again = direct(GAS, GAS);
    let receipt = scene.send(
        TxKind::Call(STREAMS_ADDRESS),
        0,
        &direct(21_000, 1 << 24).abi_encode(),
    );
    assert!(succeeded(&receipt), "an account may, too");
    let Receipt::Executed { gas_used, .. } = receipt else {
        panic!()
    };
    assert!(gas_used > 21_000 + 40_000, "storage costs: {gas_used}");
    let receipt = scene.tell(
        0,
        &Probe::subscribeCall {
            stream: again.stream,
            gasPerRecord: GAS,
            gasPrepaid: GAS,
        },
    );
    assert!(!succeeded(&receipt));
    let kept = scene.record(&[(0, "20")]).unwrap();
    let failed = own::<Failed>(&kept);
    assert_eq!(failed.len(), 1, "21,000 do not suffice for the input");
    assert!(own::<Subscribed>(&kept).is_empty());
}
