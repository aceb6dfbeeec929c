use std::{convert::Infallible, sync::Arc};

use alloy_consensus::{Eip658Value, Receipt, Typed2718};
use alloy_consensus_any::AnyReceiptEnvelope;
use alloy_primitives::{Address, B256, Bytes, Log, U256};
use hedgerow_kv::{KvRead, StoreError};
use hedgerow_proofs::TrustRoot;
use hedgerow_state::{State, View, Writes};
use revm::{
    Context, ExecuteCommitEvm, MainBuilder, MainContext,
    context::{
        BlockEnv, CfgEnv,
        result::{EVMError, ExecutionResult, HaltReason, Output, SuccessReason},
    },
    database_interface::EmptyDB,
    handler::{EthFrame, Handler, MainnetContext, MainnetHandler, instructions::EthInstructions},
    interpreter::interpreter::EthInterpreter,
    primitives::hardfork::SpecId,
};

use crate::{
    Ancestors, Call, Delivery, Refusal, Transaction,
    code::Codes,
    database::{Failed, StateDatabase},
    native::Precompiles,
    streams::deliver,
};

/// The rules of Ethereum's that hold: the newest ones that revm calls stable.
pub const SPEC: SpecId = SpecId::OSAKA;

/// What is the same for all blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The network's number, which transactions are signed for.
    pub chain: u64,
    /// How much gas a block has.
    pub gas_limit: u64,
    /// What a unit of gas costs, in wei.
    pub gas_price: u64,
    /// Who gets what gas costs.
    pub beneficiary: Address,
}

/// What makes contracts run.
#[derive(Clone, Copy, Debug)]
pub enum Work<'t> {
    /// A record: in a block, all of them come before the transactions.
    Record(&'t Delivery),
    /// A transaction.
    Transaction(&'t Transaction),
}

/// Where a block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its number.
    pub height: u64,
    /// Its time: milliseconds since the Unix epoch. Contracts see whole seconds.
    pub time: u64,
    /// The root of all headers before it: what PREVRANDAO gives, and the header's `mixHash` is.
    pub history: B256,
}

/// What became of a transaction that was executed, or of a record that made contracts run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// How it ended.
    pub outcome: Outcome,
    /// How much gas it took.
    pub gas_used: u64,
    /// How much gas the block's transactions up to this one took.
    pub cumulative_gas_used: u64,
    /// The events; none when it was reverted.
    pub logs: Vec<Log>,
    /// The contract that it made.
    pub created: Option<Address>,
    /// Its EIP-2718 type; of a record, the first byte of its transaction.
    pub(crate) kind: u8,
}

impl Executed {
    /// What became of a transaction, after others of its block that took `used` gas.
    pub(crate) fn of(transaction: &Transaction, result: ExecutionResult, used: u64) -> Self {
        let gas_used = result.tx_gas_used();
        let (outcome, logs, created) = outcome(result);
        Self {
            outcome,
            gas_used,
            cumulative_gas_used: used.saturating_add(gas_used),
            logs,
            created,
            kind: transaction.envelope().ty(),
        }
    }

    /// The receipt as Ethereum encodes it: what the receipts' root is of.
    #[must_use]
    pub fn receipt(&self) -> AnyReceiptEnvelope {
        let receipt = Receipt {
            status: Eip658Value::Eip658(self.outcome.is_success()),
            cumulative_gas_used: self.cumulative_gas_used,
            logs: self.logs.clone(),
        };
        AnyReceiptEnvelope {
            inner: receipt.with_bloom(),
            r#type: self.kind,
        }
    }
}

/// How the execution of a transaction, or of a call, ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ended well, with this output: of a creation, the new contract's code.
    Success(Bytes),
    /// The contract took everything back, and says why.
    Reverted(Bytes),
    /// It was stopped, and everything taken back: out of gas, for one.
    Halted(HaltReason),
}

impl Outcome {
    /// Whether its changes hold.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Success(_))
    }
}

/// Executes contracts. What it remembers between blocks is a cache: forgetting it changes no result.
#[derive(Debug)]
pub struct Contracts {
    pub(crate) rules: Rules,
    pub(crate) trust: Arc<TrustRoot>,
    pub(crate) codes: Codes,
}

pub(crate) type EvmContext<'a, 'b, S> = MainnetContext<&'b mut StateDatabase<'a, S>>;

/// Ethereum's, with the ledger's own contracts.
pub(crate) type Evm<'a, 'b, S, I = ()> = revm::context::Evm<
    EvmContext<'a, 'b, S>,
    I,
    EthInstructions<EthInterpreter, EvmContext<'a, 'b, S>>,
    Precompiles,
    EthFrame,
>;

impl Contracts {
    /// Executes by these rules, in the network whose proofs `trust` checks.
    #[must_use]
    pub fn new(rules: Rules, trust: Arc<TrustRoot>) -> Self {
        Self {
            rules,
            trust,
            codes: Codes::default(),
        }
    }

    /// Another one of the same rules, which remembers nothing.
    #[must_use]
    pub fn another(&self) -> Self {
        Self::new(self.rules.clone(), Arc::clone(&self.trust))
    }

    /// The rules.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Executes the work of a block, in its order. `view` and `state` are as they were before, but with what the block's
    /// records changed; `state` is changed, and so are `writes`, which are to be put over the view.
    ///
    /// # Errors
    /// Only when the store fails: no transaction can make it.
    pub fn execute<'t, S: KvRead + ?Sized>(
        &mut self,
        block: Block,
        work: impl IntoIterator<Item = Work<'t>>,
        ancestors: &dyn Ancestors,
        view: &View<'_, S>,
        state: &mut State,
        writes: &mut Writes,
    ) -> Result<Vec<Result<Executed, Refusal>>, StoreError> {
        let rules = self.rules.clone();
        let mut database = StateDatabase {
            state,
            view,
            ancestors,
            codes: &mut self.codes,
            deployed: std::collections::BTreeMap::new(),
        };
        let mut evm = machine(&rules, &self.trust, block, &mut database);
        let (results, _) = execute_all(&mut evm, &rules, work)?;
        drop(evm);
        database.take_writes(writes);
        Ok(results)
    }

    /// As [`Contracts::call`]; but the gas of a call that succeeds is what a transaction like it needs, or a
    /// 64th more at most: a call may need more than it takes in the end.
    ///
    /// # Errors
    /// As there.
    pub fn estimate<S: KvRead + ?Sized>(
        &mut self,
        block: Block,
        call: &Call,
        ancestors: &dyn Ancestors,
        view: &View<'_, S>,
        state: &State,
    ) -> Result<Result<(Outcome, u64), Refusal>, StoreError> {
        let most = call.gas.min(self.rules.gas_limit).min(MAX_GAS);
        let with = |gas| Call {
            gas,
            ..call.clone()
        };
        let (output, took) = match self.call(block, &with(most), ancestors, view, state)? {
            Ok((Outcome::Success(output), took)) => (output, took),
            other => return Ok(other),
        };
        let (mut low, mut high) = (took.saturating_sub(1), most);
        // That is mostly enough. Where it is not, a call inside keeps a 64th back, or a refund came.
        let mut guesses = [took, took.saturating_add(took / 63).saturating_add(2_300)].into_iter();
        while high - low > (high / ESTIMATE_SLACK).max(1) {
            let gas = guesses.next().unwrap_or(low + (high - low) / 2);
            let gas = gas.clamp(low + 1, high - 1);
            match self.call(block, &with(gas), ancestors, view, state)? {
                Ok((Outcome::Success(_), _)) => high = gas,
                _ => low = gas,
            }
        }
        Ok(Ok((Outcome::Success(output), high)))
    }
}

/// An estimate is above what is needed by one in so many at most.
const ESTIMATE_SLACK: u64 = 64;

/// How much gas a transaction may have (EIP-7825).
pub const MAX_GAS: u64 = 1 << 24;

/// Whether a transaction can be executed at all, as far as that does not depend on the accounts.
///
/// # Errors
/// Why it can't.
pub fn check(rules: &Rules, transaction: &Transaction) -> Result<(), Refusal> {
    let environment = transaction.environment(rules.gas_price)?;
    if environment.gas_limit > rules.gas_limit {
        return Err(Refusal::BlockFull {
            needed: environment.gas_limit,
            left: rules.gas_limit,
        });
    }
    let block = Block {
        height: 0,
        time: 0,
        history: B256::ZERO,
    };
    let mut evm = Context::mainnet()
        .with_db(EmptyDB::new())
        .with_cfg(settings(rules))
        .with_block(surroundings(rules, block))
        .with_tx(environment)
        .build_mainnet();
    let handler = MainnetHandler::<_, EVMError<Infallible>, EthFrame>::default();
    let valid = handler
        .validate_env(&mut evm)
        .and_then(|()| handler.validate_initial_tx_gas(&mut evm));
    match valid {
        Ok(_) => Ok(()),
        Err(EVMError::Transaction(invalid)) => Err(Refusal::of(invalid)),
        Err(other) => Err(Refusal::Invalid(other.to_string())),
    }
}

fn settings(rules: &Rules) -> CfgEnv {
    let mut settings = CfgEnv::new_with_spec(SPEC);
    settings.chain_id = rules.chain;
    settings
}

pub(crate) fn surroundings(rules: &Rules, block: Block) -> BlockEnv {
    BlockEnv {
        number: U256::from(block.height),
        beneficiary: rules.beneficiary,
        timestamp: U256::from(block.time / 1000),
        gas_limit: rules.gas_limit,
        basefee: 0,
        prevrandao: Some(block.history),
        ..BlockEnv::default()
    }
}

pub(crate) fn machine<'a, 'b, S: KvRead + ?Sized>(
    rules: &Rules,
    trust: &Arc<TrustRoot>,
    block: Block,
    database: &'b mut StateDatabase<'a, S>,
) -> Evm<'a, 'b, S> {
    let context = Context::mainnet()
        .with_db(database)
        .with_cfg(settings(rules))
        .with_block(surroundings(rules, block));
    revm::context::Evm::new(
        context,
        EthInstructions::new_mainnet_with_spec(SPEC),
        Precompiles::new(Arc::clone(trust)),
    )
}

/// Executes work in its order; gives what became of each, and how much gas it took together.
pub(crate) fn execute_all<'t, S: KvRead + ?Sized>(
    evm: &mut Evm<'_, '_, S>,
    rules: &Rules,
    work: impl IntoIterator<Item = Work<'t>>,
) -> Result<(Vec<Result<Executed, Refusal>>, u64), StoreError> {
    let (mut results, mut used) = (Vec::new(), 0_u64);
    for one in work {
        let result = match one {
            Work::Record(record) => Ok(deliver(evm, rules, record, used)?),
            Work::Transaction(transaction) => execute_one(evm, rules, transaction, used)?,
        };
        if let Ok(executed) = &result {
            used = executed.cumulative_gas_used;
        }
        results.push(result);
    }
    Ok((results, used))
}

fn execute_one<S: KvRead + ?Sized>(
    evm: &mut Evm<'_, '_, S>,
    rules: &Rules,
    transaction: &Transaction,
    used: u64,
) -> Result<Result<Executed, Refusal>, StoreError> {
    let environment = match transaction.environment(rules.gas_price) {
        Ok(environment) => environment,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let left = rules.gas_limit.saturating_sub(used);
    if environment.gas_limit > left {
        return Ok(Err(Refusal::BlockFull {
            needed: environment.gas_limit,
            left,
        }));
    }
    let result = match evm.transact_commit(environment) {
        Ok(result) => result,
        Err(error) => return invalid(error).map(Err),
    };
    Ok(Ok(Executed::of(transaction, result, used)))
}

pub(crate) fn outcome(result: ExecutionResult) -> (Outcome, Vec<Log>, Option<Address>) {
    match result {
        ExecutionResult::Success {
            reason: SuccessReason::Stop | SuccessReason::Return | SuccessReason::SelfDestruct,
            logs,
            output,
            ..
        } => match output {
            Output::Call(bytes) => (Outcome::Success(bytes), logs, None),
            Output::Create(bytes, created) => (Outcome::Success(bytes), logs, created),
        },
        ExecutionResult::Revert { output, .. } => (Outcome::Reverted(output), Vec::new(), None),
        ExecutionResult::Halt { reason, .. } => (Outcome::Halted(reason), Vec::new(), None),
    }
}

/// Why a transaction is not valid; the store's error where that is the cause.
pub(crate) fn invalid(error: EVMError<Failed>) -> Result<Refusal, StoreError> {
    match error {
        EVMError::Transaction(invalid) => Ok(Refusal::of(invalid)),
        EVMError::Database(Failed(error)) => Err(error),
        other => Ok(Refusal::Invalid(other.to_string())),
    }
}
