//! What the ledger says of contracts, accounts and Ethereum's transactions.

#[path = "../../evm/tests/chain/accounts.rs"]
mod accounts;
mod common;

use CallOutcome::{Halted, Refused, Reverted, Success};
use accounts::{Signer, counter, deploying, historian, plain, spinner};
use alloy_consensus::TxEip1559;
use alloy_consensus_any::AnyReceiptEnvelope;
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY, Nibbles, TrieAccount, proof::verify_proof};
use common::*;
use hedgerow_base::{Digest, Height};
use hedgerow_chain::*;
use hedgerow_evm::MAX_TRANSACTION;
use hedgerow_kv::MemoryStore;
use hedgerow_proofs::Header;
use hedgerow_records::{Algorithm, Receipt, Transaction};
use hedgerow_wire::{Blob, List};
use proptest::prelude::*;

type Chain = Ledger<MemoryStore>;

/// What account 0 owns at the beginning, in wei.
const WEALTH: u64 = 1_000_000_000_000;
/// An account that is not there.
const NOBODY: Address = Address::repeat_byte(0x77);
/// Logs with the first two words of the input as topics and as many zero bytes as the third says, then without any.
const LOGGER: [u8; 14] = hex!("6020355f356040355fa25f5fa000");

/// A ledger in which account 0 is rich and has deployed these in block 1.
fn deployed<const N: usize>(codes: [Vec<u8>; N]) -> (Chain, [Address; N]) {
    let (mut genesis, ann) = (genesis(), Signer::new(0));
    let owner = AccountAddress(ann.address().0.0);
    let accounts = &mut genesis.contracts.accounts;
    accounts.insert(owner, WEALTH / 1_000_000_000);
    let mut ledger = Ledger::open(MemoryStore::new(), genesis).unwrap();
    let numbered = (0..).zip(codes.iter().map(|code| deploying(code)));
    let creations = numbered.map(|(nonce, code)| ann.send(nonce, TxKind::Create, 0, &code));
    assert!(run(&mut ledger, creations).iter().all(succeeded));
    let contracts = std::array::from_fn(|nonce| ann.address().create(nonce as u64));
    (ledger, contracts)
}

fn succeeded(receipt: &Receipt) -> bool {
    matches!(receipt, Receipt::Executed { success: true, .. })
}

fn word(number: u64) -> Word {
    U256::from(number).to_be_bytes()
}

fn blob<const MAX: usize>(bytes: &[u8]) -> Blob<MAX> {
    Blob::new(bytes.to_vec()).unwrap()
}

fn list<T: Clone, const MAX: usize>(items: &[T]) -> List<T, MAX> {
    List::new(items.to_vec()).unwrap()
}

fn send(nonce: u64, to: Address, input: &[u8]) -> Vec<u8> {
    with_gas(2_000_000, nonce, to, input)
}

fn with_gas(gas_limit: u64, nonce: u64, to: Address, input: &[u8]) -> Vec<u8> {
    let plain = plain(nonce, TxKind::Call(to), 0, input);
    Signer::new(0).sign(TxEip1559 { gas_limit, ..plain })
}

fn ask(ledger: &Chain, query: ContractQuery) -> ContractAnswer {
    let mut moment = ledger.moment(&query).unwrap();
    let answer = moment.answer(&query, ledger.store()).unwrap();
    let same = ledger.query(&Query::Contracts(query)).unwrap();
    assert_eq!(same, Answer::Contracts(answer.clone()));
    assert_eq!(Answer::from_bytes(&same.to_bytes()), Ok(same));
    answer
}

/// What is wanted of the answer, which is of that kind.
macro_rules! answer {
    ($ledger:expr, $query:expr, $kind:ident $fields:tt => $wanted:expr) => {
        match ask(&$ledger, $query) {
            ContractAnswer::$kind $fields => $wanted,
            other => panic!("{other:?}"),
        }
    };
    ($ledger:expr, $query:expr, $kind:ident) => {
        answer!($ledger, $query, $kind(it) => it)
    };
}

fn block_at(height: u64, from: u32) -> ContractQuery {
    let height = Height(height);
    ContractQuery::Block { height, from }
}

/// One of each question; the first four are for the state after the block.
fn questions(ledger: &Chain, height: u64, contract: Address) -> [ContractQuery; 8] {
    let (height, address) = (Height(height), contract.0.0);
    let slots = list(&[word(0), word(7)]);
    let call = request(contract, &[1]);
    let receipts = ledger.contract_receipts(height).unwrap();
    let mut events = since(0, 0);
    events.addresses = list(&[address]);
    events.topics = list(&[list(&[word(1), Signer::new(0).address().into_word().0])]);
    [
        ContractQuery::Account {
            height,
            address,
            code: true,
            slots: slots.clone(),
        },
        ContractQuery::Proof {
            height,
            address,
            slots,
        },
        ContractQuery::Call {
            height,
            call: call.clone(),
        },
        ContractQuery::Estimate { height, call },
        ContractQuery::Transaction(receipts.first().map_or(Digest::ZERO, |one| one.hash)),
        ContractQuery::BlockHash(ledger.head().hash),
        block_at(height.0, 0),
        ContractQuery::Logs(events),
    ]
}

fn account(ledger: &Chain, height: u64, address: Address) -> AccountSummary {
    let [query, ..] = questions(ledger, height, address);
    answer!(ledger, query, Account)
}

/// A call by account 0.
fn request(to: Address, input: &[u8]) -> CallRequest {
    CallRequest {
        from: Signer::new(0).address().0.0,
        to: Some(to.0.0),
        gas: 100_000,
        input: blob(input),
        ..CallRequest::default()
    }
}

fn call(ledger: &Chain, call: CallRequest) -> (CallOutcome, u64) {
    let height = ledger.head().stable;
    let query = ContractQuery::Call { height, call };
    answer!(ledger, query, Called { outcome, gas } => (outcome, gas))
}

fn estimate(ledger: &Chain, call: CallRequest) -> (CallOutcome, u64) {
    let height = ledger.head().stable;
    let query = ContractQuery::Estimate { height, call };
    answer!(ledger, query, Called { outcome, gas } => (outcome, gas))
}

fn logs(ledger: &Chain, query: LogQuery) -> (Vec<FoundLog>, Option<(Height, u32)>) {
    let query = ContractQuery::Logs(query);
    answer!(ledger, query, Logs { logs, next } => (logs.into_vec(), next))
}

fn since(height: u64, from_index: u32) -> LogQuery {
    LogQuery {
        from: Height(height),
        from_index,
        to: Height(u64::MAX),
        ..LogQuery::default()
    }
}

#[test]
fn a_block_has_its_ethereum_transactions_in_order_and_nothing_else() {
    let (mut ledger, [counter, logger]) = deployed([counter(), LOGGER.to_vec()]);
    let executed = [
        send(2, counter, &[]),
        send(3, counter, &[9]),
        send(4, logger, &[0; 96]),
        Signer::new(1).send(0, TxKind::Call(counter), 0, &[]),
    ];
    let own = registration(&device(Algorithm::Ed25519, 1), "mast-1");
    let refused = send(9, counter, &[]);
    let [first, second, third, fourth] = executed.clone();
    let before = bundle([first, own.clone(), second, vec![0xc0]]);
    let after = bundle([third, refused.clone(), fourth]);
    let done = execute(&mut ledger, &[before, vec![1].into(), after]);
    let height = done.header.height;
    ledger.stable(height).unwrap();
    let kept = ledger.contract_receipts(height).unwrap();
    let (mut gas, mut events) = (0, 0);
    for from in 0..6 {
        let found = answer!(ledger, block_at(2, from as u32), Block);
        assert_eq!(Header::decode(&found.header).as_ref(), Ok(&done.header));
        let before = (found.gas_before, found.logs_before);
        assert_eq!((found.total, before), (4, (gas, events)));
        let all = executed.iter().map(|bytes| &bytes[..]).zip(&kept);
        let found = found.transactions.iter();
        let found = found.map(|one| (&*one.bytes, &one.receipt));
        assert!(found.eq(all.skip(from)));
        if let Some(receipt) = kept.get(from) {
            let decoded = AnyReceiptEnvelope::decode_2718_exact(&receipt.receipt).unwrap();
            assert_eq!(decoded.cumulative_gas_used() - receipt.gas_used, gas);
            gas = decoded.cumulative_gas_used();
            events += decoded.logs().len() as u32;
        }
    }
    assert_eq!((gas, events), (done.header.gas_used, 4));
    assert_eq!(answer!(ledger, block_at(0, 0), Block).total, 0);
    // Each is found by its hash, and so are the blocks.
    let place = |bytes: &[u8]| ContractQuery::Transaction(Transaction::digest(bytes));
    for (position, bytes) in (0..).zip(&executed) {
        let found = ContractAnswer::Place { height, position };
        assert_eq!(ask(&ledger, place(bytes)), found);
    }
    for height in (0..3).map(Height) {
        let hash = ledger.header(height).unwrap().unwrap().hash();
        let query = ContractQuery::BlockHash(hash);
        assert_eq!(answer!(ledger, query, Height), height);
    }
    for bytes in [&own, &refused, &vec![0xc0], &vec![1]] {
        answer!(ledger, place(bytes), Unknown);
        let query = ContractQuery::BlockHash(Transaction::digest(bytes));
        answer!(ledger, query, Unknown);
    }
}

#[test]
fn what_is_not_stable_is_not_answered_about() {
    let (mut ledger, [counter]) = deployed([counter()]);
    execute(&mut ledger, &[bundle([send(1, counter, &[])])]);
    let all = questions(&ledger, 2, counter);
    for query in &all[..7] {
        answer!(ledger, query.clone(), Unknown);
    }
    assert_eq!(logs(&ledger, since(0, 0)), (vec![], None));
    let mut earlier = ledger.moment(&all[0]).unwrap();
    ledger.stable(Height(2)).unwrap();
    for query in &all {
        let answer = ask(&ledger, query.clone());
        assert!(!matches!(answer, ContractAnswer::Unknown(_)), "{answer:?}");
    }
    // The moment counts, not when the answer is worked out.
    let late = earlier.answer(&all[0], ledger.store()).unwrap();
    assert!(matches!(late, ContractAnswer::Unknown(_)), "{late:?}");
    answer!(ledger, block_at(3, 0), Unknown);
    answer!(ledger, block_at(u64::MAX, 0), Unknown);
}

#[test]
fn an_account_is_as_it_was_after_each_block() {
    let (mut ledger, [contract]) = deployed([counter()]);
    let (ann, ben) = (Signer::new(0), Signer::new(1).address());
    let transfer = ann.send(2, TxKind::Call(ben), 500, &[]);
    run(&mut ledger, [send(1, contract, &[]), transfer]);
    let of = |address| [0, 1, 2].map(|height| account(&ledger, height, address));
    let summary = |nonce, balance, code: &[u8], slot| AccountSummary {
        nonce,
        balance: word(balance),
        code_hash: keccak256(code).0,
        code: blob(code),
        slots: list(&[word(slot), word(0)]),
    };
    let nothing = || summary(0, 0, &[], 0);
    assert_eq!(nothing().code_hash, KECCAK_EMPTY.0);
    assert_eq!(of(NOBODY), [nothing(), nothing(), nothing()]);
    assert_eq!(of(ben), [nothing(), nothing(), summary(0, 500, &[], 0)]);
    let [new, counted] = [0, 1].map(|count| summary(1, 0, &counter(), count));
    assert_eq!(of(contract), [nothing(), new, counted]);
    let owned = [(0, WEALTH), (1, WEALTH), (3, WEALTH - 500)];
    let owned = owned.map(|(nonce, balance)| summary(nonce, balance, &[], 0));
    assert_eq!(of(ann.address()), owned);
}

#[test]
fn states_are_kept_for_a_while() {
    let (mut ledger, [contract]) = deployed([counter()]);
    let kept = |ledger: &Chain, height: u64| {
        let found = account(ledger, height, contract);
        assert_eq!(found.slots[0], word(height - 1));
    };
    let forgotten = |ledger: &Chain, height: u64| {
        for query in questions(ledger, height, contract).into_iter().take(4) {
            let why = answer!(ledger, query, Unknown);
            assert!(why.starts_with("state not kept"), "{why}");
        }
    };
    for nonce in 1..256 {
        run(&mut ledger, [send(nonce, contract, &[])]);
    }
    forgotten(&ledger, 257);
    (1..=256).for_each(|height| kept(&ledger, height));
    assert!(certify(&mut ledger, &[0, 1]));
    (1..=256).for_each(|height| kept(&ledger, height));
    // A member that starts again has only the newest one.
    let genesis = ledger.genesis().clone();
    let ledger = Ledger::open(ledger.into_store(), genesis).unwrap();
    kept(&ledger, 256);
    forgotten(&ledger, 255);
    assert_eq!(answer!(ledger, block_at(255, 0), Block).total, 1);
}

#[test]
fn a_certificate_of_a_later_block_leaves_the_newest_states() {
    let (mut ledger, [contract]) = deployed([counter()]);
    for _ in 0..300 {
        execute(&mut ledger, &[vec![1].into()]);
    }
    assert!(certify(&mut ledger, &[0, 1]));
    assert_eq!(account(&ledger, 1, contract).nonce, 1);
}

#[test]
fn proofs_hold_under_the_header() {
    let (mut ledger, [contract]) = deployed([counter()]);
    run(&mut ledger, [send(1, contract, &[])]);
    run(&mut ledger, [send(2, contract, &[])]);
    let ann = Signer::new(0).address();
    let check = |root, key: &[u8], value, nodes: &Nodes| {
        let nodes: Vec<Bytes> = nodes.iter().map(|node| node.to_vec().into()).collect();
        let key = Nibbles::unpack(keccak256(key));
        verify_proof(B256::from(root), key, value, &nodes).unwrap();
    };
    for (height, address) in (0..=3).flat_map(|n| [ann, contract, NOBODY].map(|who| (n, who))) {
        let block = answer!(ledger, block_at(height, 0), Block);
        let root = Header::decode(&block.header).unwrap().state_root.0;
        let [_, query, ..] = questions(&ledger, height, address);
        let found = answer!(ledger, query, Proof);
        let balance = U256::from_be_bytes(found.account.balance);
        let hashes = [found.storage_root, found.account.code_hash].map(B256::from);
        let leaf = TrieAccount::new(found.account.nonce, balance, hashes[0], hashes[1]);
        let there = address == ann || (address == contract && height > 0);
        let value = there.then(|| alloy_rlp::encode(leaf));
        check(root, address.as_slice(), value, &found.nodes);
        let mut known = account(&ledger, height, address);
        let count = U256::from_be_bytes(known.slots[0]);
        let value = (!count.is_zero()).then(|| alloy_rlp::encode(count));
        assert_eq!(value.is_some(), address == contract && height > 1);
        assert_eq!(leaf.storage_root == EMPTY_ROOT_HASH, value.is_none());
        check(found.storage_root, &word(0), value, &found.slots[0]);
        check(found.storage_root, &word(7), None, &found.slots[1]);
        known.code = blob(&[]);
        assert_eq!(found.account, known);
    }
}

#[test]
fn a_call_says_how_it_would_end_and_changes_nothing() {
    let (mut ledger, [counter, spinner, historian]) = deployed([counter(), spinner(), historian()]);
    run(&mut ledger, [send(3, counter, &[])]);
    let before = ledger.head().header;
    let ends = |to, input: &[u8]| call(&ledger, request(to, input)).0;
    assert_eq!(ends(counter, &[1]), Success(blob(&word(1))));
    assert_eq!(ends(counter, &[]), Success(blob(&[])));
    assert_eq!(ends(counter, &[9]), Reverted(blob(&word(42))));
    let ended = call(&ledger, request(spinner, &[]));
    assert!(matches!(&ended, (Halted(why), 100_000) if why.starts_with("OutOfGas")));
    // Who asks need not be there, nor have anything, and may be a contract.
    for from in [NOBODY, counter] {
        let mut asked = request(counter, &[1]);
        (asked.from, asked.gas) = (from.0.0, u64::MAX);
        assert_eq!(call(&ledger, asked).0, Success(blob(&word(1))));
    }
    let mut creation = request(NOBODY, &deploying(&[1, 2, 3]));
    creation.to = None;
    assert_eq!(call(&ledger, creation).0, Success(blob(&[1, 2, 3])));
    let [mut spent, mut short] = [request(NOBODY, &[]), request(counter, &[])];
    (spent.value, short.gas) = (word(WEALTH + 1), 20_000);
    for (asked, problem) in [(spent, "insufficient"), (short, "intrinsic gas")] {
        for answer in [call(&ledger, asked.clone()), estimate(&ledger, asked)] {
            assert!(matches!(&answer, (Refused(why), 0) if why.starts_with(problem)));
        }
    }
    // It sees the blocks before its own, and the state of that one.
    let parent = blob(before.parent.as_ref());
    assert_eq!(ends(historian, &word(1)), Success(parent));
    let [_, _, earlier, ..] = questions(&ledger, 1, counter);
    let ended = answer!(ledger, earlier, Called { outcome, gas: _ } => outcome);
    assert_eq!(ended, Success(blob(&word(0))));
    assert_eq!(ledger.head().header, before);
    let after = execute(&mut ledger, &[vec![1].into()]).header;
    assert_eq!(after.state_root, before.state_root);
}

#[test]
fn an_estimate_suffices_and_is_little_more() {
    // One flips slot 0; the other passes all gas that it may on to the counter, and reverts where that fails.
    let toggler = hex!("5f54155f5500").to_vec();
    let to = Signer::new(0).address().create(0);
    let [call_it, or_revert] = [&hex!("5f5f5f5f5f73")[..], &hex!("5af16022575f5ffd5b00")];
    let relay = [call_it, to.as_slice(), or_revert].concat();
    let (mut ledger, [counter, toggler, relay]) = deployed([counter(), toggler, relay]);
    let mut transfer = request(NOBODY, &[]);
    transfer.value = word(5);
    assert_eq!(estimate(&ledger, transfer), (Success(blob(&[])), 21_000));
    let (ended, _) = estimate(&ledger, request(counter, &[9]));
    assert_eq!(ended, Reverted(blob(&word(42))));
    // The toggler gets gas back the second time; the relay must have more than is taken.
    let contracts = [counter, counter, toggler, toggler, relay, relay];
    for (nonce, contract) in (3..).zip(contracts) {
        let mut asked = request(contract, &[]);
        let (ended, enough) = estimate(&ledger, asked.clone());
        assert_eq!(ended, Success(blob(&[])));
        let gas: Vec<_> = (20_000..=enough).collect();
        let least = gas.partition_point(|gas| {
            asked.gas = *gas;
            !matches!(call(&ledger, asked.clone()).0, Success(_))
        });
        let least = gas[least];
        assert!(enough - least <= least / 64, "{enough} for {least}");
        let sent = with_gas(enough, nonce, contract, &[]);
        assert!(succeeded(&run(&mut ledger, [sent])[0]), "{enough}");
    }
}

#[test]
fn events_are_found_by_contract_topics_and_place() {
    let (mut ledger, [counter, logger]) = deployed([counter(), LOGGER.to_vec()]);
    let ben = Signer::new(1);
    let sent = send(3, logger, &[1, 2, 5].map(word).concat());
    run(&mut ledger, [send(2, counter, &[]), sent.clone()]);
    let more = [
        send(4, logger, &[2, 1, 0].map(word).concat()),
        send(5, counter, &[9]),
        registration(&device(Algorithm::Ed25519, 1), "mast-1"),
        ben.send(0, TxKind::Call(counter), 0, &[]),
    ];
    run(&mut ledger, more);
    let header = ledger.header(Height(2)).unwrap().unwrap();
    let all = logs(&ledger, since(0, 0)).0;
    let (of, topics) = (&all[1], [word(1), word(2)]);
    let place = (of.block, of.time, of.transaction, of.position);
    let digest = Transaction::digest(&sent);
    assert_eq!(place, (header.hash(), header.time, digest, 1));
    let event = (of.address, &*of.topics, &*of.data);
    assert_eq!(event, (logger.0.0, &topics[..], &[0; 5][..]));
    assert_eq!(all[5].position, 2);
    let found = |query| -> Vec<_> {
        let (logs, next) = logs(&ledger, query);
        assert_eq!(next, None);
        logs.iter().map(|log| (log.height.0, log.index)).collect()
    };
    let places = [(2, 0), (2, 1), (2, 2), (3, 0), (3, 1), (3, 2)];
    let [counted, twelve, bare, back, empty, bens] = places;
    let (one, two, any) = (word(1), word(2), &[][..]);
    let caller = ben.address().into_word().0;
    for (addresses, topics, expected) in [
        (&[][..], &[][..], &places[..]),
        (&[counter], &[], &[counted, bens]),
        (&[NOBODY, logger], &[], &[twelve, bare, back, empty]),
        (&[], &[&[one][..]], &[twelve]),
        (&[], &[any, &[one]], &[back]),
        (&[], &[&[one, two], &[two, one]], &[twelve, back]),
        (&[], &[&[one], &[one]], &[]),
        (&[], &[&[one, caller]], &[twelve, bens]),
        (&[counter], &[&[one]], &[]),
        // A position that is named must be there, whatever is in it.
        (&[], &[any], &[counted, twelve, back, bens]),
        (&[], &[any, any], &[twelve, back]),
        (&[], &[any, any, any], &[]),
    ] {
        let mut query = since(0, 0);
        let addresses: Vec<_> = addresses.iter().map(|one| one.0.0).collect();
        let topics: Vec<_> = topics.iter().map(|any| list(any)).collect();
        (query.addresses, query.topics) = (list(&addresses), list(&topics));
        assert_eq!(found(query.clone()), expected, "{query:?}");
    }
    let mut until = since(2, 0);
    until.to = Height(2);
    assert_eq!(found(until), places[..3]);
    assert_eq!(found(since(2, 1)), places[1..]);
    assert_eq!(found(since(2, 3)), places[3..]);
    assert_eq!(found(since(1, 2)), places, "in the first block only");
    assert_eq!(found(since(u64::MAX, 0)), []);
}

#[test]
fn a_question_for_events_goes_over_so_many_blocks_at_most() {
    let (mut ledger, [counter]) = deployed([counter()]);
    while ledger.head().stable.0 < MAX_LOG_BLOCKS - 2 {
        run(&mut ledger, []);
    }
    assert_eq!(logs(&ledger, since(0, 0)), (vec![], None));
    run(&mut ledger, [send(1, counter, &[])]);
    assert_eq!(logs(&ledger, since(0, 0)).1, None);
    for nonce in 2..4 {
        run(&mut ledger, [send(nonce, counter, &[])]);
    }
    let (found, next) = logs(&ledger, since(0, 0));
    let heights = found.iter().map(|log| log.height.0);
    assert!(heights.eq([MAX_LOG_BLOCKS - 1]));
    assert_eq!(next, Some((Height(MAX_LOG_BLOCKS), 0)));
    let (rest, next) = logs(&ledger, since(MAX_LOG_BLOCKS, 0));
    assert_eq!((rest.len(), next), (2, None));
}

#[test]
fn what_does_not_fit_is_left_for_the_next_question() {
    let (mut ledger, [logger]) = deployed([LOGGER.to_vec()]);
    let mut input = [0, 0, 100_000].map(word).concat();
    input.resize(100_000, 0);
    let sent: Vec<_> = (1..13).map(|n| send(n, logger, &input)).collect();
    assert!(run(&mut ledger, sent.clone()).iter().all(succeeded));
    let (mut given, mut found, mut from) = (Vec::new(), Vec::new(), 0);
    for (transactions, events) in [(5, 20), (10, 24), (12, 24)] {
        let part = answer!(ledger, block_at(2, given.len() as u32), Block);
        assert_eq!(part.logs_before as usize, 2 * given.len());
        given.extend(part.transactions.iter().map(|one| one.bytes.to_vec()));
        let (part, next) = logs(&ledger, since(2, from));
        found.extend(part.iter().map(|log| log.index));
        from = next.map_or(24, |(_, index)| index);
        assert!(given.len() == transactions && (events..=24).contains(&found.len()));
    }
    assert_eq!((given, found), (sent, (0..24).collect()));
}

#[test]
fn who_holds_the_ledger_does_not_answer_about_contracts() {
    let (ledger, [counter]) = deployed([counter()]);
    let height = Height(1);
    let call = request(counter, &[1; MAX_TRANSACTION]);
    let largest = ContractQuery::Call { height, call };
    for query in questions(&ledger, 1, counter).into_iter().chain([largest]) {
        let query = Query::Contracts(query);
        let bytes = query.to_bytes();
        assert_eq!(ledger.query_bytes(&bytes).unwrap(), Answer::Malformed);
        assert_eq!(Query::from_bytes(&bytes), Ok(query));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn no_question_fails_a_sound_ledger(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..6_u8), 1..4),
    ) {
        let (mut ledger, [contract]) = deployed([counter()]);
        run(&mut ledger, [send(1, contract, &[])]);
        let mut call = request(NOBODY, &deploying(&counter()));
        call.to = None;
        let creation = ContractQuery::Call { height: Height(2), call };
        for query in questions(&ledger, 2, contract).into_iter().chain([creation]) {
            let mut bytes = Query::Contracts(query).to_bytes();
            for (at, byte, how) in &changes {
                let at = at.index(bytes.len());
                match how {
                    0 => drop(bytes.remove(at)),
                    1 => bytes.insert(at, *byte),
                    _ => bytes[at] = *byte,
                }
            }
            ledger.query_bytes(&bytes).unwrap();
            if let Ok(query) = Query::from_bytes(&bytes) {
                let answer = ledger.query(&query).unwrap();
                prop_assert!(Answer::from_bytes(&answer.to_bytes()).is_ok());
            }
        }
    }
}
