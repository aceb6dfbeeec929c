//! The calls of those who have subscribed to a record's stream.

use core::marker::PhantomData;

use alloy_primitives::{Address, B256, Bytes, Log, TxKind, U256};
use alloy_sol_types::{SolCall, SolError, SolEvent};
use hedgerow_kv::{KvRead, StoreError};
use hedgerow_proofs::layout::STREAMS_ADDRESS;
use hedgerow_records::{DeviceId, StreamId, Transaction};
use hedgerow_state::State;
use hedgerow_streams::Recorded;
use revm::{
    ExecuteCommitEvm, ExecuteEvm,
    context::{
        ContextSetters, ContextTr, JournalTr, TxEnv,
        result::{EVMError, HaltReason, OutOfGasError},
    },
    handler::{EthFrame, EvmTr, EvmTrError, FrameResult, FrameTr, Handler},
    interpreter::{InitialAndFloorGas, interpreter_action::FrameInit},
    state::EvmState,
};

use super::{
    abi::{
        self,
        IRecordReceiver::onRecordCall,
        IStreams::{BlockFull, Failed, Halted, Recorded as RecordedEvent, Unsubscribed},
    },
    calls::own_log,
    subscriptions::{Subscription, Subscriptions},
};
use crate::{
    Executed, Outcome, Rules,
    contracts::{Evm, outcome},
    database,
};

/// A record that was accepted in a stream that somebody has subscribed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// keccak256 of the signed record.
    pub record: B256,
    /// Who signed it.
    pub device: DeviceId,
    /// The stream.
    pub stream: StreamId,
    /// What it appended, in the order of positions; not empty.
    pub readings: Vec<Recorded>,
}

/// What it costs to be told that a call did not fit into the block: about what the event would cost a contract. So a
/// subscription ends that is never called.
const BLOCK_FULL: u64 = 3_000;

/// How many bytes are kept of what a subscriber reverted with: it does not pay for them.
const MAX_REASON: usize = 1024;

/// Calls the subscribers of a record's stream, one after another. What one does or fails at is no other's matter.
/// `used` is how much gas the block's records before it took.
pub(crate) fn deliver<S: KvRead + ?Sized>(
    evm: &mut Evm<'_, '_, S>,
    rules: &Rules,
    delivery: &Delivery,
    used: u64,
) -> Result<Executed, StoreError> {
    let stream = B256::from(delivery.stream.0.0);
    let first = delivery.readings.first();
    let mut logs = vec![event(&RecordedEvent {
        stream,
        device: Address::from(delivery.device.0),
        firstPosition: first.map_or(0, |first| first.position),
        appended: delivery.readings.len() as u64,
    })];
    let readings = delivery.readings.iter().cloned();
    let readings: Vec<abi::Reading> = readings.map(Into::into).collect();
    let input = Bytes::from(onRecordCall { stream, readings }.abi_encode());

    let mut gas_used = 0;
    let subscribers: Vec<_> = load(state(evm), delivery.stream).all;
    for subscriber in subscribers.into_iter().map(|one| one.subscriber) {
        // One before may have ended it, in a call to the subscriber.
        let subscriptions = load(state(evm), delivery.stream);
        let Some(index) = subscriptions.find(subscriber) else {
            continue;
        };
        let Some(one) = subscriptions.all.get(index).copied() else {
            continue;
        };
        let failed = |reason: Vec<u8>| {
            event(&Failed {
                stream,
                subscriber,
                record: delivery.record,
                reason: reason.into(),
            })
        };
        let left = (rules.gas_limit / 2).saturating_sub(used.saturating_add(gas_used));
        let fits = one.gas_per_record <= left;
        // Taken before it runs, so that it can't be given back twice.
        let reserved = if fits { one.gas_per_record } else { BLOCK_FULL };
        set_gas(
            state(evm),
            subscriptions,
            index,
            one.gas_left.saturating_sub(reserved),
        );
        let (ended, took, own) = if fits {
            let called = call(evm, rules, &one, input.clone())?;
            gas_used += called.1;
            called
        } else {
            let full = BlockFull { gasLeft: left }.abi_encode();
            (Outcome::Reverted(full.into()), BLOCK_FULL, Vec::new())
        };
        logs.extend(own);
        match ended {
            Outcome::Success(_) => {}
            Outcome::Reverted(reason) => {
                let kept = reason.len().min(MAX_REASON);
                logs.push(failed(reason.slice(..kept).into()));
            }
            Outcome::Halted(reason) => {
                let reason = words(&reason).to_owned();
                logs.push(failed(Halted { reason }.abi_encode()));
            }
        }
        pay(state(evm), rules.beneficiary, cost(rules, took));
        let back = reserved.saturating_sub(took);
        if let Some(gas_left) = settle(state(evm), rules, delivery.stream, subscriber, back) {
            logs.push(event(&Unsubscribed {
                stream,
                subscriber,
                gasLeft: gas_left,
            }));
        }
    }
    Ok(Executed {
        outcome: Outcome::Success(Bytes::new()),
        gas_used,
        cumulative_gas_used: used.saturating_add(gas_used),
        logs,
        created: None,
        kind: Transaction::RECORD,
    })
}

/// Our own words: they become part of the ledger.
const fn words(reason: &HaltReason) -> &'static str {
    match reason {
        HaltReason::OutOfGas(_) => "out of gas",
        _ => "a fault of the code",
    }
}

fn event(event: &impl SolEvent) -> Log {
    own_log(event.encode_log_data())
}

fn state<'e, S: KvRead + ?Sized>(evm: &'e mut Evm<'_, '_, S>) -> &'e mut State {
    evm.ctx.db_mut().state
}

fn load(state: &mut State, stream: StreamId) -> Subscriptions {
    let Ok(subscriptions) = Subscriptions::load(state, stream);
    subscriptions
}

fn set_gas(state: &mut State, mut subscriptions: Subscriptions, index: usize, gas: u64) {
    let Ok(()) = subscriptions.set_gas(state, index, gas);
}

fn cost(rules: &Rules, gas: u64) -> U256 {
    U256::from(gas) * U256::from(rules.gas_price)
}

/// Gives a call's gas back. When what is left does not suffice for another one, that ends the subscription: gives how
/// much it was.
fn settle(
    state: &mut State,
    rules: &Rules,
    stream: StreamId,
    subscriber: Address,
    back: u64,
) -> Option<u64> {
    let mut subscriptions = load(state, stream);
    let index = subscriptions.find(subscriber);
    let found = index.and_then(|index| Some((index, *subscriptions.all.get(index)?)));
    let Some((index, one)) = found else {
        // It has ended itself meanwhile.
        pay(state, subscriber, cost(rules, back));
        return None;
    };
    let one = Subscription {
        gas_left: one.gas_left.saturating_add(back),
        ..one
    };
    if one.lasts() {
        set_gas(state, subscriptions, index, one.gas_left);
        return None;
    }
    let Ok(()) = subscriptions.end(state, index);
    pay(state, subscriber, cost(rules, one.gas_left));
    Some(one.gas_left)
}

/// Pays from what the account of the streams holds for gas.
fn pay(state: &mut State, to: Address, amount: U256) {
    if amount.is_zero() {
        return;
    }
    for (address, adds) in [(STREAMS_ADDRESS, false), (to, true)] {
        let mut account = state.account(&address).unwrap_or_default();
        account.balance = if adds {
            account.balance.saturating_add(amount)
        } else {
            account.balance.saturating_sub(amount)
        };
        state.set_account(&address, account);
    }
}

/// Calls a subscriber. Gives how that ended, the gas that it took, and its events.
fn call<S: KvRead + ?Sized>(
    evm: &mut Evm<'_, '_, S>,
    rules: &Rules,
    one: &Subscription,
    data: Bytes,
) -> Result<(Outcome, u64, Vec<Log>), StoreError> {
    evm.ctx.set_tx(TxEnv {
        caller: STREAMS_ADDRESS,
        gas_limit: one.gas_per_record,
        gas_price: u128::from(rules.gas_price),
        kind: TxKind::Call(one.subscriber),
        data,
        chain_id: Some(rules.chain),
        ..TxEnv::default()
    });
    let result = Prepaid::<_, EVMError<database::Failed>, EthFrame>::default().run(evm);
    // Nothing that it has looked up may be taken for what it is: the ledger changes the state between calls.
    let changes = evm.finalize();
    match result {
        Ok(result) => {
            evm.commit(changes);
            let gas = result.tx_gas_used();
            let (ended, logs, _) = outcome(result);
            Ok((ended, gas, logs))
        }
        Err(EVMError::Database(database::Failed(error))) => Err(error),
        // Its gas does not even suffice for the input, mostly. That was read, and is paid for.
        Err(_) => {
            let reason = HaltReason::OutOfGas(OutOfGasError::Basic);
            Ok((Outcome::Halted(reason), one.gas_per_record, Vec::new()))
        }
    }
}

/// As Ethereum's handler, but nobody sends the transaction: its gas is prepaid.
struct Prepaid<EVM, ERROR, FRAME>(PhantomData<(EVM, ERROR, FRAME)>);

impl<EVM, ERROR, FRAME> Default for Prepaid<EVM, ERROR, FRAME> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<EVM, ERROR, FRAME> Handler for Prepaid<EVM, ERROR, FRAME>
where
    EVM: EvmTr<Context: ContextTr<Journal: JournalTr<State = EvmState>>, Frame = FRAME>,
    ERROR: EvmTrError<EVM>,
    FRAME: FrameTr<FrameResult = FrameResult, FrameInit = FrameInit>,
{
    type Evm = EVM;
    type Error = ERROR;
    type HaltReason = HaltReason;

    fn validate_against_state_and_deduct_caller(
        &self,
        evm: &mut EVM,
        _: &mut InitialAndFloorGas,
    ) -> Result<(), ERROR> {
        evm.ctx().journal_mut().load_account(STREAMS_ADDRESS)?;
        Ok(())
    }

    fn reimburse_caller(&self, _: &mut EVM, _: &mut FrameResult) -> Result<(), ERROR> {
        Ok(())
    }

    fn reward_beneficiary(&self, _: &mut EVM, _: &mut FrameResult) -> Result<(), ERROR> {
        Ok(())
    }
}
