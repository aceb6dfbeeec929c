//! Traces of transactions and calls, as geth's built-in tracers give them.
//!
//! [revm_inspectors] records and formats. How much is kept is bounded here, while it runs: [`Bounded`] stops what would
//! become too large.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, Log, U256};
use alloy_rpc_types_trace::geth::{
    CallConfig, CallFrame, GethDebugBuiltInTracerType, GethDebugTracingOptions,
    GethDefaultTracingOptions, GethTrace, PreStateConfig,
};
use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_kv::{KvRead, StoreError};
use hedgerow_state::EMPTY_CODE_HASH;
use revm::{
    DatabaseRef, InspectEvm, Inspector,
    bytecode::opcode,
    context::{
        BlockEnv, ContextError, ContextTr, TxEnv,
        result::{ExecutionResult, ResultAndState},
    },
    inspector::JournalExt,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, Interpreter,
        interpreter_types::{InputsTr, Jumps, LoopControl, MemoryTr, ReturnData},
    },
    state::EvmState,
};
use revm_inspectors::tracing::DebugInspector;

use crate::{
    Refusal,
    contracts::{Evm, invalid},
    database::{Failed, StateDatabase},
};

/// How many bytes a trace has at most, as JSON.
pub const MAX_TRACE: usize = 3 << 20;

/// How many bytes are held at most for a trace beside what it shows: calls that it does not show, and what they return.
const MAX_HELD: usize = 32 << 20;

/// What a trace shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Tracer {
    /// Each step of the EVM.
    Steps {
        /// Not the stack.
        disable_stack: bool,
        /// Not the storage.
        disable_storage: bool,
        /// The memory, too.
        enable_memory: bool,
        /// What the last call returned, too.
        enable_return_data: bool,
        /// Only so many steps; all for 0.
        limit: u64,
    },
    /// The calls.
    Calls {
        /// Only the first one, not those within.
        only_top_call: bool,
        /// The events, too.
        with_log: bool,
    },
    /// The accounts and slots that were looked at, as they were before.
    Prestate {
        /// Those that were changed, before and after.
        diff_mode: bool,
        /// Not the code.
        disable_code: bool,
        /// Not the storage.
        disable_storage: bool,
    },
    /// Which functions were called, by their first four bytes, with how many bytes of input.
    FourByte,
    /// Nothing: whether there would be a trace.
    Noop,
}

impl Tracer {
    fn options(self) -> GethDebugTracingOptions {
        use GethDebugBuiltInTracerType as Type;
        match self {
            Self::Steps {
                disable_stack,
                disable_storage,
                enable_memory,
                enable_return_data,
                limit,
            } => GethDebugTracingOptions {
                config: GethDefaultTracingOptions {
                    disable_stack: Some(disable_stack),
                    disable_storage: Some(disable_storage),
                    enable_memory: Some(enable_memory),
                    enable_return_data: Some(enable_return_data),
                    limit: Some(limit),
                    ..GethDefaultTracingOptions::default()
                },
                ..GethDebugTracingOptions::default()
            },
            Self::Calls {
                only_top_call,
                with_log,
            } => GethDebugTracingOptions::call_tracer(CallConfig {
                only_top_call: Some(only_top_call),
                with_log: Some(with_log),
            }),
            Self::Prestate {
                diff_mode,
                disable_code,
                disable_storage,
            } => GethDebugTracingOptions::prestate_tracer(PreStateConfig {
                diff_mode: Some(diff_mode),
                disable_code: Some(disable_code),
                disable_storage: Some(disable_storage),
            }),
            Self::FourByte => GethDebugTracingOptions::new_tracer(Type::FourByteTracer),
            Self::Noop => GethDebugTracingOptions::new_tracer(Type::NoopTracer),
        }
    }

    /// What helps when a trace becomes too large.
    const fn advice(self) -> &'static str {
        match self {
            Self::Steps { .. } => {
                "set limit to show fewer steps, or disableStack and disableStorage, or use callTracer"
            }
            Self::Calls { .. } => "set onlyTopCall, or leave withLog out",
            Self::Prestate { .. } => "set disableCode or disableStorage",
            Self::FourByte | Self::Noop => "there is no smaller one",
        }
    }
}

/// Why there is no trace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untraced {
    /// It was not even begun.
    #[error(transparent)]
    Refused(Refusal),
    /// It would be too large. What helps.
    #[error("trace too large, at most {MAX_TRACE} bytes are allowed: {0}")]
    TooLarge(&'static str),
}

/// A trace as JSON.
pub(crate) type Trace = Result<Vec<u8>, Untraced>;

/// Runs a transaction in a machine that has been set, without keeping what it changes; gives how it ends, and its trace.
pub(crate) fn traced<S: KvRead + ?Sized>(
    evm: Evm<'_, '_, S>,
    transaction: TxEnv,
    tracer: Tracer,
) -> Result<Result<(ExecutionResult, Trace), Untraced>, StoreError> {
    let bounded = Bounded::new(tracer)?;
    let mut evm = evm.with_inspector(bounded);
    let run = evm.inspect_tx(transaction.clone());
    let revm::context::Evm { ctx, inspector, .. } = evm;
    let too_large = || Untraced::TooLarge(tracer.advice());
    if inspector.full {
        return Ok(Err(too_large()));
    }
    let run = match run {
        Ok(run) => run,
        Err(error) => return invalid(error).map(|refusal| Err(Untraced::Refused(refusal))),
    };
    let block = ctx.block;
    let database: &StateDatabase<'_, S> = ctx.journaled_state.database;
    let trace = inspector.finish(&transaction, &block, &run, database)?;
    Ok(Ok((run.result, trace.ok_or_else(too_large))))
}

/// Records a trace, and stops the EVM when that becomes too large.
struct Bounded {
    tracer: Tracer,
    inner: DebugInspector,
    /// How many bytes the trace has so far, or a little less.
    shown: usize,
    /// How many are held beside it, about.
    held: usize,
    /// How many calls are under way.
    depth: usize,
    steps: u64,
    /// The slots that steps show.
    slots: BTreeMap<Address, BTreeSet<U256>>,
    /// Whether it was stopped.
    full: bool,
}

/// What a step takes at least, a call, an event, an account, a slot: as JSON, with names and separators.
const STEP: usize = 60;
const CALL: usize = 200;
const EVENT: usize = 120;
const ACCOUNT: usize = 60;
const SLOT: usize = 2 * 66 + 6;
/// What a call takes in memory.
const NODE: usize = 1024;

impl Bounded {
    fn new(tracer: Tracer) -> Result<Self, StoreError> {
        let inner = DebugInspector::new(tracer.options());
        Ok(Self {
            tracer,
            // The options are our own.
            inner: inner.map_err(|error| StoreError(format!("the tracer: {error}")))?,
            shown: 0,
            held: 0,
            depth: 0,
            steps: 0,
            slots: BTreeMap::new(),
            full: false,
        })
    }

    fn count<CTX: ContextTr>(&mut self, shown: usize, held: usize, context: &mut CTX) {
        self.shown = self.shown.saturating_add(shown);
        self.held = self.held.saturating_add(held);
        if self.shown > MAX_TRACE || self.held > MAX_HELD {
            self.full = true;
            if context.error().is_ok() {
                *context.error() = Err(ContextError::Custom("the trace is too large".into()));
            }
        }
    }

    /// Whether the call that is under way is not shown.
    const fn hidden(&self) -> bool {
        let only_top_call = matches!(
            self.tracer,
            Tracer::Calls {
                only_top_call: true,
                ..
            }
        );
        self.full || (only_top_call && self.depth > 1)
    }

    /// What a call takes that is held and not shown.
    const fn node(&self) -> usize {
        match self.tracer {
            Tracer::FourByte | Tracer::Noop => 0,
            Tracer::Steps { .. } | Tracer::Calls { .. } | Tracer::Prestate { .. } => NODE,
        }
    }

    const fn shows_calls(&self) -> bool {
        matches!(self.tracer, Tracer::Calls { .. })
    }

    /// What a step adds.
    fn step_size(&mut self, interpreter: &Interpreter) -> usize {
        let Tracer::Steps {
            disable_stack,
            disable_storage,
            enable_memory,
            enable_return_data,
            limit,
        } = self.tracer
        else {
            return 0;
        };
        if limit != 0 && self.steps >= limit {
            return 0;
        }
        self.steps += 1;
        let mut size = STEP;
        let stack = interpreter.stack.data();
        if !disable_stack {
            let digits = stack.iter().map(|word| word.bit_len().div_ceil(4).max(1));
            size += digits.map(|digits| digits + 5).sum::<usize>();
        }
        if enable_memory {
            size += interpreter.memory.size().div_ceil(32) * 67;
        }
        if enable_return_data {
            size += interpreter.return_data.buffer().len() * 2;
        }
        let stores = matches!(
            interpreter.bytecode.opcode(),
            opcode::SLOAD | opcode::SSTORE
        );
        if !disable_storage
            && stores
            && let Some(slot) = stack.last()
        {
            let slots = self
                .slots
                .entry(interpreter.input.target_address())
                .or_default();
            slots.insert(*slot);
            size += slots.len() * SLOT;
        }
        size
    }

    /// The trace; `None` when it is too large.
    fn finish<S: KvRead + ?Sized>(
        mut self,
        transaction: &TxEnv,
        block: &BlockEnv,
        run: &ResultAndState,
        mut database: &StateDatabase<'_, S>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        if let Tracer::Prestate {
            disable_code,
            disable_storage,
            ..
        } = self.tracer
            && !small(&run.state, !disable_code, !disable_storage, database)?
        {
            return Ok(None);
        }
        let trace = self
            .inner
            .get_result(None, transaction, block, run, &mut database);
        let trace = trace.map_err(|error| StoreError(format!("the tracer: {error}")))?;
        let json = match trace {
            GethTrace::CallTracer(frame) => frame_json(frame),
            other => serde_json::to_vec(&other),
        };
        let json = json.map_err(|error| StoreError(format!("the trace: {error}")))?;
        Ok((json.len() <= MAX_TRACE).then_some(json))
    }
}

/// Whether what accounts had before is not too large to be shown.
fn small<S: KvRead + ?Sized>(
    accounts: &EvmState,
    code: bool,
    storage: bool,
    database: &StateDatabase<'_, S>,
) -> Result<bool, StoreError> {
    let mut size = 0;
    for (address, account) in accounts {
        size += ACCOUNT;
        if storage {
            size += account.storage.len() * SLOT;
        }
        let failed = |Failed(error)| error;
        let before = database.basic_ref(*address).map_err(failed)?;
        let hash = before.map(|before| before.code_hash);
        if code && let Some(hash) = hash.filter(|hash| *hash != EMPTY_CODE_HASH) {
            let code = database.code_by_hash_ref(hash).map_err(failed)?;
            size += 2 * code.original_byte_slice().len();
        }
        if size > MAX_TRACE {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A frame as JSON. Frames may be a thousand deep: this does not call itself.
fn frame_json(top: CallFrame) -> serde_json::Result<Vec<u8>> {
    let mut json = Vec::new();
    let mut open: Vec<(std::vec::IntoIter<CallFrame>, bool)> = Vec::new();
    let mut next = Some(top);
    loop {
        if let Some(mut frame) = next.take() {
            let calls = core::mem::take(&mut frame.calls);
            serde_json::to_writer(&mut json, &frame)?;
            // Its end is to come after the calls.
            json.pop();
            let some = !calls.is_empty();
            if some {
                json.extend_from_slice(b",\"calls\":[");
            }
            open.push((calls.into_iter(), some));
        }
        let Some((calls, some)) = open.last_mut() else {
            return Ok(json);
        };
        if let Some(frame) = calls.next() {
            if json.last() == Some(&b'}') {
                json.push(b',');
            }
            next = Some(frame);
        } else {
            json.extend_from_slice(if *some { b"]}" } else { b"}" });
            open.pop();
        }
    }
}

/// Stops the EVM.
fn halt(interpreter: &mut Interpreter) {
    // In the place of a call or an end that it has got ready.
    interpreter.bytecode.action().take();
    interpreter.bytecode.reset_action();
    interpreter.halt_fatal();
}

impl<CTX> Inspector<CTX> for Bounded
where
    CTX: ContextTr<Journal: JournalExt>,
{
    fn initialize_interp(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        if !self.hidden() {
            self.inner.initialize_interp(interpreter, context);
        }
    }

    fn step(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        if !self.full {
            let size = self.step_size(interpreter);
            self.count(size, 0, context);
        }
        if self.full {
            halt(interpreter);
        } else {
            self.inner.step(interpreter, context);
        }
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        if self.full {
            halt(interpreter);
        } else {
            self.inner.step_end(interpreter, context);
        }
    }

    fn log(&mut self, context: &mut CTX, log: Log) {
        if self.hidden() {
            return;
        }
        if matches!(self.tracer, Tracer::Calls { with_log: true, .. }) {
            let size = EVENT + 69 * log.topics().len() + 2 * log.data.data.len();
            self.count(size, 0, context);
        }
        self.inner.log(context, log);
    }

    fn call(&mut self, context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.depth += 1;
        if self.hidden() {
            return None;
        }
        let shown = if self.shows_calls() {
            CALL + 2 * inputs.input.len()
        } else {
            0
        };
        self.count(shown, self.node(), context);
        if self.full {
            return None;
        }
        self.inner.call(context, inputs)
    }

    fn call_end(&mut self, context: &mut CTX, inputs: &CallInputs, outcome: &mut CallOutcome) {
        if !self.hidden() {
            let output = outcome.result.output.len();
            let shown = if self.shows_calls() { 2 * output } else { 0 };
            self.count(shown, output, context);
            self.inner.call_end(context, inputs, outcome);
        }
        self.depth = self.depth.saturating_sub(1);
    }

    fn create(&mut self, context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.depth += 1;
        if self.hidden() {
            return None;
        }
        let shown = if self.shows_calls() {
            CALL + 2 * inputs.init_code().len()
        } else {
            0
        };
        self.count(shown, self.node(), context);
        if self.full {
            return None;
        }
        self.inner.create(context, inputs)
    }

    fn create_end(
        &mut self,
        context: &mut CTX,
        inputs: &CreateInputs,
        outcome: &mut CreateOutcome,
    ) {
        if !self.hidden() {
            let output = outcome.result.output.len();
            let shown = if self.shows_calls() { 2 * output } else { 0 };
            self.count(shown, output, context);
            self.inner.create_end(context, inputs, outcome);
        }
        self.depth = self.depth.saturating_sub(1);
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        if !self.hidden() {
            Inspector::<CTX>::selfdestruct(&mut self.inner, contract, target, value);
        }
    }
}
