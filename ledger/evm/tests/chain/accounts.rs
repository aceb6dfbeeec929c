//! Accounts that sign, and small contracts.
#![allow(dead_code)]

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::{eip2718::Encodable2718, eip2930::AccessList};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, hex, keccak256};
use k256::ecdsa::SigningKey;

/// The network that they sign for.
pub(crate) const CHAIN: u64 = 4711;

/// An account that signs; the same number gives the same one.
pub(crate) struct Signer(SigningKey);

impl Signer {
    pub(crate) fn new(number: u8) -> Self {
        Self(SigningKey::from_slice(&[number + 1; 32]).unwrap())
    }

    pub(crate) fn address(&self) -> Address {
        let point = self.0.verifying_key().to_encoded_point(false);
        Address::from_slice(&keccak256(&point.as_bytes()[1..])[12..])
    }

    pub(crate) fn sign_hash(&self, hash: B256) -> Signature {
        let (signature, recovery) = self.0.sign_prehash_recoverable(hash.as_slice()).unwrap();
        Signature::from_bytes_and_parity(&signature.to_bytes(), recovery.is_y_odd())
    }

    pub(crate) fn sign<T: SignableTransaction<Signature>>(&self, transaction: T) -> Vec<u8>
    where
        TxEnvelope: From<alloy_consensus::Signed<T>>,
    {
        let signature = self.sign_hash(transaction.signature_hash());
        TxEnvelope::from(transaction.into_signed(signature)).encoded_2718()
    }

    pub(crate) fn send(&self, nonce: u64, to: TxKind, value: u64, input: &[u8]) -> Vec<u8> {
        self.sign(plain(nonce, to, value, input))
    }
}

pub(crate) fn plain(nonce: u64, to: TxKind, value: u64, input: &[u8]) -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN,
        nonce,
        gas_limit: 400_000,
        max_fee_per_gas: 100,
        max_priority_fee_per_gas: 3,
        to,
        value: U256::from(value),
        access_list: AccessList::default(),
        input: Bytes::copy_from_slice(input),
    }
}

/// Code that deploys `runtime`.
pub(crate) fn deploying(runtime: &[u8]) -> Vec<u8> {
    let length = u8::try_from(runtime.len()).unwrap();
    // PUSH1 length, PUSH1 10, PUSH0, CODECOPY, PUSH1 length, PUSH0, RETURN
    let mut code = vec![0x60, length, 0x60, 10, 0x5f, 0x39, 0x60, length, 0x5f, 0xf3];
    code.extend_from_slice(runtime);
    code
}

/// Without input: counts in slot 0, and logs the new count under the caller. Input 1: returns the count. Any other: reverts
/// with the word 42.
pub(crate) fn counter() -> Vec<u8> {
    hex!(
        "36601457" // input: to 0x14
        "5f54600101805f555f523360205fa100" // count, store, log1(caller, count), stop
        "5b5f3560f81c600114602857" // is the first byte 1: to 0x28
        "602a5f5260205ffd" // revert(42)
        "5b5f545f5260205ff3" // return the count
    )
    .to_vec()
}

/// Sends what it owns to its caller and destroys itself.
pub(crate) fn ender() -> Vec<u8> {
    hex!("33ff").to_vec()
}

/// Returns the hash of the block whose number is the input.
pub(crate) fn historian() -> Vec<u8> {
    hex!("5f35405f5260205ff3").to_vec()
}

/// Runs until the gas is gone.
pub(crate) fn spinner() -> Vec<u8> {
    hex!("5b5f56").to_vec()
}
