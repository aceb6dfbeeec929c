//! What the ledger itself answers when the account of the roles is called.

use alloy_sol_types::{SolCall, SolInterface};
use hedgerow_kv::KvRead;
use hedgerow_proofs::layout::{ROLES_ADDRESS, subject_slot};
use hedgerow_records::{Roles, Subject};
use hedgerow_streams::standing_of_word;

use crate::native::{Native, Stop, refuse};

/// The interface as contracts have it, from the file that they have it from.
mod abi {
    #![allow(missing_docs, clippy::all, clippy::pedantic, clippy::nursery)]

    alloy_sol_types::sol!("../../contracts/src/roles/IRoles.sol");
}

use abi::IRoles::{self, IRolesCalls};

impl<S: KvRead + ?Sized> Native<'_, '_, '_, S> {
    /// Answers a call of the roles' account.
    pub(crate) fn roles(&mut self, input: &[u8]) -> Result<Vec<u8>, Stop> {
        let call = IRolesCalls::abi_decode_validate(input);
        let call = call.map_err(|_| refuse(&IRoles::BadCall {}))?;
        if !self.is_direct() || !self.inputs.value.get().is_zero() {
            return Err(refuse(&IRoles::NotAllowedHere {}));
        }
        let everyones = self.roles_of(Subject::EVERYONE)?;
        match call {
            IRolesCalls::rolesOf(call) => {
                let own = self.roles_of(Subject(call.subject.0.0))?;
                let all = everyones.with(own).bits();
                Ok(IRoles::rolesOfCall::abi_encode_returns(&all))
            }
            IRolesCalls::rolesOfEveryone(_) => Ok(IRoles::rolesOfEveryoneCall::abi_encode_returns(
                &everyones.bits(),
            )),
        }
    }

    /// The roles that a subject has itself.
    pub(crate) fn roles_of(&mut self, subject: Subject) -> Result<Roles, Stop> {
        let word = self.word(ROLES_ADDRESS, subject_slot(subject))?;
        let (roles, _) = standing_of_word(word);
        Ok(roles)
    }
}
