use alloy_consensus::{
    Transaction as _, TxEip4844Variant, TxEnvelope, Typed2718, crypto::SECP256K1N_HALF,
};
use alloy_eips::{
    eip2718::{Decodable2718, Encodable2718},
    eip7702::{RecoveredAuthority, RecoveredAuthorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, B512, Signature, keccak256};
use hedgerow_records::Roles;
use revm::{context::TxEnv, precompile::secp256k1::ecrecover};

use crate::Refusal;

/// How many bytes a transaction may have: 128 KiB, as other nodes have it.
pub const MAX_TRANSACTION: usize = 128 * 1024;

/// An Ethereum transaction whose signature was verified.
#[derive(Clone, Debug)]
pub struct Transaction {
    envelope: TxEnvelope,
    hash: B256,
    sender: Address,
}

impl Transaction {
    /// The transaction that `bytes`, all of them, encode (EIP-2718), if it is for that chain. One transaction has one
    /// encoding, so that its hash names it.
    ///
    /// # Errors
    /// When it is malformed, of a type that is not taken here, for another chain, or not signed.
    pub fn admit(bytes: &[u8], chain: u64) -> Result<Self, Refusal> {
        if bytes.len() > MAX_TRANSACTION {
            return Err(Refusal::TooLarge {
                found: bytes.len(),
                max: MAX_TRANSACTION,
            });
        }
        let envelope = TxEnvelope::decode_2718_exact(bytes).map_err(|_| Refusal::Malformed)?;
        if let TxEnvelope::Eip4844(signed) = &envelope {
            // Whichever variant.
            let (TxEip4844Variant::TxEip4844(_) | TxEip4844Variant::TxEip4844WithSidecar(_)) =
                signed.tx();
            return Err(Refusal::Blobs);
        }
        if envelope.encoded_2718() != bytes {
            return Err(Refusal::Malformed);
        }
        match envelope.chain_id() {
            None => return Err(Refusal::Unprotected { expected: chain }),
            Some(found) if found != chain => {
                return Err(Refusal::WrongChain {
                    found,
                    expected: chain,
                });
            }
            Some(_) => {}
        }
        let signer = signer(envelope.signature(), &envelope.signature_hash());
        let sender = signer.ok_or(Refusal::BadSignature)?;
        Ok(Self {
            hash: keccak256(bytes),
            envelope,
            sender,
        })
    }

    /// Its hash: keccak256 of its bytes.
    #[must_use]
    pub const fn hash(&self) -> B256 {
        self.hash
    }

    /// Who signed it.
    #[must_use]
    pub const fn sender(&self) -> Address {
        self.sender
    }

    /// What was signed, and the signature.
    #[must_use]
    pub const fn envelope(&self) -> &TxEnvelope {
        &self.envelope
    }

    /// The roles that its sender needs.
    pub fn roles(&self) -> impl Iterator<Item = Roles> + use<> {
        let deploys = self.envelope.kind().is_create();
        core::iter::once(Roles::CALL).chain(deploys.then_some(Roles::DEPLOY))
    }

    /// As revm takes it, where gas has that price: whoever offers more pays no more.
    pub(crate) fn environment(&self, price: u64) -> Result<TxEnv, Refusal> {
        let tx = &self.envelope;
        if tx.max_fee_per_gas() < u128::from(price) {
            return Err(Refusal::PriceTooLow { price });
        }
        if tx
            .max_priority_fee_per_gas()
            .is_some_and(|tip| tip > tx.max_fee_per_gas())
        {
            return Err(Refusal::Invalid(
                "max priority fee per gas higher than max fee per gas".into(),
            ));
        }
        let authorizations = tx.authorization_list().unwrap_or_default();
        Ok(TxEnv {
            tx_type: tx.ty(),
            caller: self.sender,
            gas_limit: tx.gas_limit(),
            gas_price: u128::from(price),
            kind: tx.kind(),
            value: tx.value(),
            data: tx.input().clone(),
            nonce: tx.nonce(),
            chain_id: tx.chain_id(),
            access_list: tx.access_list().cloned().unwrap_or_default(),
            gas_priority_fee: tx.max_priority_fee_per_gas().map(|_| u128::from(price)),
            authorization_list: authorizations
                .iter()
                .map(|signed| revm::context::either::Either::Right(recover(signed)))
                .collect(),
            ..TxEnv::default()
        })
    }
}

/// The account that made a signature of `message`; `None` when nobody can have, or it is not in the lower half (EIP-2).
fn signer(signature: &Signature, message: &B256) -> Option<Address> {
    if signature.s() > SECP256K1N_HALF {
        return None;
    }
    let compact = [
        signature.r().to_be_bytes::<32>(),
        signature.s().to_be_bytes::<32>(),
    ];
    let compact = B512::from_slice(compact.as_flattened());
    let word = ecrecover(&compact, u8::from(signature.v()), message).ok()?;
    Some(Address::from_word(word))
}

/// EIP-7702: an authorization that nobody can have signed is passed over, as that standard has it.
fn recover(signed: &SignedAuthorization) -> RecoveredAuthorization {
    let authority = signed
        .signature()
        .ok()
        .and_then(|signature| signer(&signature, &signed.signature_hash()));
    let authority = authority.map_or(RecoveredAuthority::Invalid, RecoveredAuthority::Valid);
    RecoveredAuthorization::new_unchecked(signed.inner().clone(), authority)
}
