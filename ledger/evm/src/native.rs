//! The accounts at which the ledger itself answers, beside Ethereum's precompiled contracts.

use std::sync::Arc;

use alloy_primitives::{Address, Bytes, U256, map::AddressSet};
use alloy_sol_types::SolError;
use hedgerow_kv::{KvRead, StoreError};
use hedgerow_proofs::{
    TrustRoot,
    layout::{ROLES_ADDRESS, STREAMS_ADDRESS},
};
use revm::{
    context::{Cfg, ContextError, ContextTr, JournalTr},
    handler::{EthPrecompiles, MainnetContext, PrecompileProvider},
    interpreter::{CallInputs, CallScheme, Gas, InstructionResult, InterpreterResult},
};

use crate::{
    SPEC,
    database::{Failed, StateDatabase},
};

/// What a call costs at least, and each word of its input, in gas.
const CALL: u64 = 300;
const INPUT_WORD: u64 = 6;
/// What reading a slot costs: as SLOAD does of a cold one.
const LOAD: u64 = 2_100;

type Context<'a, 'b, S> = MainnetContext<&'b mut StateDatabase<'a, S>>;

/// Ethereum's precompiled contracts, and the ledger's own.
#[derive(Clone, Debug)]
pub(crate) struct Precompiles {
    ethereums: EthPrecompiles,
    addresses: AddressSet,
    trust: Arc<TrustRoot>,
}

impl Precompiles {
    pub(crate) fn new(trust: Arc<TrustRoot>) -> Self {
        let ethereums = EthPrecompiles::new(SPEC);
        let mut addresses = ethereums.warm_addresses().clone();
        addresses.extend([STREAMS_ADDRESS, ROLES_ADDRESS]);
        Self {
            ethereums,
            addresses,
            trust,
        }
    }

    /// Whether what is called at that address is none of the accounts' code.
    pub(crate) fn has(&self, address: &Address) -> bool {
        self.addresses.contains(address)
    }
}

impl<'a, 'b, S: KvRead + ?Sized> PrecompileProvider<Context<'a, 'b, S>> for Precompiles {
    type Output = InterpreterResult;

    fn set_spec(&mut self, spec: <<Context<'a, 'b, S> as ContextTr>::Cfg as Cfg>::Spec) -> bool {
        PrecompileProvider::<Context<'a, 'b, S>>::set_spec(&mut self.ethereums, spec)
    }

    fn run(
        &mut self,
        context: &mut Context<'a, 'b, S>,
        inputs: &CallInputs,
    ) -> Result<Option<InterpreterResult>, String> {
        let answers = match inputs.bytecode_address {
            STREAMS_ADDRESS => Native::streams,
            ROLES_ADDRESS => Native::roles,
            _ => return self.ethereums.run(context, inputs),
        };
        let input = inputs.input.bytes(context);
        let gas = Gas::new_with_regular_gas_and_reservoir(inputs.gas_limit, inputs.reservoir);
        let mut native = Native {
            context,
            inputs,
            trust: &self.trust,
            gas,
        };
        let words = input.len().div_ceil(32) as u64;
        let answer = native
            .charge(CALL + INPUT_WORD * words)
            .and_then(|()| answers(&mut native, &input));
        let mut gas = native.gas;
        let (result, output) = match answer {
            Ok(output) => (InstructionResult::Return, output.into()),
            Err(Stop::Revert(reason)) => (InstructionResult::Revert, reason.into()),
            Err(Stop::OutOfGas) => {
                gas.spend_all();
                (InstructionResult::PrecompileOOG, Bytes::new())
            }
            Err(Stop::Store(failed)) => {
                *context.error() = Err(ContextError::Db(failed));
                (InstructionResult::PrecompileError, Bytes::new())
            }
        };
        Ok(Some(InterpreterResult::new(result, output, gas)))
    }

    fn warm_addresses(&self) -> &AddressSet {
        &self.addresses
    }
}

/// Why there is no answer.
pub(crate) enum Stop {
    /// The caller is told.
    Revert(Vec<u8>),
    OutOfGas,
    /// Nobody's fault but the store's.
    Store(Failed),
}

impl From<Failed> for Stop {
    fn from(failed: Failed) -> Self {
        Self::Store(failed)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(Failed(error))
    }
}

pub(crate) fn refuse(error: &impl SolError) -> Stop {
    Stop::Revert(error.abi_encode())
}

/// One call.
pub(crate) struct Native<'c, 'a, 'b, S: KvRead + ?Sized> {
    pub(crate) context: &'c mut Context<'a, 'b, S>,
    pub(crate) inputs: &'c CallInputs,
    /// What one must know of this network to check its proofs.
    pub(crate) trust: &'c TrustRoot,
    gas: Gas,
}

impl<S: KvRead + ?Sized> Native<'_, '_, '_, S> {
    pub(crate) fn charge(&mut self, gas: u64) -> Result<(), Stop> {
        if self.gas.record_regular_cost(gas) {
            Ok(())
        } else {
            Err(Stop::OutOfGas)
        }
    }

    /// The word in a slot of an account of the ledger's own.
    pub(crate) fn word(&mut self, address: Address, slot: U256) -> Result<U256, Stop> {
        self.charge(LOAD)?;
        let journal = self.context.journal_mut();
        journal.load_account(address)?;
        Ok(journal.sload(address, slot)?.data)
    }

    /// Whether it is the account itself that is called, not its code for another one.
    pub(crate) const fn is_direct(&self) -> bool {
        matches!(
            self.inputs.scheme,
            CallScheme::Call | CallScheme::StaticCall
        )
    }
}
