//! A block's work again, for the trace of a part of it.

use hedgerow_kv::{KvRead, StoreError};
use hedgerow_state::{State, View};

use crate::{
    Ancestors, Block, Call, Contracts, Executed, Refusal, Tracer, Transaction, Untraced, Work,
    contracts::{Evm, execute_all, machine},
    database::StateDatabase,
    trace::traced,
};

/// What is to be traced of a block.
#[derive(Clone, Debug)]
pub struct Part<'t> {
    /// The block's work before the transaction.
    pub before: Vec<Work<'t>>,
    /// The transaction.
    pub transaction: &'t Transaction,
    /// What the trace shows.
    pub tracer: Tracer,
}

/// A block's work up to a transaction, again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// What became of the work before the transaction.
    pub before: Vec<Result<Executed, Refusal>>,
    /// What became of the transaction, and its trace as JSON.
    pub traced: Result<(Executed, Vec<u8>), Untraced>,
}

impl Contracts {
    /// Executes a block's work up to a transaction again, and gives that one's trace. `view` and `state` are as
    /// [`Contracts::execute`] takes them; nothing is changed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn trace<S: KvRead + ?Sized>(
        &mut self,
        block: Block,
        part: &Part<'_>,
        ancestors: &dyn Ancestors,
        view: &View<'_, S>,
        state: &State,
    ) -> Result<Replayed, StoreError> {
        let rules = self.rules.clone();
        let mut state = state.clone();
        let mut database = StateDatabase {
            state: &mut state,
            view,
            ancestors,
            codes: &mut self.codes,
            deployed: std::collections::BTreeMap::new(),
        };
        let mut evm = machine(&rules, &self.trust, block, &mut database);
        let (results, used) = execute_all(&mut evm, &rules, part.before.iter().copied())?;
        let traced = match part.transaction.environment(rules.gas_price) {
            Err(refusal) => Err(Untraced::Refused(refusal)),
            Ok(environment) => traced(evm, environment, part.tracer)?,
        };
        let traced = traced.and_then(|(result, trace)| {
            let executed = Executed::of(part.transaction, result, used);
            Ok((executed, trace?))
        });
        Ok(Replayed {
            before: results,
            traced,
        })
    }

    /// The trace of a call, as JSON, on top of a block's state, as [`Contracts::call`] makes it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn trace_call<S: KvRead + ?Sized>(
        &mut self,
        block: Block,
        call: &Call,
        tracer: Tracer,
        ancestors: &dyn Ancestors,
        view: &View<'_, S>,
        state: &State,
    ) -> Result<Result<Vec<u8>, Untraced>, StoreError> {
        let run = |evm: Evm<'_, '_, S>, transaction| traced(evm, transaction, tracer).map(Ok);
        let ran = self.with_call(block, call, ancestors, view, state, run)?;
        Ok(match ran {
            Err(refusal) => Err(Untraced::Refused(refusal)),
            Ok(traced) => traced.and_then(|(_, trace)| trace),
        })
    }
}
