//! Traces, access lists and overrides; and that blocks are executed again exactly, whatever is in them.

#[path = "../../evm/tests/chain/accounts.rs"]
mod accounts;
mod common;

use accounts::{Signer, counter, deploying, plain, spinner};
use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, B256, TxKind, U256, hex};
use alloy_sol_types::SolCall;
use common::*;
use hedgerow_base::Height;
use hedgerow_chain::*;
use hedgerow_evm::STREAMS_ADDRESS;
use hedgerow_kv::MemoryStore;
use hedgerow_records::{Algorithm, Receipt, Vote};
use hedgerow_signer::DeviceKey;
use hedgerow_wire::{Blob, List};
use serde::de::IgnoredAny;
use serde_json::Value;

mod abi {
    #![allow(missing_docs, clippy::all, clippy::pedantic)]

    alloy_sol_types::sol!("../../contracts/src/streams/IStreams.sol");

    alloy_sol_types::sol! {
        interface Probe {
            function behave(uint8 mode) external;
            function subscribe(bytes32 stream, uint64 gasPerRecord, uint64 gasPrepaid) external payable;
            function unsubscribe(bytes32 stream) external;
            function readingCount() external view returns (uint256);
        }
    }
}

use abi::{IStreams, Probe};

type Chain = Ledger<MemoryStore>;

const REVERT: u8 = 1;
const LOOP: u8 = 3;
const GAS: u64 = 300_000;
const CALLS: Tracer = Tracer::Calls {
    only_top_call: false,
    with_log: true,
};
const STEPS: Tracer = Tracer::Steps {
    disable_stack: false,
    disable_storage: false,
    enable_memory: false,
    enable_return_data: false,
    limit: 0,
};
/// Asks the account of the streams what its input says, and logs the answer.
const READER: [u8; 21] = hex!("365f5f375f5f365f6148475afa503d5f5f3e3d5fa0");
/// What calls itself until its gas is gone: GAS first, so that the last call of a chain still returns.
const DIVER: [u8; 11] = hex!("5f5f5f5f5f305af150005b");

struct Scene {
    ledger: Chain,
    key: DeviceKey,
    stream: B256,
    nonce: u64,
}

impl Scene {
    fn new(gas_price: u64) -> Self {
        let mut genesis = genesis();
        let owner = AccountAddress(Signer::new(0).address().0.0);
        genesis.contracts.accounts.insert(owner, 1_000_000_000);
        genesis.contracts.gas_price = gas_price;
        genesis.contracts.beneficiary = AccountAddress([0xbe; 20]);
        let key = device(Algorithm::Ed25519, 1);
        let stream = hedgerow_records::StreamId::new(key.device_id(), &"t".parse().unwrap());
        let mut scene = Self {
            ledger: Ledger::open(MemoryStore::new(), genesis).unwrap(),
            key,
            stream: B256::from(stream.0.0),
            nonce: 0,
        };
        let register = registration(&scene.key, "d");
        run(&mut scene.ledger, [register]);
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

    fn create(&mut self, value: u64, code: &[u8]) -> (Vec<u8>, Address) {
        let address = Signer::new(0).address().create(self.nonce);
        (self.sign(TxKind::Create, value, code), address)
    }

    fn deploy(&mut self, code: &[u8]) -> Address {
        let (signed, address) = self.create(0, &deploying(code));
        let receipt = run(&mut self.ledger, [signed]).remove(0);
        assert!(
            matches!(receipt, Receipt::Executed { success: true, .. }),
            "{receipt:?}"
        );
        address
    }

    fn tell(&mut self, probe: Address, call: &impl SolCall) -> Vec<u8> {
        self.sign(TxKind::Call(probe), 0, &call.abi_encode())
    }

    /// Four questions to the account of the streams, whose answers `reader` logs.
    fn read(&mut self, reader: Address, device: &DeviceKey, name: &str) -> [Vec<u8>; 4] {
        let stream = hedgerow_records::StreamId::new(device.device_id(), &"t".parse().unwrap());
        let stream = B256::from(stream.0.0);
        let find = IStreams::findCall {
            device: name.to_owned(),
            stream: "t".to_owned(),
        };
        let calls = [
            IStreams::lengthCall { stream }.abi_encode(),
            IStreams::latestCall { stream }.abi_encode(),
            IStreams::ownerOfCall { stream }.abi_encode(),
            find.abi_encode(),
        ];
        calls.map(|input| self.sign(TxKind::Call(reader), 0, &input))
    }

    fn subscribe(&mut self, probe: Address, prepaid: u64) -> Vec<u8> {
        let call = Probe::subscribeCall {
            stream: self.stream,
            gasPerRecord: GAS,
            gasPrepaid: prepaid,
        };
        self.tell(probe, &call)
    }

    fn record(&self, readings: &[(u64, &str)]) -> Vec<u8> {
        record(&self.key, "t", readings)
    }

    fn vote(&self, validator: u32) -> Vec<u8> {
        let vote = Vote {
            genesis: self.ledger.genesis().digest(),
            ..ballot(validator, 0, "aliph")
        };
        signed(&vote, validator)
    }

    fn height(&self) -> Height {
        self.ledger.head().header.height
    }

    fn ask(&self, query: &ContractQuery) -> ContractAnswer {
        let mut moment = self.ledger.moment(query).unwrap();
        let answer = moment.answer(query, self.ledger.store()).unwrap();
        // In bytes, whatever the order of a hash table.
        let mut moment = self.ledger.moment(query).unwrap();
        let same = moment.answer(query, self.ledger.store()).unwrap();
        assert!(same == answer, "{query:?}");
        let again = Answer::Contracts(answer.clone());
        assert_eq!(Answer::from_bytes(&again.to_bytes()), Ok(again));
        answer
    }

    fn trace(&self, height: Height, position: u32, tracer: Tracer) -> ContractAnswer {
        self.ask(&ContractQuery::TraceTransaction {
            height,
            position,
            tracer,
        })
    }

    /// The trace of the only transaction of the newest block.
    fn last(&self, tracer: Tracer) -> Value {
        json(self.trace(self.height(), 0, tracer))
    }

    fn trace_call(&self, call: CallRequest, tracer: Tracer) -> ContractAnswer {
        let height = self.height();
        self.ask(&ContractQuery::TraceCall {
            height,
            call,
            tracer,
        })
    }

    fn call(&self, call: CallRequest) -> (CallOutcome, u64) {
        let height = self.height();
        match self.ask(&ContractQuery::Call { height, call }) {
            ContractAnswer::Called { outcome, gas } => (outcome, gas),
            other => panic!("{other:?}"),
        }
    }
}

fn probe_code() -> Vec<u8> {
    let artifact = include_str!("../../../contracts/artifacts/mocks/StreamProbe.json");
    let artifact: Value = serde_json::from_str(artifact).unwrap();
    hex::decode(artifact["bytecode"].as_str().unwrap()).unwrap()
}

fn json(answer: ContractAnswer) -> Value {
    match answer {
        ContractAnswer::Trace(json) => serde_json::from_slice(&json).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn request(to: Address, input: &[u8]) -> CallRequest {
    CallRequest {
        from: Signer::new(0).address().0.0,
        to: Some(to.0.0),
        gas: u64::MAX,
        input: Blob::new(input.to_vec()).unwrap(),
        ..CallRequest::default()
    }
}

fn word(number: u64) -> Word {
    U256::from(number).to_be_bytes()
}

/// Every transaction of every block can be traced, and only those: what is answered was compared with what is kept.
fn all_exact(scene: &Scene) -> (usize, usize) {
    let (mut traced, mut records) = (0, 0);
    for height in (1..=scene.height().0).map(Height) {
        let kept = scene.ledger.contract_receipts(height).unwrap();
        for (position, receipt) in (0..).zip(&kept) {
            for tracer in [CALLS, Tracer::Noop] {
                match scene.trace(height, position, tracer) {
                    ContractAnswer::Trace(_) => traced += 1,
                    ContractAnswer::Unknown(why) => {
                        assert!(why.as_str().starts_with("a record"), "{why:?} {receipt:?}");
                        assert_eq!(receipt.receipt[0], 0x71);
                        records += 1;
                    }
                    other => panic!("{height} {position}: {other:?}"),
                }
            }
        }
        let beyond = scene.trace(height, kept.len() as u32, CALLS);
        assert!(matches!(beyond, ContractAnswer::Unknown(_)));
    }
    (traced / 2, records / 2)
}

#[test]
fn blocks_of_all_kinds_of_work_are_executed_again_exactly() {
    for price in [0, 7] {
        let mut scene = Scene::new(price);
        let creations: Vec<_> = (0..4)
            .map(|_| scene.create(100_000_000, &probe_code()))
            .collect();
        let probes: Vec<_> = creations.iter().map(|(_, address)| *address).collect();
        run(
            &mut scene.ledger,
            creations.into_iter().map(|(signed, _)| signed),
        );
        let reader = scene.deploy(&READER);
        // Some subscribe, one for a single record; one reverts, one spends all.
        let block = [
            scene.record(&[(0, "20")]),
            scene.subscribe(probes[0], 10_000_000),
            scene.subscribe(probes[1], 10_000_000),
            scene.tell(probes[1], &Probe::behaveCall { mode: REVERT }),
            scene.subscribe(probes[2], 10_000_000),
            scene.tell(probes[2], &Probe::behaveCall { mode: LOOP }),
            scene.subscribe(probes[3], GAS + 1),
        ];
        run(&mut scene.ledger, block);
        // Its records call them; who is registered and voted for is new; and transactions see all of that.
        let new = device(Algorithm::Ed25519, 2);
        let stream = scene.stream;
        let (deployed, contract) = scene.create(0, &deploying(&counter()));
        let gap = Signer::new(0).sign(plain(99, TxKind::Call(contract), 0, &[]));
        let block = [
            deployed,
            scene.tell(probes[0], &Probe::unsubscribeCall { stream }),
            scene.record(&[(1, "21"), (2, "22")]),
            registration(&new, "new"),
            scene.vote(0),
            scene.sign(TxKind::Call(contract), 0, &[]),
            scene.sign(TxKind::Call(contract), 0, &[9]),
            gap,
            vec![0x02, 1, 2, 3],
            scene.record(&[(2, "22"), (3, "23")]),
            record(&new, "t", &[(0, "of the new one")]),
            scene.subscribe(probes[0], 5_000_000),
            // There is no such function: the fallback, or a revert.
            scene.sign(TxKind::Call(probes[1]), 0, &[1, 2, 3, 4]),
            scene.sign(TxKind::Call(STREAMS_ADDRESS), 0, &[]),
        ];
        let reads = scene.read(reader, &new, "new");
        let receipts = run(&mut scene.ledger, block.into_iter().chain(reads));
        let refused = |receipt: &&Receipt| matches!(receipt, Receipt::Rejected { .. });
        assert_eq!(receipts.iter().filter(refused).count(), 2, "{receipts:?}");
        // An epoch begins, and what was voted for lapses.
        let block = [
            scene.vote(1),
            scene.record(&[(4, "24")]),
            scene.vote(2),
            scene.sign(TxKind::Call(contract), 0, &[]),
        ];
        let receipts = run(&mut scene.ledger, block);
        assert!(
            matches!(receipts[2], Receipt::Voted { began: Some(1), .. }),
            "{receipts:?}"
        );
        // Later blocks change the same streams, names and counters.
        for sequence in 5..9 {
            let block = [
                scene.record(&[(sequence, "20")]),
                scene.sign(TxKind::Call(contract), 0, &[]),
            ];
            let key = device(Algorithm::Ed25519, 1);
            let reads = scene.read(reader, &key, "d");
            run(&mut scene.ledger, block.into_iter().chain(reads));
        }
        assert_eq!(all_exact(&scene), (22 + 1 + 5 * 4, 7), "price {price}");
        // A transaction of a block of several sees what those before it did: the count was 1 before the epoch's.
        let prestate = Tracer::Prestate {
            diff_mode: true,
            disable_code: true,
            disable_storage: false,
        };
        let kept = scene.ledger.contract_receipts(Height(6)).unwrap();
        let trace = json(scene.trace(Height(6), kept.len() as u32 - 1, prestate));
        let at = format!("{contract:?}");
        let slot = format!("{:?}", B256::ZERO);
        let values = ["pre", "post"].map(|when| trace[when][&at]["storage"][&slot].clone());
        assert_eq!(
            values,
            [1, 2].map(|count| Value::from(format!("{:?}", B256::from(word(count)))))
        );
    }
}

#[test]
fn what_is_not_kept_is_not_traced() {
    let mut scene = Scene::new(0);
    let contract = scene.deploy(&counter());
    let count = scene.sign(TxKind::Call(contract), 0, &[]);
    run(&mut scene.ledger, [count]);
    let (height, genesis) = (scene.height(), scene.ledger.genesis().clone());
    scene.ledger = Ledger::open(scene.ledger.into_store(), genesis).unwrap();
    for height in [height, Height(1), height.next(), Height(0)] {
        match scene.trace(height, 0, CALLS) {
            ContractAnswer::Unknown(why) => assert!(why.starts_with("state not kept"), "{why:?}"),
            other => panic!("{other:?}"),
        }
    }
    let call = scene.trace_call(request(contract, &[1]), CALLS);
    assert_eq!(json(call)["output"], format!("{:?}", B256::from(word(1))));
}

#[test]
fn traces_show_calls_steps_and_states() {
    let mut scene = Scene::new(3);
    let contract = scene.deploy(&counter());
    let at = format!("{contract:?}");
    let signed = scene.sign(TxKind::Call(contract), 0, &[]);
    run(&mut scene.ledger, [signed]);
    let ann = Signer::new(0).address();
    let calls = scene.last(CALLS);
    let kept = scene.ledger.contract_receipts(scene.height()).unwrap();
    assert_eq!(calls["type"], "CALL");
    assert_eq!(calls["from"], format!("{ann:?}"));
    assert_eq!(calls["to"], at);
    assert_eq!(calls["gas"], "0x7a1200");
    assert_eq!(calls["gasUsed"], format!("{:#x}", kept[0].gas_used));
    assert_eq!(calls["logs"][0]["address"], at);
    let steps = scene.last(STEPS);
    assert_eq!(steps["gas"], kept[0].gas_used);
    assert_eq!(steps["failed"], false);
    let logs = steps["structLogs"].as_array().unwrap();
    assert_eq!(logs[0]["op"], "CALLDATASIZE");
    let store = logs.iter().find(|log| log["op"] == "SSTORE").unwrap();
    let slot = format!("{:?}", B256::ZERO);
    let one = format!("{:?}", B256::from(word(1)));
    assert_eq!(store["storage"][&slot], one);
    assert_eq!(store["stack"].as_array().unwrap().len(), 3);
    let short = Tracer::Steps {
        disable_stack: true,
        disable_storage: true,
        enable_memory: true,
        enable_return_data: true,
        limit: 2,
    };
    let short = scene.last(short);
    let logs = short["structLogs"].as_array().unwrap();
    assert_eq!(logs.len(), 2);
    assert!(logs[1]["stack"].is_null());
    let state = scene.last(Tracer::Prestate {
        diff_mode: false,
        disable_code: false,
        disable_storage: false,
    });
    assert_eq!(state[&at]["code"], hex::encode_prefixed(counter()));
    assert_eq!(state[format!("{ann:?}")]["nonce"], 1);

    // As a call, with something changed.
    let reverted = json(scene.trace_call(request(contract, &[9]), CALLS));
    assert_eq!(reverted["error"], "execution reverted");
    let mut changed = request(contract, &[1]);
    changed.accounts = List::new(vec![ChangedAccount {
        address: contract.0.0,
        slots: List::new(vec![(word(0), word(77))]).unwrap(),
        ..ChangedAccount::default()
    }])
    .unwrap();
    let answered = json(scene.trace_call(changed, CALLS));
    assert_eq!(answered["output"], format!("{:?}", B256::from(word(77))));
    let selectors = scene.trace_call(request(contract, &[1, 2, 3, 4, 5]), Tracer::FourByte);
    assert_eq!(json(selectors)["0x01020304-1"], 1);
    let mut poor = request(contract, &[]);
    poor.value = [0xff; 32];
    assert!(matches!(
        scene.trace_call(poor, CALLS),
        ContractAnswer::Refused(_)
    ));
}

#[test]
fn what_would_be_too_large_is_stopped_and_the_answer_says_what_helps() {
    let mut scene = Scene::new(0);
    let (spinner, diver) = (scene.deploy(&spinner()), scene.deploy(&DIVER));
    // Reads a slot, then the next one.
    let reader = scene.deploy(&hex!("5f5b80545060010160015600"));
    let too_large = |to, tracer, helps: &str| match scene.trace_call(request(to, &[]), tracer) {
        ContractAnswer::TooLarge(why) => assert!(why.contains(helps), "{why:?}"),
        other => panic!("{other:?}"),
    };
    too_large(spinner, STEPS, "set limit");
    too_large(reader, STEPS, "disableStorage");
    let bare = |limit| Tracer::Steps {
        disable_stack: true,
        disable_storage: true,
        enable_memory: false,
        enable_return_data: false,
        limit,
    };
    too_large(spinner, bare(0), "set limit");
    let limited = json(scene.trace_call(request(spinner, &[]), bare(1_000)));
    assert_eq!(limited["structLogs"].as_array().unwrap().len(), 1_000);
    assert_eq!(limited["failed"], true);
    // The calls of one are many, but not too many; they are nested deeply.
    let ContractAnswer::Trace(deep) = scene.trace_call(request(diver, &[]), CALLS) else {
        panic!("no trace");
    };
    // Deeper than a reader of JSON goes by default.
    assert!(serde_json::from_slice::<IgnoredAny>(&deep).is_ok());
    assert!(serde_json::from_slice::<Value>(&deep).is_err());
    let text = String::from_utf8(deep.into_vec()).unwrap();
    let calls = text.matches("\"type\":\"CALL\"").count();
    assert!(calls > 300, "{calls}");
    let state = json(scene.trace_call(
        request(reader, &[]),
        Tracer::Prestate {
            diff_mode: false,
            disable_code: true,
            disable_storage: false,
        },
    ));
    let slots = state[format!("{reader:?}")]["storage"].as_object().unwrap();
    assert!(slots.len() > 7_000, "{}", slots.len());
}

#[test]
fn an_access_list_names_what_costs_less_then() {
    let mut scene = Scene::new(0);
    let contract = scene.deploy(&counter());
    let height = scene.height();
    let list = |call: CallRequest| {
        let query = ContractQuery::AccessList { height, call };
        match scene.ask(&query) {
            ContractAnswer::Touched { list, outcome, gas } => (list, outcome, gas),
            other => panic!("{other:?}"),
        }
    };
    let item = |address: Address, slots: &[Word]| AccessItem {
        address: address.0.0,
        slots: List::new(slots.to_vec()).unwrap(),
    };
    let (found, outcome, gas) = list(request(contract, &[1]));
    assert!(matches!(outcome, CallOutcome::Success(_)));
    assert_eq!(found.to_vec(), [item(contract, &[word(0)])]);
    let mut named = request(contract, &[1]);
    named.access_list = found.clone();
    assert_eq!(scene.call(named.clone()).1, gas);
    assert_eq!(list(named).0, found);
    let (_, reverted, _) = list(request(contract, &[9]));
    assert!(matches!(reverted, CallOutcome::Reverted(_)));
    // Neither who calls, nor what is called, nor what is native.
    let plain = list(request(Address::repeat_byte(7), &[]));
    assert_eq!((plain.0.to_vec(), plain.2), (vec![], 21_000));
    let native = list(request(STREAMS_ADDRESS, &[]));
    assert_eq!(native.0.to_vec(), []);
    // BALANCE of the word 0x77 and of an address that its caller is.
    let mut creation = request(contract, &hex!("60773150333100"));
    creation.to = None;
    let (found, _, _) = list(creation);
    assert_eq!(found.to_vec(), [item(Address::with_last_byte(0x77), &[])]);
}

#[test]
fn a_call_finds_accounts_and_its_block_changed() {
    let mut scene = Scene::new(7);
    let contract = scene.deploy(&counter());
    let count = scene.sign(TxKind::Call(contract), 0, &[]);
    run(&mut scene.ledger, [count]);
    let with = |input: &[u8], change: ChangedAccount| CallRequest {
        accounts: List::new(vec![change]).unwrap(),
        ..request(contract, input)
    };
    let of = |address: Address| ChangedAccount {
        address: address.0.0,
        ..ChangedAccount::default()
    };
    let slots = |slot, value| List::new(vec![(word(slot), word(value))]).unwrap();
    let gives = |call: CallRequest, value: Word| {
        let (outcome, _) = scene.call(call);
        assert_eq!(
            outcome,
            CallOutcome::Success(Blob::new(value.to_vec()).unwrap())
        );
    };
    gives(request(contract, &[1]), word(1));
    let mut diff = of(contract);
    diff.slots = slots(5, 9);
    gives(with(&[1], diff), word(1));
    let mut whole = of(contract);
    whole.storage = Some(slots(5, 9));
    gives(with(&[1], whole), word(0));
    // Code that returns what the opcode gives: SELFBALANCE, NUMBER, TIMESTAMP, COINBASE, GASLIMIT, PREVRANDAO, GASPRICE.
    let mut changed = of(contract);
    changed.balance = Some(word(55));
    let code = |opcode: u8| {
        let code = vec![opcode, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3];
        let mut change = changed.clone();
        change.code = Some(Blob::new(code).unwrap());
        let mut call = with(&[], change);
        call.block = Box::new(ChangedBlock {
            number: Some(word(1_000)),
            time: Some(2_000),
            gas_limit: Some(3_000_000),
            beneficiary: Some(Address::with_last_byte(4).0.0),
            randomness: Some(word(5)),
        });
        call
    };
    for (opcode, value) in [
        (0x47, 55),
        (0x43, 1_000),
        (0x42, 2_000),
        (0x41, 4),
        (0x45, 3_000_000),
        (0x44, 5),
        (0x3a, 7),
    ] {
        gives(code(opcode), word(value));
    }
    // In a later block, it sees no more blocks than there are: BLOCKHASH(999).
    let mut late = code(0);
    let blockhash = hex!("6103e7405f5260205ff3").to_vec();
    let mut change = of(contract);
    change.code = Some(Blob::new(blockhash).unwrap());
    late.accounts = List::new(vec![change]).unwrap();
    gives(late, word(0));

    let refused = |call: CallRequest, why: &str| match scene.call(call).0 {
        CallOutcome::Refused(said) => assert!(said.contains(why), "{said:?}"),
        other => panic!("{other:?}"),
    };
    let mut streams = of(STREAMS_ADDRESS);
    streams.slots = slots(3, u64::MAX);
    refused(with(&[1], streams), "can't be overridden");
    let mut native = of(Address::with_last_byte(1));
    native.code = Some(Blob::new(vec![0]).unwrap());
    refused(with(&[1], native), "no code runs there");

    // Who names a price pays it, as far as the gas goes.
    let fee = |fee, balance: u64| {
        let mut change = of(Signer::new(0).address());
        change.balance = Some(word(balance));
        CallRequest {
            fee: Some(fee),
            ..with(&[1], change)
        }
    };
    gives(fee(0, 0), word(1));
    gives(fee(9, 7 * 30_000), word(1));
    refused(fee(6, 0), "underpriced");
    refused(fee(7, 7 * 20_999), "insufficient funds");
    refused(fee(7, 7 * 21_000), "intrinsic gas too low");
}
