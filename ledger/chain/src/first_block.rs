//! The genesis block.

use alloy_primitives::{Address, Bloom, U256};
use hedgerow_base::{Digest, Height, Slot};
use hedgerow_evm::{NATIVE_CODE, put_code};
use hedgerow_kv::{KvStore, StoreError};
use hedgerow_merkle::Range;
use hedgerow_proofs::{
    Header, TrustRoot,
    layout::{ROLES_ADDRESS, STREAMS_ADDRESS},
};
use hedgerow_state::{Account, State, Writes};
use hedgerow_streams::set_roles;
use hedgerow_wire::List;

use crate::{
    Genesis, GenesisError,
    batch::{receipts_root, transactions_root},
    ledger::{META_GENESIS, append_header, write_block},
    tables::META,
};

impl Genesis {
    /// The genesis block's header, the state after it, and what is written beside it.
    pub(crate) fn block(&self) -> (Header, State, Writes) {
        let (mut state, mut writes) = (State::default(), Writes::default());
        let code_hash = put_code(&mut writes, &NATIVE_CODE);
        for native in [STREAMS_ADDRESS, ROLES_ADDRESS] {
            let account = Account {
                nonce: 1,
                code_hash,
                ..Account::default()
            };
            state.set_account(&native, account);
        }
        for (subject, roles) in self.first_roles() {
            set_roles(&mut state, &mut writes, subject, roles);
        }
        for (address, gwei) in &self.contracts.accounts {
            let balance = U256::from(*gwei) * U256::from(1_000_000_000);
            let account = Account {
                balance,
                ..Account::default()
            };
            state.set_account(&Address(address.0.into()), account);
        }
        let header = Header {
            parent: Digest::ZERO,
            height: Height::ZERO,
            slot: Slot::ZERO,
            time: self.time,
            state_root: Digest(state.root().0),
            transactions_root: transactions_root(&[]),
            receipts_root: receipts_root(&[]),
            logs_bloom: Bloom::ZERO,
            gas_limit: self.contracts.gas_limit,
            gas_used: 0,
            history_root: Range::new().root(),
            genesis: self.digest(),
        };
        (header, state, writes)
    }

    /// What a verifier must know of the network.
    ///
    /// # Errors
    /// When the genesis has too many validators, which [`Genesis::validate`] excludes.
    pub fn trust_root(&self) -> Result<TrustRoot, GenesisError> {
        self.validate()?;
        let keys: Vec<_> = self.validators.iter().map(|member| member.key).collect();
        let validators = List::new(keys).unwrap_or_default();
        Ok(TrustRoot {
            network: self.network,
            genesis: self.block().0.hash(),
            validators,
        })
    }
}

/// Writes the genesis block into an empty store.
pub(crate) fn begin<S: KvStore>(
    store: &mut S,
    genesis: &Genesis,
    digest: Digest,
) -> Result<(), StoreError> {
    let (header, mut state, mut writes) = genesis.block();
    state.take_writes(&mut writes);
    append_header(&mut Range::new(), header.hash(), &mut writes);
    write_block(
        &mut writes,
        Height::ZERO,
        header.hash(),
        header.encode(),
        0,
        0,
    );
    writes.put(META, META_GENESIS, digest.0);
    store.commit(writes.into_batch())?;
    store.sync()
}
