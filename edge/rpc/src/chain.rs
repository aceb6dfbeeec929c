//! The ledger as the validators agree on it, asked through the network.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alloy_eips::{
    BlockId, BlockNumberOrTag,
    eip2930::{AccessList, AccessListItem, AccessListResult},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use hedgerow_base::{Digest, Height};
use hedgerow_chain::{
    AccountSummary, Answer, CallOutcome, CallRequest, ContractAnswer, ContractQuery, FoundLog,
    LogQuery, Query, Tracer, Word,
};
use hedgerow_gateway::{Network, QueryError};
use hedgerow_wire::List;
use serde_json::value::RawValue;
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};

use crate::{
    block::{BlockView, TransactionView},
    error::RpcError,
};

/// How many blocks are remembered.
const REMEMBERED: usize = 32;
/// How many questions that are looked up may be under way at once; the rest wait.
const MAX_ASKING: usize = 64;
/// How many may that have a contract run. Nobody else waits for those.
const MAX_CALLING: usize = 8;
/// How many may that have it traced, which takes ten times as long and gives megabytes.
const MAX_TRACING: usize = 1;
/// How long a question may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a network's contracts cost, and who they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The network's number, which transactions are signed for.
    pub chain: u64,
    /// What a unit of gas costs, in wei.
    pub gas_price: u64,
    /// How much gas a block has.
    pub gas_limit: u64,
}

pub(crate) struct Chain {
    pub(crate) network: Arc<dyn Network>,
    pub(crate) terms: Terms,
    attested: watch::Receiver<Height>,
    asking: Semaphore,
    calling: Semaphore,
    tracing: Semaphore,
    remembered: Mutex<VecDeque<Arc<BlockView>>>,
    fetching: tokio::sync::Mutex<()>,
}

impl Chain {
    pub(crate) fn new(network: Arc<dyn Network>, terms: Terms) -> Self {
        Self {
            attested: network.attested(),
            network,
            terms,
            asking: Semaphore::new(MAX_ASKING),
            calling: Semaphore::new(MAX_CALLING),
            tracing: Semaphore::new(MAX_TRACING),
            remembered: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// The newest block, which is attested.
    pub(crate) fn newest(&self) -> Height {
        *self.attested.borrow()
    }

    /// Tells of newer ones.
    pub(crate) fn attested(&self) -> watch::Receiver<Height> {
        self.attested.clone()
    }

    async fn ask(&self, query: ContractQuery) -> Result<ContractAnswer, RpcError> {
        let query = Query::Contracts(query);
        // Only a call can have as much.
        let size = query.is_call().then(|| query.to_bytes().len());
        if let Some(size) = size.filter(|size| *size > Query::MAX_BYTES) {
            return Err(RpcError::limit(format!(
                "the call with its overrides and access list has {size} bytes, at most {} are allowed",
                Query::MAX_BYTES
            )));
        }
        let turns = if query.is_trace() {
            &self.tracing
        } else if query.is_call() {
            &self.calling
        } else {
            &self.asking
        };
        let turn = timeout(PATIENCE, turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(RpcError::limit(
                "too many requests are waiting: try again later",
            ));
        };
        match self.network.query(query).await? {
            Answer::Contracts(answer) => Ok(answer),
            other => Err(strange(&other).into()),
        }
    }

    /// The height that a block's name means; `None` where there is no such block.
    pub(crate) async fn height(&self, block: BlockId) -> Result<Option<Height>, RpcError> {
        match block {
            BlockId::Number(tag) => Ok(self.height_of_tag(tag)),
            BlockId::Hash(hash) => {
                let wanted = hash.block_hash;
                if let Some(block) = self.recall(|block| block.hash == wanted) {
                    return Ok(Some(block.height()));
                }
                match self.ask(ContractQuery::BlockHash(Digest(wanted.0))).await? {
                    ContractAnswer::Height(height) => {
                        Ok((height <= self.newest()).then_some(height))
                    }
                    _ => Ok(None),
                }
            }
        }
    }

    /// As [`Chain::height`], of a number or a tag.
    pub(crate) fn height_of_tag(&self, tag: BlockNumberOrTag) -> Option<Height> {
        let newest = self.newest();
        match tag {
            BlockNumberOrTag::Number(number) => (number <= newest.0).then_some(Height(number)),
            BlockNumberOrTag::Earliest => Some(Height::ZERO),
            // Blocks are attested within milliseconds, and nothing is pending that has a place already.
            BlockNumberOrTag::Latest
            | BlockNumberOrTag::Safe
            | BlockNumberOrTag::Finalized
            | BlockNumberOrTag::Pending => Some(newest),
        }
    }

    /// The height that a call which reads the state means; of the newest block where it names none.
    pub(crate) async fn state_height(&self, block: Option<BlockId>) -> Result<Height, RpcError> {
        let block = block.unwrap_or(BlockId::Number(BlockNumberOrTag::Latest));
        let height = self.height(block).await?;
        height.ok_or_else(|| RpcError::not_found("header not found"))
    }

    fn recall(&self, wanted: impl Fn(&BlockView) -> bool) -> Option<Arc<BlockView>> {
        let remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        remembered.iter().find(|block| wanted(block)).cloned()
    }

    /// The block at a height; `None` where there is none yet.
    pub(crate) async fn block(&self, height: Height) -> Result<Option<Arc<BlockView>>, RpcError> {
        if let Some(block) = self.recall(|block| block.height() == height) {
            return Ok(Some(block));
        }
        let newest = self.newest();
        if height > newest {
            return Ok(None);
        }
        // Many may wait for a new block: one asks.
        let _one = if newest.0 - height.0 < REMEMBERED as u64 {
            let one = self.fetching.lock().await;
            if let Some(block) = self.recall(|block| block.height() == height) {
                return Ok(Some(block));
            }
            Some(one)
        } else {
            None
        };
        let mut view: Option<BlockView> = None;
        loop {
            let from = view
                .as_ref()
                .map_or(0, |view| view.transactions.len() as u32);
            let query = ContractQuery::Block { height, from };
            let page = match self.ask(query).await? {
                ContractAnswer::Block(page) => page,
                ContractAnswer::Unknown(_) => return Ok(None),
                other => return Err(strange(&other).into()),
            };
            let total = page.total;
            let view = match &mut view {
                Some(view) => view,
                None => view.insert(BlockView::new(&page).ok_or_else(nonsense)?),
            };
            let before = view.transactions.len();
            view.append(page, self.terms).ok_or_else(nonsense)?;
            if view.transactions.len() as u32 >= total {
                break;
            }
            if view.transactions.len() == before {
                return Err(nonsense());
            }
        }
        let view = view.map(Arc::new);
        if let Some(view) = &view {
            let mut remembered = self
                .remembered
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            remembered.push_back(view.clone());
            if remembered.len() > REMEMBERED {
                remembered.pop_front();
            }
        }
        Ok(view)
    }

    /// An executed transaction, and its block.
    pub(crate) async fn transaction(
        &self,
        hash: B256,
    ) -> Result<Option<(Arc<BlockView>, usize)>, RpcError> {
        let of = |block: &BlockView| {
            let mut all = block.transactions.iter();
            all.position(|transaction: &TransactionView| transaction.hash() == hash)
        };
        if let Some(block) = self.recall(|block| of(block).is_some()) {
            return Ok(of(&block).map(|position| (block, position)));
        }
        let ContractAnswer::Place { height, .. } =
            self.ask(ContractQuery::Transaction(Digest(hash.0))).await?
        else {
            return Ok(None);
        };
        // What is not attested yet is not shown.
        let Some(block) = self.block(height).await? else {
            return Ok(None);
        };
        Ok(of(&block).map(|position| (block, position)))
    }

    /// An account after a block.
    pub(crate) async fn account(
        &self,
        height: Height,
        address: Address,
        code: bool,
        slots: Vec<Word>,
    ) -> Result<AccountSummary, RpcError> {
        let query = ContractQuery::Account {
            height,
            address: address.0.0,
            code,
            slots: slots_of(slots)?,
        };
        match self.ask(query).await? {
            ContractAnswer::Account(account) => Ok(account),
            other => Err(refused(other)),
        }
    }

    /// The same with proofs.
    pub(crate) async fn proof(
        &self,
        height: Height,
        address: Address,
        slots: Vec<Word>,
    ) -> Result<hedgerow_chain::AccountEvidence, RpcError> {
        let query = ContractQuery::Proof {
            height,
            address: address.0.0,
            slots: slots_of(slots)?,
        };
        match self.ask(query).await? {
            ContractAnswer::Proof(proof) => Ok(proof),
            other => Err(refused(other)),
        }
    }

    /// What a call gives, or an estimate: the output, and the gas.
    pub(crate) async fn call(
        &self,
        height: Height,
        call: CallRequest,
        estimate: bool,
    ) -> Result<(Bytes, u64), RpcError> {
        let query = if estimate {
            ContractQuery::Estimate { height, call }
        } else {
            ContractQuery::Call { height, call }
        };
        let (outcome, gas) = match self.ask(query).await? {
            ContractAnswer::Called { outcome, gas } => (outcome, gas),
            other => return Err(refused(other)),
        };
        succeeded(outcome).map(|output| (output, gas))
    }

    /// What a call touches; the gas that it takes when it names that beforehand; and why it fails then, if it does.
    pub(crate) async fn access_list(
        &self,
        height: Height,
        call: CallRequest,
    ) -> Result<AccessListResult, RpcError> {
        let (list, outcome, gas) =
            match self.ask(ContractQuery::AccessList { height, call }).await? {
                ContractAnswer::Touched { list, outcome, gas } => (list, outcome, gas),
                other => return Err(refused(other)),
            };
        let items = list.into_vec().into_iter().map(|item| AccessListItem {
            address: item.address.into(),
            storage_keys: item.slots.iter().map(B256::from).collect(),
        });
        Ok(AccessListResult {
            access_list: AccessList(items.collect()),
            gas_used: U256::from(gas),
            error: succeeded(outcome).err().map(|error| error.to_string()),
        })
    }

    /// The trace of a call.
    pub(crate) async fn trace_call(
        &self,
        height: Height,
        call: CallRequest,
        tracer: Tracer,
    ) -> Result<Box<RawValue>, RpcError> {
        self.trace(ContractQuery::TraceCall {
            height,
            call,
            tracer,
        })
        .await
    }

    /// The trace of a transaction, by its place among those that made contracts run in the block.
    pub(crate) async fn trace_transaction(
        &self,
        height: Height,
        position: u32,
        tracer: Tracer,
    ) -> Result<Box<RawValue>, RpcError> {
        self.trace(ContractQuery::TraceTransaction {
            height,
            position,
            tracer,
        })
        .await
    }

    async fn trace(&self, query: ContractQuery) -> Result<Box<RawValue>, RpcError> {
        match self.ask(query).await? {
            // Passed on as it is: calls may be nested more deeply than a reader of JSON goes.
            ContractAnswer::Trace(json) => String::from_utf8(json.into_vec())
                .ok()
                .and_then(|json| RawValue::from_string(json).ok())
                .ok_or_else(nonsense),
            ContractAnswer::TooLarge(why) => Err(RpcError::limit(why.as_str())),
            other => Err(refused(other)),
        }
    }

    /// The events that are wanted, up to `most`.
    pub(crate) async fn logs(
        &self,
        mut wanted: LogQuery,
        most: usize,
    ) -> Result<Vec<FoundLog>, RpcError> {
        let mut found = Vec::new();
        while wanted.from <= wanted.to {
            match self.ask(ContractQuery::Logs(wanted.clone())).await? {
                ContractAnswer::Logs { logs, next } => {
                    found.extend(logs.into_vec());
                    if found.len() > most {
                        return Err(RpcError::limit(format!(
                            "query returned more than {most} results: ask for fewer blocks"
                        )));
                    }
                    let Some((height, index)) = next else { break };
                    // It gets further each time.
                    if (height, index) <= (wanted.from, wanted.from_index) {
                        return Err(nonsense());
                    }
                    (wanted.from, wanted.from_index) = (height, index);
                }
                other => return Err(refused(other)),
            }
        }
        Ok(found)
    }
}

/// The output of a call that ended well.
fn succeeded(outcome: CallOutcome) -> Result<Bytes, RpcError> {
    match outcome {
        CallOutcome::Success(output) => Ok(Bytes::from(output.into_vec())),
        CallOutcome::Reverted(output) => Err(RpcError::reverted(&output.into_vec().into())),
        CallOutcome::Halted(reason) => Err(RpcError::server(format!(
            "execution stopped: {}",
            reason.as_str()
        ))),
        CallOutcome::Refused(reason) => Err(RpcError::server(reason.as_str())),
    }
}

fn slots_of(slots: Vec<Word>) -> Result<List<Word, { hedgerow_chain::MAX_SLOTS }>, RpcError> {
    List::new(slots).map_err(|error| RpcError::limit(format!("storage keys: {error}")))
}

/// The answer is none to the question, though f + 1 validators gave it.
fn strange(answer: &dyn std::fmt::Debug) -> QueryError {
    tracing::warn!(
        ?answer,
        "f + 1 validators gave an answer to another question"
    );
    QueryError::Unavailable("the validators answered another question".to_owned())
}

fn nonsense() -> RpcError {
    QueryError::Unavailable("f + 1 validators answered nonsense".to_owned()).into()
}

/// Why there is no answer.
fn refused(answer: ContractAnswer) -> RpcError {
    match answer {
        ContractAnswer::Unknown(what) | ContractAnswer::Refused(what) => {
            RpcError::server(what.as_str())
        }
        other => strange(&other).into(),
    }
}
