//! Answers to questions about contracts. What must be read at one moment is taken from the ledger first; the answer is
//! then worked out without it, so that a long call holds nobody back.

use alloy_consensus_any::AnyReceiptEnvelope;
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, BloomInput, Bytes, U256};
use hedgerow_base::{Digest, Height};
use hedgerow_evm::{Block, Contracts, MAX_TRANSACTION, Outcome, Untraced};
use hedgerow_kv::{KvRead, KvStore, StoreError};
use hedgerow_proofs::Header;
use hedgerow_records::Subject;
use hedgerow_state::{Account, EMPTY_CODE_HASH, State, View};
use hedgerow_wire::{Blob, List, Text, decode};

use crate::{
    AccountEvidence, AccountSummary, Batch, CallOutcome, CallRequest, ContractAnswer,
    ContractBlock, ContractQuery, ContractReceipt, ExecutedTransaction, FoundLog, LogQuery,
    MAX_ITEM_BYTES, MAX_LOG_BLOCKS, MAX_LOGS, MAX_OUTPUT, MAX_PAGE, Nodes, Word,
    batch::Split,
    call_request::items,
    contracts::Earlier,
    ledger::{BlockEntry, damaged, key},
    replay::{shown, too_large},
    tables::{BATCHES, BLOCKS, CONTRACT_RECEIPTS, HEIGHTS, TRANSACTIONS},
};

/// A ledger as one question needs it.
#[derive(Debug)]
pub struct Moment {
    /// The newest block that is final.
    stable: Height,
    /// The state that the question is about, where that is kept, and its block.
    pub(crate) state: Option<(Header, State)>,
    /// The state before that block, where the question needs that, too.
    pub(crate) before: Option<State>,
    /// The members, in the order of their identifiers; where the question needs them.
    pub(crate) subjects: Vec<Subject>,
    pub(crate) contracts: Contracts,
}

impl<S: KvStore> crate::Ledger<S> {
    /// The ledger as `query` needs it. Cheap.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn moment(&self, query: &ContractQuery) -> Result<Moment, StoreError> {
        let wanted = match query {
            ContractQuery::Account { height, .. }
            | ContractQuery::Proof { height, .. }
            | ContractQuery::Call { height, .. }
            | ContractQuery::Estimate { height, .. }
            | ContractQuery::AccessList { height, .. }
            | ContractQuery::TraceCall { height, .. }
            | ContractQuery::TraceTransaction { height, .. } => Some(*height),
            ContractQuery::BlockHash(_)
            | ContractQuery::Transaction(_)
            | ContractQuery::Block { .. }
            | ContractQuery::Logs(_) => None,
        };
        let kept = wanted.and_then(|height| {
            let kept = self.kept.at(height);
            kept.map(|kept| (height, kept.state.clone()))
        });
        let state = match kept {
            None => None,
            Some((height, state)) => self.header(height)?.map(|header| (header, state)),
        };
        let before = match query {
            ContractQuery::TraceTransaction { height, .. } => height.0.checked_sub(1),
            _ => None,
        };
        let before = before.and_then(|height| self.kept.at(Height(height)));
        Ok(Moment {
            subjects: before.map_or_else(Vec::new, |_| self.subjects.clone()),
            before: before.map(|kept| kept.state.clone()),
            stable: self.head().stable,
            state,
            contracts: self.contracts.another(),
        })
    }
}

/// All validators that lack it must say the same.
pub(crate) fn forgotten() -> ContractAnswer {
    unknown("state not kept of this block: ask for a newer one")
}

pub(crate) fn unknown(what: impl Into<String>) -> ContractAnswer {
    ContractAnswer::Unknown(words(what.into()))
}

/// What fits of a text.
pub(crate) fn words(mut text: String) -> Text<256> {
    while text.len() > 256 {
        text.pop();
    }
    Text::new(text).unwrap_or_default()
}

/// What fits of some bytes.
fn cut<const MAX: usize>(mut bytes: Vec<u8>) -> Blob<MAX> {
    bytes.truncate(MAX);
    Blob::new(bytes).unwrap_or_default()
}

/// The outcome with that output, unless an answer has no room for it.
fn fits(output: Bytes, outcome: impl FnOnce(Blob<MAX_OUTPUT>) -> CallOutcome) -> CallOutcome {
    match Blob::new(output.into()) {
        Ok(output) => outcome(output),
        Err(error) => CallOutcome::Refused(words(format!("the output: {error}"))),
    }
}

/// How a call ended, as an answer has it.
fn ended(outcome: Outcome) -> CallOutcome {
    match outcome {
        Outcome::Success(output) => fits(output, CallOutcome::Success),
        Outcome::Reverted(output) => fits(output, CallOutcome::Reverted),
        Outcome::Halted(reason) => CallOutcome::Halted(words(format!("{reason:?}"))),
    }
}

fn nodes(nodes: Vec<Vec<u8>>) -> Nodes {
    List::new(nodes.into_iter().map(cut).collect()).unwrap_or_default()
}

impl Moment {
    /// The answer. `store` is the ledger's, now or later: what is read of it never changes.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn answer<R: KvRead + ?Sized>(
        &mut self,
        query: &ContractQuery,
        store: &R,
    ) -> Result<ContractAnswer, StoreError> {
        match query {
            ContractQuery::BlockHash(hash) => self.height_of(*hash, store),
            ContractQuery::Transaction(hash) => self.place_of(*hash, store),
            ContractQuery::Block { height, from } => self.block(*height, *from, store),
            ContractQuery::Logs(wanted) => self.logs(wanted, store),
            ContractQuery::Account {
                address,
                code,
                slots,
                ..
            } => self.account(&Address(address.into()), *code, slots, store),
            ContractQuery::Proof { address, slots, .. } => {
                Ok(self.proof(&Address(address.into()), slots))
            }
            ContractQuery::Call { call, .. }
            | ContractQuery::Estimate { call, .. }
            | ContractQuery::AccessList { call, .. }
            | ContractQuery::TraceCall { call, .. } => self.call(query, call, store),
            ContractQuery::TraceTransaction {
                position, tracer, ..
            } => self.trace_transaction(*position, *tracer, store),
        }
    }

    fn height_of<R: KvRead + ?Sized>(
        &self,
        hash: Digest,
        store: &R,
    ) -> Result<ContractAnswer, StoreError> {
        let Some(bytes) = store.get(HEIGHTS, hash.as_ref())? else {
            return Ok(unknown(format!("block {hash}")));
        };
        let height = bytes.try_into().map_err(|_| damaged(HEIGHTS))?;
        Ok(ContractAnswer::Height(Height(u64::from_be_bytes(height))))
    }

    fn place_of<R: KvRead + ?Sized>(
        &self,
        hash: Digest,
        store: &R,
    ) -> Result<ContractAnswer, StoreError> {
        let Some(bytes) = store.get(TRANSACTIONS, hash.as_ref())? else {
            return Ok(unknown(format!("transaction {hash}")));
        };
        let (height, index): (u64, u32) =
            decode(&bytes, bytes.len()).map_err(|_| damaged(TRANSACTIONS))?;
        let receipts = receipts(store, Height(height))?;
        let position = receipts.iter().position(|receipt| receipt.index == index);
        let position = position.ok_or_else(|| damaged(CONTRACT_RECEIPTS))? as u32;
        let height = Height(height);
        Ok(ContractAnswer::Place { height, position })
    }

    fn entry<R: KvRead + ?Sized>(
        &self,
        height: Height,
        store: &R,
    ) -> Result<Option<BlockEntry>, StoreError> {
        if height > self.stable {
            return Ok(None);
        }
        let Some(bytes) = store.get(BLOCKS, &key(height.0))? else {
            return Ok(None);
        };
        let entry = decode(&bytes, bytes.len()).map_err(|_| damaged(BLOCKS))?;
        Ok(Some(entry))
    }

    fn block<R: KvRead + ?Sized>(
        &self,
        height: Height,
        from: u32,
        store: &R,
    ) -> Result<ContractAnswer, StoreError> {
        let Some(entry) = self.entry(height, store)? else {
            return Ok(unknown(format!("block {height}")));
        };
        let header = Header::decode(&entry.header).map_err(|_| damaged(BLOCKS))?;
        let receipts = receipts(store, height)?;
        let total = receipts.len() as u32;
        let (mut transactions, mut logs_before, mut gas_before) = (Vec::new(), 0, 0);
        if !receipts.is_empty() {
            let bytes = store.get(BATCHES, &key(header.slot.0))?;
            let bytes = bytes.ok_or_else(|| damaged(BATCHES))?;
            let batch: Batch = decode(&bytes, bytes.len()).map_err(|_| damaged(BATCHES))?;
            let split = Split::new(&batch.requests, |_| None);
            let mut size = 0;
            for (position, receipt) in (0..).zip(receipts) {
                let bytes = split.transactions.get(receipt.index as usize);
                let bytes = *bytes.ok_or_else(|| damaged(BATCHES))?;
                if position < from {
                    gas_before += receipt.gas_used;
                    logs_before += decoded(&receipt)?.logs().len() as u32;
                    continue;
                }
                size += bytes.len().min(MAX_TRANSACTION) + receipt.receipt.len() + 128;
                let full = size > MAX_ITEM_BYTES || transactions.len() >= MAX_PAGE;
                if full && !transactions.is_empty() {
                    break;
                }
                // A record may have more, and is named by its hash.
                let bytes = Blob::new(bytes.to_vec()).unwrap_or_default();
                transactions.push(ExecutedTransaction { bytes, receipt });
            }
        }
        Ok(ContractAnswer::Block(ContractBlock {
            header: entry.header,
            total,
            transactions: List::new(transactions).unwrap_or_default(),
            logs_before,
            gas_before,
        }))
    }

    fn account<R: KvRead + ?Sized>(
        &self,
        address: &Address,
        code: bool,
        slots: &[Word],
        store: &R,
    ) -> Result<ContractAnswer, StoreError> {
        let Some((_, state)) = &self.state else {
            return Ok(forgotten());
        };
        let account = state.account(address);
        let mut summary = summary(account);
        if code && let Some(account) = account {
            let view = View::new(store, []);
            let code = hedgerow_evm::code(&view, account.code_hash)?;
            summary.code = Blob::new(code).map_err(|_| damaged("contract_code"))?;
        }
        let words = slots.iter().map(|slot| {
            let word = state.storage(address, &U256::from_be_bytes(*slot));
            word.to_be_bytes::<32>()
        });
        summary.slots = List::new(words.collect()).unwrap_or_default();
        Ok(ContractAnswer::Account(summary))
    }

    fn proof(&mut self, address: &Address, slots: &[Word]) -> ContractAnswer {
        let Some((_, state)) = &mut self.state else {
            return forgotten();
        };
        let slots: Vec<_> = slots
            .iter()
            .map(|slot| U256::from_be_bytes(*slot))
            .collect();
        let proof = state.prove(address, &slots);
        let mut account = summary(proof.account);
        let words = proof.storage.iter().map(|slot| slot.value.to_be_bytes());
        account.slots = List::new(words.collect()).unwrap_or_default();
        let slots = proof.storage.into_iter().map(|slot| nodes(slot.nodes));
        ContractAnswer::Proof(AccountEvidence {
            account,
            storage_root: proof.storage_root.0,
            nodes: nodes(proof.nodes),
            slots: List::new(slots.collect()).unwrap_or_default(),
        })
    }

    fn call<R: KvRead + ?Sized>(
        &mut self,
        query: &ContractQuery,
        request: &CallRequest,
        store: &R,
    ) -> Result<ContractAnswer, StoreError> {
        let Some((header, state)) = &self.state else {
            return Ok(forgotten());
        };
        let call = request.call();
        let block = Block {
            height: header.height.0,
            time: header.time,
            history: B256::from(header.history_root.0),
        };
        let view = View::new(store, []);
        let earlier = Earlier { view: &view };
        let contracts = &mut self.contracts;
        let result = match query {
            ContractQuery::TraceCall { tracer, .. } => {
                let traced = contracts.trace_call(block, &call, *tracer, &earlier, &view, state)?;
                return Ok(match traced {
                    Ok(trace) => shown(trace),
                    Err(Untraced::Refused(why)) => ContractAnswer::Refused(words(why.to_string())),
                    Err(why) => too_large(&why),
                });
            }
            ContractQuery::AccessList { .. } => {
                return Ok(
                    match contracts.access_list(block, &call, &earlier, &view, state)? {
                        Ok(touched) => ContractAnswer::Touched {
                            list: items(touched.list),
                            outcome: ended(touched.outcome),
                            gas: touched.gas,
                        },
                        Err(why) => ContractAnswer::Refused(words(why.to_string())),
                    },
                );
            }
            ContractQuery::Estimate { .. } => {
                contracts.estimate(block, &call, &earlier, &view, state)?
            }
            _ => contracts.call(block, &call, &earlier, &view, state)?,
        };
        let (outcome, gas) = match result {
            Ok((outcome, gas)) => (ended(outcome), gas),
            Err(refusal) => (CallOutcome::Refused(words(refusal.to_string())), 0),
        };
        Ok(ContractAnswer::Called { outcome, gas })
    }

    fn logs<R: KvRead + ?Sized>(
        &self,
        wanted: &LogQuery,
        store: &R,
    ) -> Result<ContractAnswer, StoreError> {
        let (mut logs, mut size) = (Vec::new(), 0);
        let end = Height(wanted.from.0.saturating_add(MAX_LOG_BLOCKS));
        let last = wanted.to.min(self.stable).min(Height(end.0 - 1));
        let mut next = (end <= wanted.to.min(self.stable)).then_some((end, 0));
        // Only blocks in which contracts ran have an entry here.
        let mut from = wanted.from;
        'blocks: while from <= last {
            let after = key(last.0.saturating_add(1));
            let entries = store.scan(CONTRACT_RECEIPTS, &key(from.0), Some(&after), 64)?;
            let Some((newest, _)) = entries.last() else {
                break;
            };
            from = height_of_key(newest)?.next();
            for (found, bytes) in entries {
                let height = height_of_key(&found)?;
                let Some(entry) = self.entry(height, store)? else {
                    return Err(damaged(BLOCKS));
                };
                let header = Header::decode(&entry.header).map_err(|_| damaged(BLOCKS))?;
                if !may_have(&header, wanted) {
                    continue;
                }
                let receipts = decode(&bytes, bytes.len());
                let receipts = receipts.map_err(|_| damaged(CONTRACT_RECEIPTS))?;
                let hash = Header::hash_encoded(&entry.header);
                for log in logs_of(&header, hash, receipts, wanted)? {
                    size += 256 + log.data.len();
                    if (size > MAX_ITEM_BYTES || logs.len() >= MAX_LOGS) && !logs.is_empty() {
                        next = Some((height, log.index));
                        break 'blocks;
                    }
                    logs.push(log);
                }
            }
        }
        Ok(ContractAnswer::Logs {
            logs: List::new(logs).unwrap_or_default(),
            next,
        })
    }
}

fn height_of_key(bytes: &[u8]) -> Result<Height, StoreError> {
    let bytes = bytes.try_into().map_err(|_| damaged(CONTRACT_RECEIPTS))?;
    Ok(Height(u64::from_be_bytes(bytes)))
}

fn summary(account: Option<Account>) -> AccountSummary {
    AccountSummary {
        nonce: account.map_or(0, |account| account.nonce),
        balance: account.map_or([0; 32], |account| account.balance.to_be_bytes()),
        code_hash: account
            .map_or(EMPTY_CODE_HASH, |account| account.code_hash)
            .0,
        ..AccountSummary::default()
    }
}

pub(crate) fn receipts<R: KvRead + ?Sized>(
    store: &R,
    height: Height,
) -> Result<Vec<ContractReceipt>, StoreError> {
    let Some(bytes) = store.get(CONTRACT_RECEIPTS, &key(height.0))? else {
        return Ok(Vec::new());
    };
    decode(&bytes, bytes.len()).map_err(|_| damaged(CONTRACT_RECEIPTS))
}

fn decoded(receipt: &ContractReceipt) -> Result<AnyReceiptEnvelope, StoreError> {
    AnyReceiptEnvelope::decode_2718_exact(&receipt.receipt).map_err(|_| damaged(CONTRACT_RECEIPTS))
}

/// Whether the header's Bloom filter leaves it possible that the block has a wanted event.
fn may_have(header: &Header, wanted: &LogQuery) -> bool {
    let bloom = alloy_primitives::Bloom(header.logs_bloom.0);
    let has = |bytes: &[u8]| bloom.contains_input(BloomInput::Raw(bytes));
    let address = wanted.addresses.is_empty() || wanted.addresses.iter().any(|one| has(one));
    let topics = wanted.topics.iter();
    address
        && topics
            .into_iter()
            .all(|any| any.is_empty() || any.iter().any(|one| has(one)))
}

fn logs_of(
    header: &Header,
    block: Digest,
    receipts: Vec<ContractReceipt>,
    wanted: &LogQuery,
) -> Result<Vec<FoundLog>, StoreError> {
    let (mut found, mut index) = (Vec::new(), 0_u32);
    for (position, receipt) in (0..).zip(receipts) {
        for log in decoded(&receipt)?.logs() {
            let here = index;
            index += 1;
            let address = log.address.0.0;
            let topics: Vec<_> = log.topics().iter().map(|topic| topic.0).collect();
            let skipped = header.height == wanted.from && here < wanted.from_index;
            if skipped || !wanted.wants(&address, &topics) {
                continue;
            }
            found.push(FoundLog {
                height: header.height,
                block,
                time: header.time,
                transaction: receipt.hash,
                position,
                index: here,
                address,
                topics: List::new(topics).unwrap_or_default(),
                data: cut(log.data.data.to_vec()),
            });
        }
    }
    Ok(found)
}
