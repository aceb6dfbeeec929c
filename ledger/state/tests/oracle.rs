//! The trie against alloy-trie, which shares no code with it.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::{
    Nibbles, TrieAccount,
    proof::verify_proof,
    root::{state_root_unhashed, storage_root_unhashed},
};
use hedgerow_kv::{KvStore, MemoryStore};
use hedgerow_state::{Account, EMPTY_ROOT, State, Trie, Value, Writes};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Change {
    Account(u8, u64, u64),
    Remove(u8),
    Slot(u8, u16, u64),
    Checkpoint,
    Rollback,
    Root,
}

type Model = BTreeMap<u8, (Account, BTreeMap<u16, u64>)>;

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        2 => (0..12_u8, any::<u64>(), any::<u64>()).prop_map(|(a, n, b)| Change::Account(a, n, b)),
        2 => (0..12_u8).prop_map(Change::Remove),
        8 => (0..12_u8, 0..40_u16, prop_oneof![Just(0), 1..200_u64, any::<u64>()]).prop_map(|(a, s, v)| Change::Slot(a, s, v)),
        1 => Just(Change::Checkpoint),
        1 => Just(Change::Rollback),
        2 => Just(Change::Root),
    ]
}

fn address(n: u8) -> Address {
    Address::repeat_byte(n)
}

fn slots(model: &BTreeMap<u16, u64>) -> impl Iterator<Item = (B256, U256)> {
    model
        .iter()
        .map(|(slot, value)| (B256::from(U256::from(*slot)), U256::from(*value)))
}

fn trie_account(account: &Account, storage: &BTreeMap<u16, u64>) -> TrieAccount {
    TrieAccount {
        nonce: account.nonce,
        balance: account.balance,
        storage_root: storage_root_unhashed(slots(storage)),
        code_hash: account.code_hash,
    }
}

fn root(model: &Model) -> B256 {
    state_root_unhashed(
        model
            .iter()
            .map(|(n, (account, storage))| (address(*n), trie_account(account, storage))),
    )
}

fn check_proofs(state: &mut State, model: &Model) {
    let root = state.root();
    for n in 0..12 {
        let asked: Vec<_> = (0..40_u64).step_by(7).map(U256::from).collect();
        let proof = state.prove(&address(n), &asked);
        let known = model.get(&n);
        assert_eq!(proof.account, known.map(|(account, _)| *account));
        let expected =
            known.map(|(account, storage)| alloy_rlp::encode(trie_account(account, storage)));
        let nodes: Vec<Bytes> = proof.nodes.into_iter().map(Bytes::from).collect();
        verify_proof(
            root,
            Nibbles::unpack(keccak256(address(n))),
            expected,
            &nodes,
        )
        .unwrap();
        for slot in proof.storage {
            let value = known
                .and_then(|(_, storage)| storage.get(&slot.slot.to::<u16>()))
                .copied();
            assert_eq!(slot.value, U256::from(value.unwrap_or(0)));
            let key = Nibbles::unpack(keccak256(slot.slot.to_be_bytes::<32>()));
            let nodes: Vec<Bytes> = slot.nodes.into_iter().map(Bytes::from).collect();
            let expected = value.map(|value| alloy_rlp::encode(U256::from(value)));
            verify_proof(proof.storage_root, key, expected, &nodes).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_changes_give_ethereums_root_and_proofs(changes in prop::collection::vec(change(), 0..120)) {
        let (mut state, mut model) = (State::default(), Model::new());
        let mut saved = None;
        for change in changes {
            match change {
                Change::Account(n, nonce, balance) => {
                    let account = Account { nonce, balance: U256::from(balance), ..Account::default() };
                    state.set_account(&address(n), account);
                    model.entry(n).or_default().0 = account;
                }
                Change::Remove(n) => {
                    prop_assert_eq!(state.remove_account(&address(n)), model.remove(&n).is_some());
                }
                Change::Slot(n, slot, value) => {
                    state.set_storage(&address(n), [(U256::from(slot), U256::from(value))]);
                    let storage = &mut model.entry(n).or_default().1;
                    if value == 0 { storage.remove(&slot); } else { storage.insert(slot, value); }
                }
                Change::Checkpoint => saved = Some((state.checkpoint(), model.clone())),
                Change::Rollback => if let Some((checkpoint, old)) = saved.take() {
                    state.rollback(checkpoint);
                    model = old;
                },
                Change::Root => prop_assert_eq!(state.root(), root(&model)),
            }
        }
        prop_assert_eq!(state.root(), root(&model));
        check_proofs(&mut state, &model);

        let (mut store, mut writes) = (MemoryStore::new(), Writes::default());
        state.take_writes(&mut writes);
        store.commit(writes.into_batch()).unwrap();
        prop_assert_eq!(State::load(&store).unwrap().root(), state.root());
    }

    /// Keys that share long prefixes, and values short enough that nodes lie within their parents.
    #[test]
    fn crowded_tries_agree(changes in prop::collection::vec((any::<[bool; 8]>(), 0..3_u8), 0..60)) {
        #[derive(Clone)]
        struct Byte(u8);
        impl Value for Byte {
            fn encode(&self, out: &mut Vec<u8>) {
                out.push(self.0);
            }
        }
        let (mut trie, mut model) = (Trie::default(), BTreeMap::new());
        for (bits, value) in changes {
            // Bits far apart and at the end: extensions, and leaves with short paths.
            let mut key = [0_u8; 32];
            for (n, bit) in bits.iter().enumerate() {
                key[[0, 0, 15, 16, 30, 31, 31, 31][n]] ^= (*bit as u8) << (n % 8);
            }
            if value == 0 {
                prop_assert_eq!(trie.remove(&key), model.remove(&key).is_some());
            } else {
                trie.insert(key, Byte(value));
                model.insert(key, value);
            }
            let mut builder = alloy_trie::HashBuilder::default();
            for (key, value) in &model {
                builder.add_leaf(Nibbles::unpack(key), &[*value]);
            }
            prop_assert_eq!(trie.root(), builder.root());
        }
        let root = trie.root();
        for key in model.keys().copied().chain([[7; 32], [0; 32]]) {
            let nodes: Vec<Bytes> = trie.prove(&key).into_iter().map(Bytes::from).collect();
            let expected = model.get(&key).map(|value| vec![*value]);
            verify_proof(root, Nibbles::unpack(key), expected, &nodes).unwrap();
        }
    }
}

#[test]
fn the_empty_state() {
    assert_eq!(State::default().root(), EMPTY_ROOT);
}

#[test]
fn a_clone_is_untouched_by_what_comes_after() {
    let mut state = State::default();
    for n in 0..50 {
        state.set_storage(&address(1), [(U256::from(n), U256::from(n + 1))]);
    }
    let before = state.root();
    let mut old = state.clone();
    state.set_storage(
        &address(1),
        [(U256::from(3), U256::ZERO), (U256::from(99), U256::from(1))],
    );
    assert_ne!(state.root(), before);
    assert_eq!(old.root(), before);
    assert_eq!(
        old.prove(&address(1), &[U256::from(3)]).storage[0].value,
        U256::from(4)
    );
}

#[test]
fn damage_is_noticed() {
    let mut store = MemoryStore::new();
    let mut writes = Writes::default();
    writes.put("state_accounts", [1; 32], [0; 3]);
    store.commit(writes.into_batch()).unwrap();
    assert!(State::load(&store).is_err());
}
