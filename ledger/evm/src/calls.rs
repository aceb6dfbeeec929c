//! Calls without a transaction: what they find, and what they pay.

use std::{collections::BTreeMap, sync::Arc};

use alloy_eips::eip2930::AccessList;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use hedgerow_kv::{KvRead, StoreError};
use hedgerow_state::{State, View};
use revm::{
    ExecuteEvm, InspectEvm,
    bytecode::Bytecode,
    context::{BlockEnv, TxEnv, transaction::TransactionType},
};
use revm_inspectors::access_list::AccessListInspector;

use crate::{
    Ancestors, Block, Contracts, MAX_GAS, Outcome, Overrides, Refusal, Rules,
    contracts::{Evm, invalid, machine, outcome, surroundings},
    database::StateDatabase,
    native::Precompiles,
};

/// What is asked of a contract without a transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// As whom.
    pub from: Address,
    /// The contract; `None` to try a creation.
    pub to: Option<Address>,
    /// How much gas it may take; never more than a transaction may.
    pub gas: u64,
    /// What is sent along, in wei.
    pub value: U256,
    /// The input.
    pub input: Bytes,
    /// What a unit of gas may cost, in wei. `None`, or 0: nothing is paid for gas. Else it is what a transaction would offer:
    /// refused where that is too little; the gas is what the account can pay for, at the network's price.
    pub fee: Option<u128>,
    /// What is named beforehand (EIP-2930).
    pub access_list: AccessList,
    /// What it finds changed.
    pub overrides: Overrides,
}

/// What a call touches ([`Contracts::access_list`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// The accounts and slots, in order, but for those that cost nothing more anyway.
    pub list: AccessList,
    /// How the call ends that names them.
    pub outcome: Outcome,
    /// How much gas that takes.
    pub gas: u64,
}

/// What a transaction takes at least.
const MIN_GAS: u64 = 21_000;

/// How often a call is made at most, to find what it touches.
const MAX_ROUNDS: usize = 8;

/// What a call runs on.
pub(crate) struct Prepared {
    pub(crate) state: State,
    pub(crate) deployed: BTreeMap<B256, Bytecode>,
    pub(crate) block: BlockEnv,
    pub(crate) transaction: TxEnv,
    /// Whether gas is paid for.
    charged: bool,
}

impl Prepared {
    /// A call in that block, on top of that state.
    pub(crate) fn new(
        rules: &Rules,
        precompiles: &Precompiles,
        block: Block,
        call: &Call,
        state: &State,
    ) -> Result<Self, Refusal> {
        // Cheap: the trie is shared.
        let mut state = state.clone();
        let native = |address: &Address| precompiles.has(address);
        let deployed = call.overrides.apply(&mut state, native)?;
        let mut block = surroundings(rules, block);
        call.overrides.block.apply(&mut block);
        let caller = state.account(&call.from).unwrap_or_default();
        let Some(left) = caller.balance.checked_sub(call.value) else {
            return Err(Refusal::InsufficientFunds);
        };
        let mut gas = call.gas.min(block.gas_limit).min(MAX_GAS);
        let price = rules.gas_price;
        let charged = match call.fee {
            None | Some(0) => false,
            Some(fee) if fee < u128::from(price) => return Err(Refusal::PriceTooLow { price }),
            Some(_) => price > 0,
        };
        if charged {
            let payable = left.checked_div(U256::from(price)).unwrap_or(U256::MAX);
            gas = gas.min(payable.saturating_to());
            if gas < MIN_GAS {
                return Err(Refusal::InsufficientFunds);
            }
        }
        let kind = if call.access_list.is_empty() {
            TransactionType::Legacy
        } else {
            TransactionType::Eip2930
        };
        let transaction = TxEnv {
            tx_type: kind as u8,
            caller: call.from,
            gas_limit: gas,
            gas_price: u128::from(price),
            kind: call.to.map_or(TxKind::Create, TxKind::Call),
            value: call.value,
            data: call.input.clone(),
            nonce: caller.nonce,
            chain_id: Some(rules.chain),
            access_list: call.access_list.clone(),
            ..TxEnv::default()
        };
        Ok(Self {
            state,
            deployed,
            block,
            transaction,
            charged,
        })
    }

    /// Makes the machine one for calls.
    pub(crate) fn set<S: KvRead + ?Sized>(
        block: &BlockEnv,
        charged: bool,
        evm: &mut Evm<'_, '_, S>,
    ) {
        // A contract may be asked about as if it sent something itself.
        evm.ctx.cfg.disable_eip3607 = true;
        // Gas has its price, for contracts that ask, but who asks need not pay.
        evm.ctx.cfg.disable_fee_charge = !charged;
        evm.ctx.block = block.clone();
    }
}

/// The blocks before a call's: it may say that it is in a later one, and sees none the more.
struct Until<'a> {
    ancestors: &'a dyn Ancestors,
    height: u64,
}

impl Ancestors for Until<'_> {
    fn hash(&self, height: u64) -> Result<Option<B256>, StoreError> {
        if height < self.height {
            self.ancestors.hash(height)
        } else {
            Ok(None)
        }
    }
}

impl Contracts {
    /// Prepares a call, and has it run.
    pub(crate) fn with_call<S: KvRead + ?Sized, R>(
        &mut self,
        block: Block,
        call: &Call,
        ancestors: &dyn Ancestors,
        view: &View<'_, S>,
        state: &State,
        run: impl FnOnce(Evm<'_, '_, S>, TxEnv) -> Result<Result<R, Refusal>, StoreError>,
    ) -> Result<Result<R, Refusal>, StoreError> {
        let rules = self.rules.clone();
        let precompiles = Precompiles::new(Arc::clone(&self.trust));
        let mut prepared = match Prepared::new(&rules, &precompiles, block, call, state) {
            Ok(prepared) => prepared,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut database = StateDatabase {
            state: &mut prepared.state,
            view,
            ancestors: &Until {
                ancestors,
                height: block.height,
            },
            codes: &mut self.codes,
            deployed: prepared.deployed,
        };
        let mut evm = machine(&rules, &self.trust, block, &mut database);
        Prepared::set(&prepared.block, prepared.charged, &mut evm);
        run(evm, prepared.transaction)
    }

    /// What a call gives on top of a block's state, as if in a block after it at `block`; with the gas that it takes.
    /// Nothing is changed.
    ///
    /// # Errors
    /// When the store fails; the inner one when it is not even begun.
    pub fn call<S: KvRead + ?Sized>(
        &mut self,
        block: Block,
        call: &Call,
        ancestors: &dyn Ancestors,
        view: &View<'_, S>,
        state: &State,
    ) -> Result<Result<(Outcome, u64), Refusal>, StoreError> {
        let run = |mut evm: Evm<'_, '_, S>, transaction| match evm.transact_one(transaction) {
            Ok(result) => {
                let gas = result.tx_gas_used();
                Ok(Ok((outcome(result).0, gas)))
            }
            Err(error) => invalid(error).map(Err),
        };
        self.with_call(block, call, ancestors, view, state, run)
    }

    /// What a call touches, for a transaction like it to name beforehand: tried until naming it changes nothing.
    ///
    /// # Errors
    /// As [`Contracts::call`].
    pub fn access_list<S: KvRead + ?Sized>(
        &mut self,
        block: Block,
        call: &Call,
        ancestors: &dyn Ancestors,
        view: &View<'_, S>,
        state: &State,
    ) -> Result<Result<Touched, Refusal>, StoreError> {
        let mut call = call.clone();
        let mut round = 1;
        loop {
            let named = call.access_list.clone();
            let run = |evm: Evm<'_, '_, S>, transaction| {
                let mut evm = evm.with_inspector(AccessListInspector::new(named));
                match evm.inspect_one_tx(transaction) {
                    Ok(result) => {
                        let list = sorted(&evm.inspector);
                        let gas = result.tx_gas_used();
                        let outcome = outcome(result).0;
                        Ok(Ok(Touched { list, outcome, gas }))
                    }
                    Err(error) => invalid(error).map(Err),
                }
            };
            let found = match self.with_call(block, &call, ancestors, view, state, run)? {
                Ok(found) => found,
                // The list itself may cost more than there is: then it is of no use.
                Err(refusal) => return Ok(Err(refusal)),
            };
            if found.list == call.access_list || round == MAX_ROUNDS {
                return Ok(Ok(found));
            }
            call.access_list = found.list;
            round += 1;
        }
    }
}

/// In one order, whatever a hash table has.
fn sorted(inspector: &AccessListInspector) -> AccessList {
    let mut list = inspector.access_list();
    list.0.sort_by_key(|item| item.address);
    list
}
