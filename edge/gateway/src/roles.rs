//! Who may do what, looked up at the door: whoever may not need not wait for the order to be refused.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use alloy_primitives::U256;
use hedgerow_chain::{AccountSummary, Answer, ContractAnswer, ContractQuery, Query};
use hedgerow_proofs::layout::{ROLES_ADDRESS, subject_slot};
use hedgerow_records::{Roles, Subject};
use hedgerow_wire::List;

use crate::{Network, QueryError};

/// How long what everyone may do is taken to be the same. Execution looks again.
const FRESH: Duration = Duration::from_secs(1);

/// Knows who may do what, as of a moment ago.
#[derive(Debug, Default)]
pub struct RoleBook {
    everyones: Mutex<Option<(Instant, Roles)>>,
}

impl RoleBook {
    /// Which of these roles a subject lacks; none where the network does not say: then the ledger will.
    pub async fn lacking(&self, network: &dyn Network, subject: Subject, needed: Roles) -> Roles {
        let fresh = self.everyones().filter(|(at, _)| at.elapsed() < FRESH);
        if let Some((_, roles)) = fresh
            && roles.has(needed)
        {
            return Roles::NONE;
        }
        let Ok(Some(standing)) = standing(network, subject).await else {
            return Roles::NONE;
        };
        *self
            .everyones
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), standing.everyones));
        needed.without(standing.everyones.with(standing.own))
    }

    fn everyones(&self) -> Option<(Instant, Roles)> {
        *self
            .everyones
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the ledger says of somebody's roles.
pub(crate) struct Standing {
    pub(crate) everyones: Roles,
    pub(crate) own: Roles,
    /// How many motions about the subject have been decided.
    pub(crate) round: u64,
}

/// Asks for it; `None` where the answer is of another kind.
pub(crate) async fn standing(
    network: &dyn Network,
    subject: Subject,
) -> Result<Option<Standing>, QueryError> {
    let slots = [Subject::EVERYONE, subject].map(|one| subject_slot(one).to_be_bytes());
    let query = ContractQuery::Account {
        height: *network.attested().borrow(),
        address: ROLES_ADDRESS.0.0,
        code: false,
        slots: List::new(slots.to_vec()).unwrap_or_default(),
    };
    let answer = network.query(Query::Contracts(query)).await?;
    let Answer::Contracts(ContractAnswer::Account(AccountSummary { slots, .. })) = answer else {
        return Ok(None);
    };
    let [everyones, own] = &slots[..] else {
        return Ok(None);
    };
    let read = |word: &[u8; 32]| hedgerow_streams::standing_of_word(U256::from_be_bytes(*word));
    let ((everyones, _), (own, round)) = (read(everyones), read(own));
    Ok(Some(Standing {
        everyones,
        own,
        round,
    }))
}
