//! What transactions and calls do.

mod chain;

use alloy_consensus::{TxEip1559, TxEip2930, TxEip7702, TxLegacy};
use alloy_eips::{eip2718::Encodable2718, eip2930::AccessList, eip7702::Authorization};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use chain::{
    CHAIN, Chain, RICH, Signer, counter, deploying, ender, historian, plain, spinner, trust,
};
use hedgerow_evm::{Executed, MAX_TRANSACTION, Outcome, Refusal, Transaction};
use hedgerow_kv::KvRead;
use hedgerow_state::State;

fn only(mut results: Vec<Result<Executed, Refusal>>) -> Executed {
    assert_eq!(results.len(), 1);
    results.pop().unwrap().unwrap()
}

fn deploy(chain: &mut Chain, by: &Signer, nonce: u64, runtime: &[u8]) -> Address {
    let executed = only(chain.block(&[by.send(nonce, TxKind::Create, 0, &deploying(runtime))]));
    assert!(executed.outcome.is_success(), "{executed:?}");
    executed.created.unwrap()
}

fn word(number: u64) -> Bytes {
    Bytes::copy_from_slice(&U256::from(number).to_be_bytes::<32>())
}

#[test]
fn transfers_move_value_and_gas_costs_nothing_by_default() {
    let (mut chain, ann) = (Chain::new(0), Signer::new(0));
    let to = Address::repeat_byte(0x77);
    let executed = only(chain.block(&[ann.send(0, TxKind::Call(to), 1000, &[])]));
    assert_eq!(executed.outcome, Outcome::Success(Bytes::new()));
    assert_eq!(
        (executed.gas_used, executed.cumulative_gas_used),
        (21_000, 21_000)
    );
    assert_eq!(chain.balance(&to), U256::from(1000));
    assert_eq!(chain.balance(&ann.address()), U256::from(RICH - 1000));
    assert_eq!(chain.state.account(&ann.address()).unwrap().nonce, 1);
}

#[test]
fn who_owns_nothing_may_act_where_gas_is_free() {
    let (mut chain, poor) = (Chain::new(0), Signer::new(9));
    let contract = deploy(&mut chain, &poor, 0, &counter());
    let executed = only(chain.block(&[poor.send(1, TxKind::Call(contract), 0, &[])]));
    assert!(executed.outcome.is_success());
}

#[test]
fn gas_has_one_price_and_the_members_get_it() {
    let (mut chain, ann, poor) = (Chain::new(7), Signer::new(0), Signer::new(9));
    let to = TxKind::Call(Address::repeat_byte(0x77));
    let cheap = TxEip1559 {
        max_fee_per_gas: 6,
        ..plain(1, to, 0, &[])
    };
    let results = chain.block(&[
        ann.send(0, to, 5, &[]),
        ann.sign(cheap),
        poor.send(0, to, 0, &[]),
    ]);
    assert!(results[0].is_ok());
    assert_eq!(results[1], Err(Refusal::PriceTooLow { price: 7 }));
    assert_eq!(results[2], Err(Refusal::InsufficientFunds));
    let paid = U256::from(21_000 * 7);
    assert_eq!(chain.balance(&Address::repeat_byte(0xbe)), paid);
    assert_eq!(chain.balance(&ann.address()), U256::from(RICH - 5) - paid);
}

#[test]
fn a_contract_counts_logs_answers_and_reverts() {
    let (mut chain, ann, ben) = (Chain::new(0), Signer::new(0), Signer::new(1));
    let contract = deploy(&mut chain, &ann, 0, &counter());
    assert_eq!(contract, ann.address().create(0));
    let to = TxKind::Call(contract);
    let results = chain.block(&[
        ann.send(1, to, 0, &[]),
        ben.send(0, to, 0, &[]),
        ben.send(1, to, 0, &[2]),
    ]);
    let results: Vec<_> = results.into_iter().map(Result::unwrap).collect();
    assert_eq!(results[1].logs.len(), 1);
    let log = &results[1].logs[0];
    assert_eq!((log.address, &log.data.data), (contract, &word(2)));
    assert_eq!(log.topics(), [ben.address().into_word()]);
    assert_eq!(results[2].outcome, Outcome::Reverted(word(42)));
    assert_eq!(results[2].logs, []);
    let gas: u64 = results.iter().map(|result| result.gas_used).sum();
    assert_eq!(results[2].cumulative_gas_used, gas);
    assert_eq!(chain.state.storage(&contract, &U256::ZERO), U256::from(2));
    // A call sees it, and changes nothing.
    let before = chain.state.root();
    assert_eq!(
        chain.call(contract, &[1]).unwrap().0,
        Outcome::Success(word(2))
    );
    assert_eq!(
        chain.call(contract, &[]).unwrap().0,
        Outcome::Success(Bytes::new())
    );
    assert_eq!(
        chain.call(contract, &[1]).unwrap().0,
        Outcome::Success(word(2))
    );
    assert_eq!(chain.state.root(), before);
}

#[test]
fn receipts_are_encoded_as_ethereums() {
    let (mut chain, ann) = (Chain::new(0), Signer::new(0));
    let contract = deploy(&mut chain, &ann, 0, &counter());
    let executed = only(chain.block(&[ann.send(1, TxKind::Call(contract), 0, &[])]));
    let receipt = executed.receipt();
    assert_eq!(receipt.encoded_2718()[0], 2, "the type of EIP-1559");
    assert!(
        receipt
            .bloom()
            .contains_input(alloy_primitives::BloomInput::Raw(contract.as_slice()))
    );
    assert_eq!(receipt.cumulative_gas_used(), executed.gas_used);
    assert!(receipt.is_success());
}

#[test]
fn the_state_and_the_code_are_in_the_store() {
    let (mut chain, ann) = (Chain::new(0), Signer::new(0));
    let contract = deploy(&mut chain, &ann, 0, &counter());
    chain.block(&[ann.send(1, TxKind::Call(contract), 0, &[])]);
    let hash = chain.state.account(&contract).unwrap().code_hash;
    assert_eq!(hash, keccak256(counter()));
    assert_eq!(
        chain.store.get("contract_code", hash.as_slice()).unwrap(),
        Some(counter())
    );
    let mut loaded = State::load(&chain.store).unwrap();
    assert_eq!(loaded.root(), chain.state.root());
    // Another life, whose cache is empty.
    let rules = chain.contracts.rules().clone();
    chain.contracts = hedgerow_evm::Contracts::new(rules, trust());
    chain.state = loaded;
    assert_eq!(
        chain.call(contract, &[1]).unwrap().0,
        Outcome::Success(word(1))
    );
}

#[test]
fn lost_code_is_an_error_of_the_store() {
    let (mut chain, ann) = (Chain::new(0), Signer::new(0));
    let contract = deploy(&mut chain, &ann, 0, &counter());
    let rules = chain.contracts.rules().clone();
    chain.contracts = hedgerow_evm::Contracts::new(rules, trust());
    chain.store = hedgerow_kv::MemoryStore::new();
    let admitted =
        [Transaction::admit(&ann.send(1, TxKind::Call(contract), 0, &[]), CHAIN).unwrap()];
    let view = hedgerow_state::View::new(&chain.store, []);
    let error = chain.contracts.execute(
        chain.block,
        admitted.iter().map(hedgerow_evm::Work::Transaction),
        &chain.hashes,
        &view,
        &mut chain.state,
        &mut hedgerow_state::Writes::default(),
    );
    assert!(error.unwrap_err().0.contains("contract_code"));
}

#[test]
fn what_cannot_be_executed_is_refused_and_changes_nothing() {
    let (mut chain, ann) = (Chain::new(0), Signer::new(0));
    let to = TxKind::Call(Address::repeat_byte(0x77));
    let tight = TxEip1559 {
        gas_limit: 20_999,
        ..plain(1, to, 0, &[])
    };
    let huge = TxEip1559 {
        gas_limit: (1 << 24) + 1,
        ..plain(1, to, 0, &[])
    };
    let first = ann.send(0, to, 1, &[]);
    let results = chain.block(&[
        first.clone(),
        first,
        ann.send(2, to, 1, &[]),
        ann.sign(tight),
        ann.sign(huge),
        ann.send(1, to, RICH, &[]),
    ]);
    let refusals: Vec<_> = results[1..]
        .iter()
        .cloned()
        .map(Result::unwrap_err)
        .collect();
    assert_eq!(
        refusals,
        [
            Refusal::NonceTooLow {
                found: 0,
                expected: 1
            },
            Refusal::NonceTooHigh {
                found: 2,
                expected: 1
            },
            Refusal::IntrinsicGas {
                found: 20_999,
                needed: 21_000
            },
            Refusal::GasLimit {
                found: (1 << 24) + 1,
                max: 1 << 24
            },
            Refusal::InsufficientFunds,
        ]
    );
    assert_eq!(chain.state.account(&ann.address()).unwrap().nonce, 1);
    assert_eq!(chain.balance(&Address::repeat_byte(0x77)), U256::from(1));
}

#[test]
fn a_block_has_so_much_gas_and_no_more() {
    let (mut chain, ann, ben) = (Chain::new(0), Signer::new(0), Signer::new(1));
    let contract = deploy(&mut chain, &ann, 0, &spinner());
    let spin = |nonce| TxEip1559 {
        gas_limit: 1 << 24,
        ..plain(nonce, TxKind::Call(contract), 0, &[])
    };
    let results = chain.block(&[
        ann.sign(spin(1)),
        ann.sign(spin(2)),
        ben.send(0, TxKind::Call(contract), 0, &[]),
    ]);
    assert!(matches!(
        results[0],
        Ok(Executed {
            outcome: Outcome::Halted(_),
            gas_used: 16_777_216,
            ..
        })
    ));
    assert_eq!(
        results[1],
        Err(Refusal::BlockFull {
            needed: 1 << 24,
            left: 30_000_000 - (1 << 24)
        })
    );
    assert!(results[2].is_ok(), "what fits still does");
    let results = chain.block(&[ann.sign(spin(2))]);
    assert!(results[0].is_ok(), "in the next block there is room");
}

#[test]
fn a_contract_sees_earlier_blocks_hashes_and_the_block_it_is_in() {
    let (mut chain, ann) = (Chain::new(0), Signer::new(0));
    let contract = deploy(&mut chain, &ann, 0, &historian());
    chain.block(&[]);
    let (outcome, _) = chain.call(contract, &word(2)).unwrap();
    assert_eq!(
        outcome,
        Outcome::Success(Bytes::copy_from_slice(&keccak256(2_u64.to_be_bytes())[..]))
    );
    let (outcome, _) = chain.call(contract, &word(99)).unwrap();
    assert_eq!(outcome, Outcome::Success(word(0)));
    // NUMBER, TIMESTAMP, CHAINID, PREVRANDAO
    for (opcode, expected) in [
        (0x43, U256::from(3)),
        (0x42, U256::from(1_700_000_001)),
        (0x46, U256::from(CHAIN)),
        (0x44, U256::from_be_bytes(keccak256(2_u64.to_be_bytes()).0)),
    ] {
        let runtime = [opcode, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3];
        let view = hedgerow_state::View::new(&chain.store, []);
        let call = hedgerow_evm::Call {
            gas: 1 << 24,
            input: Bytes::copy_from_slice(&runtime),
            ..Default::default()
        };
        let (outcome, _) = chain
            .contracts
            .call(chain.block, &call, &chain.hashes, &view, &chain.state)
            .unwrap()
            .unwrap();
        assert_eq!(
            outcome,
            Outcome::Success(Bytes::copy_from_slice(&expected.to_be_bytes::<32>()))
        );
    }
}

#[test]
fn a_contract_that_ends_in_its_own_transaction_is_gone() {
    let (mut chain, ann) = (Chain::new(0), Signer::new(0));
    // Its creation runs `ender`.
    let executed = only(chain.block(&[ann.send(0, TxKind::Create, 500, &ender())]));
    assert!(executed.outcome.is_success());
    assert_eq!(chain.state.account(&ann.address().create(0)), None);
    assert_eq!(chain.balance(&ann.address()), U256::from(RICH));
    // Later than that, only its balance goes (EIP-6780).
    let contract = deploy(&mut chain, &ann, 1, &ender());
    chain.block(&[ann.send(2, TxKind::Call(contract), 500, &[])]);
    assert!(chain.state.account(&contract).is_some());
    assert_eq!(chain.balance(&contract), U256::ZERO);
}

#[test]
fn every_type_but_blobs_is_taken() {
    let (mut chain, ann) = (Chain::new(0), Signer::new(0));
    let to = TxKind::Call(Address::repeat_byte(0x77));
    let legacy = TxLegacy {
        chain_id: Some(CHAIN),
        nonce: 0,
        gas_price: 1_000_000_000,
        gas_limit: 50_000,
        to,
        value: U256::from(1),
        input: Bytes::new(),
    };
    let listed = TxEip2930 {
        chain_id: CHAIN,
        nonce: 1,
        gas_price: 2,
        gas_limit: 50_000,
        to,
        value: U256::from(1),
        access_list: AccessList::default(),
        input: Bytes::new(),
    };
    let results = chain.block(&[
        ann.sign(legacy.clone()),
        ann.sign(listed),
        ann.send(2, to, 1, &[]),
    ]);
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let types: Vec<_> = results
        .iter()
        .map(|r| r.as_ref().unwrap().receipt().encoded_2718()[0])
        .collect();
    assert_eq!(types[1..], [1, 2]);
    assert!(types[0] >= 0xc0);
    let unprotected = ann.sign(TxLegacy {
        chain_id: None,
        ..legacy.clone()
    });
    assert_eq!(
        Transaction::admit(&unprotected, CHAIN).unwrap_err(),
        Refusal::Unprotected { expected: CHAIN }
    );
    let elsewhere = ann.sign(TxLegacy {
        chain_id: Some(1),
        ..legacy
    });
    assert_eq!(
        Transaction::admit(&elsewhere, CHAIN).unwrap_err(),
        Refusal::WrongChain {
            found: 1,
            expected: CHAIN
        }
    );
}

#[test]
fn an_account_may_lend_itself_a_contracts_code() {
    let (mut chain, ann, ben, cat) = (
        Chain::new(0),
        Signer::new(0),
        Signer::new(1),
        Signer::new(2),
    );
    let contract = deploy(&mut chain, &ann, 0, &counter());
    let authorization = |nonce| Authorization {
        chain_id: U256::from(CHAIN),
        address: contract,
        nonce,
    };
    let signed = |signer: &Signer, nonce| {
        let authorization = authorization(nonce);
        let signature = signer.sign_hash(authorization.signature_hash());
        authorization.into_signed(signature)
    };
    // Ben's holds; Cat's is of another nonce, and is passed over.
    let transaction = TxEip7702 {
        chain_id: CHAIN,
        nonce: 1,
        gas_limit: 400_000,
        max_fee_per_gas: 0,
        max_priority_fee_per_gas: 0,
        to: ben.address(),
        value: U256::ZERO,
        access_list: AccessList::default(),
        authorization_list: vec![signed(&ben, 0), signed(&cat, 5)],
        input: Bytes::new(),
    };
    let executed = only(chain.block(&[ann.sign(transaction)]));
    assert!(executed.outcome.is_success());
    assert_eq!(
        chain.state.storage(&ben.address(), &U256::ZERO),
        U256::from(1)
    );
    assert_eq!(
        chain.call(ben.address(), &[1]).unwrap().0,
        Outcome::Success(word(1))
    );
    assert_eq!(chain.state.account(&cat.address()).unwrap().nonce, 0);
    // An account with lent code may still sign.
    assert!(chain.block(&[ben.send(1, TxKind::Call(cat.address()), 1, &[])])[0].is_ok());
}

#[test]
fn devices_signatures_can_be_verified() {
    use p256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner};
    let mut chain = Chain::new(0);
    let key = SigningKey::from_slice(&[5; 32]).unwrap();
    let hash = keccak256(b"a reading");
    let signature: Signature = key.sign_prehash(hash.as_slice()).unwrap();
    let point = key.verifying_key().to_encoded_point(false);
    let mut input = [
        hash.as_slice(),
        &signature.to_bytes(),
        &point.as_bytes()[1..],
    ]
    .concat();
    let verifier = Address::from_word(B256::from(U256::from(0x100)));
    assert_eq!(
        chain.call(verifier, &input).unwrap().0,
        Outcome::Success(word(1))
    );
    input[0] ^= 1;
    assert_eq!(
        chain.call(verifier, &input).unwrap().0,
        Outcome::Success(Bytes::new())
    );
}

#[test]
fn bytes_that_are_no_transaction_are_refused() {
    let ann = Signer::new(0);
    let good = ann.send(0, TxKind::Create, 0, &[1, 2, 3]);
    assert_eq!(
        Transaction::admit(&good, CHAIN).unwrap().sender(),
        ann.address()
    );
    assert_eq!(
        Transaction::admit(&good, CHAIN).unwrap().hash(),
        keccak256(&good)
    );
    for bytes in [
        &[][..],
        &[0],
        &[2],
        &[0x7f; 40],
        &good[..good.len() - 1],
        &[&good[..], &[0]].concat(),
    ] {
        assert_eq!(
            Transaction::admit(bytes, CHAIN).unwrap_err(),
            Refusal::Malformed
        );
    }
    assert_eq!(
        Transaction::admit(&vec![2; MAX_TRANSACTION + 1], CHAIN).unwrap_err(),
        Refusal::TooLarge {
            found: MAX_TRANSACTION + 1,
            max: MAX_TRANSACTION
        }
    );
    // A signature whose s is in the upper half: anybody can make it of another one (EIP-2).
    let transaction = plain(0, TxKind::Create, 0, &[]);
    let signature = ann.sign_hash(alloy_consensus::SignableTransaction::signature_hash(
        &transaction,
    ));
    let order = U256::from_be_bytes(alloy_primitives::hex!(
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
    ));
    let turned =
        alloy_primitives::Signature::new(signature.r(), order - signature.s(), !signature.v());
    let bytes = alloy_consensus::TxEnvelope::from(
        alloy_consensus::SignableTransaction::into_signed(transaction, turned),
    )
    .encoded_2718();
    assert_eq!(
        Transaction::admit(&bytes, CHAIN).unwrap_err(),
        Refusal::BadSignature
    );
}

#[test]
fn a_call_that_cannot_begin_says_why() {
    let mut chain = Chain::new(7);
    let call = hedgerow_evm::Call {
        from: Address::repeat_byte(9),
        to: Some(Address::repeat_byte(8)),
        gas: 21_000,
        value: U256::from(1),
        ..Default::default()
    };
    let view = hedgerow_state::View::new(&chain.store, []);
    let result = chain
        .contracts
        .call(chain.block, &call, &chain.hashes, &view, &chain.state)
        .unwrap();
    assert_eq!(result.unwrap_err(), Refusal::InsufficientFunds);
    let call = hedgerow_evm::Call {
        value: U256::ZERO,
        ..call
    };
    let result = chain
        .contracts
        .call(chain.block, &call, &chain.hashes, &view, &chain.state)
        .unwrap();
    assert_eq!(
        result.unwrap(),
        (Outcome::Success(Bytes::new()), 21_000),
        "gas is free for who asks"
    );
}
