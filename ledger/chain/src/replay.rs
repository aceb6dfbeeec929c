//! A block's contracts again, for the trace of a transaction.
//!
//! Only states after blocks are kept, and tables are newer than a block of some time ago. So the state after the block
//! before is taken, and what the block's own transactions set is copied into it from the state after the block: contracts
//! change none of that. Roles stay as they were before the block: votes on them count after it. Then the block's contracts run again, up to the transaction. What that gives is compared with the
//! receipts that are kept: there is an exact trace, or none.

use std::collections::BTreeSet;

use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, U256};
use hedgerow_evm::{Block, Executed, Part, Tracer, Transaction, Untraced, Work};
use hedgerow_kv::{KvRead, StoreError};
use hedgerow_proofs::layout::{
    self, EPOCHS_SLOT, ORDER_ADDRESS, PROPOSALS_SLOT, STREAMS_ADDRESS, epoch_slot, proposal_slot,
};
use hedgerow_records::{Receipt, Receipts, Transaction as Own};
use hedgerow_state::{Account, State, View};
use hedgerow_wire::{Blob, decode};

use crate::{
    Batch, ContractAnswer, ContractReceipt,
    batch::Split,
    contracts::{Earlier, check_roles},
    deliveries::deliveries,
    ledger::{damaged, key, refusal},
    moment::{Moment, forgotten, receipts, unknown, words},
    tables::{BATCHES, RECEIPTS},
};

/// What all validators say of a block that they can't execute again.
fn inexact() -> ContractAnswer {
    unknown("the block can't be executed again as it was: there is no trace")
}

impl Moment {
    /// The trace of a transaction, by its place among those that made contracts run.
    pub(crate) fn trace_transaction<R: KvRead + ?Sized>(
        &mut self,
        position: u32,
        tracer: Tracer,
        store: &R,
    ) -> Result<ContractAnswer, StoreError> {
        let (Some((header, after)), Some(before)) = (&self.state, &self.before) else {
            return Ok(forgotten());
        };
        let kept = receipts(store, header.height)?;
        let Some(wanted) = kept.get(position as usize) else {
            return Ok(unknown(format!(
                "transaction {position} of block {}",
                header.height
            )));
        };
        let bytes = store.get(BATCHES, &key(header.slot.0))?;
        let bytes = bytes.ok_or_else(|| damaged(BATCHES))?;
        let batch: Batch = decode(&bytes, bytes.len()).map_err(|_| damaged(BATCHES))?;
        let split = Split::new(&batch.requests, |client| {
            refusal(&self.subjects, before, client)
        });
        let bytes = store.get(RECEIPTS, &key(header.height.0))?;
        let bytes = bytes.ok_or_else(|| damaged(RECEIPTS))?;
        let of_requests: Vec<Receipts> =
            decode(&bytes, bytes.len()).map_err(|_| damaged(RECEIPTS))?;
        let own = split.own_receipts(&of_requests);

        let mut state = before.clone();
        carry(&split.own, &own, after, &mut state);
        let view = View::new(store, []);
        let records = deliveries(&split.own, &own, &view, &state)?;
        if records.iter().any(|record| record.index == wanted.index) {
            return Ok(unknown(
                "a record has no trace: only Ethereum's transactions have one",
            ));
        }
        let chain = self.contracts.rules().chain;
        let mut admitted = Vec::new();
        for (index, bytes) in &split.ethereums {
            if *index <= wanted.index
                && let Ok(transaction) = Transaction::admit(bytes, chain)
                && check_roles(&state, &transaction).is_ok()
            {
                admitted.push((*index, transaction));
            }
        }
        let Some((last, transaction)) = admitted.pop() else {
            return Ok(inexact());
        };
        if last != wanted.index {
            return Ok(inexact());
        }
        let works = records
            .iter()
            .map(|record| (record.index, Work::Record(&record.delivery)));
        let transactions = admitted
            .iter()
            .map(|(index, one)| (*index, Work::Transaction(one)));
        let works: Vec<_> = works.chain(transactions).collect();
        let part = Part {
            before: works.iter().map(|(_, work)| *work).collect(),
            transaction: &transaction,
            tracer,
        };
        let block = Block {
            height: header.height.0,
            time: header.time,
            history: B256::from(header.history_root.0),
        };
        let earlier = Earlier { view: &view };
        let replayed = self
            .contracts
            .trace(block, &part, &earlier, &view, &state)?;
        let mut results = works.iter().map(|(index, _)| *index).zip(&replayed.before);
        let before_are = kept.iter().take(position as usize).all(|kept| {
            // Whatever was refused has no receipt, then and now.
            let next = results.find_map(|(index, result)| {
                let executed = result.as_ref().ok()?;
                Some((index, executed))
            });
            next.is_some_and(|(index, executed)| is(kept, index, executed))
        });
        if !before_are || results.any(|(_, result)| result.is_ok()) {
            return Ok(inexact());
        }
        Ok(match replayed.traced {
            Ok((executed, trace)) if is(wanted, last, &executed) => shown(trace),
            Err(Untraced::TooLarge(what)) => too_large(&Untraced::TooLarge(what)),
            Ok(_) | Err(Untraced::Refused(_)) => inexact(),
        })
    }
}

pub(crate) fn shown(trace: Vec<u8>) -> ContractAnswer {
    Blob::new(trace).map_or_else(
        |error| ContractAnswer::TooLarge(words(format!("the trace: {error}"))),
        ContractAnswer::Trace,
    )
}

pub(crate) fn too_large(why: &Untraced) -> ContractAnswer {
    ContractAnswer::TooLarge(words(why.to_string()))
}

/// Whether what was kept is of that.
fn is(kept: &ContractReceipt, index: u32, executed: &Executed) -> bool {
    kept.index == index
        && kept.gas_used == executed.gas_used
        && kept.created == executed.created.map(|address| address.0.0)
        && kept.receipt == executed.receipt().encoded_2718()
}

/// Copies what a block's own transactions set from the state after the block to the one that its contracts are to find.
fn carry(own: &[(u32, &[u8])], receipts: &[Receipt], after: &State, state: &mut State) {
    if own.is_empty() {
        return;
    }
    let next = |slot: U256| slot.wrapping_add(U256::ONE);
    let mut streams = BTreeSet::from([layout::COUNTERS_SLOT]);
    let mut voted = false;
    for ((_, bytes), receipt) in own.iter().zip(receipts) {
        match receipt {
            Receipt::Recorded { stream, .. } => streams.extend([
                layout::stream_slot(*stream),
                layout::stream_root_slot(*stream),
                layout::stream_sequences_slot(*stream),
                layout::stream_owner_slot(*stream),
            ]),
            Receipt::Registered { device } => {
                let slot = layout::device_slot(*device);
                streams.extend([slot, next(slot)]);
                if let Ok(Own::Register(signed)) = Own::from_bytes(bytes)
                    && let Ok(registration) = signed.registration()
                {
                    streams.insert(layout::name_slot(&registration.name));
                }
            }
            Receipt::Voted { .. } => voted = true,
            _ => {}
        }
    }
    copy(after, state, STREAMS_ADDRESS, streams);
    if !voted {
        return;
    }
    if state.account(&ORDER_ADDRESS).is_none() {
        // As the first vote makes it. Contracts can give it ether, not a nonce.
        let account = Account {
            nonce: 1,
            ..Account::default()
        };
        state.set_account(&ORDER_ADDRESS, account);
    }
    let number = |state: &State, slot: U256| -> u64 {
        let number = state.storage(&ORDER_ADDRESS, &slot);
        number.saturating_to()
    };
    let proposals = number(after, PROPOSALS_SLOT).max(number(state, PROPOSALS_SLOT));
    let epochs = number(state, EPOCHS_SLOT)..=number(after, EPOCHS_SLOT);
    let proposals = (0..proposals).map(proposal_slot);
    let epochs = epochs.filter(|number| *number > 0).map(epoch_slot);
    let mut order = BTreeSet::from([PROPOSALS_SLOT, EPOCHS_SLOT]);
    for slot in proposals.chain(epochs) {
        order.extend([slot, next(slot)]);
    }
    copy(after, state, ORDER_ADDRESS, order);
}

fn copy(from: &State, to: &mut State, address: alloy_primitives::Address, slots: BTreeSet<U256>) {
    let slots = slots.into_iter();
    to.set_storage(
        &address,
        slots.map(|slot| (slot, from.storage(&address, &slot))),
    );
}

#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;

#[cfg(test)]
mod tests {
    use hedgerow_base::Height;
    use hedgerow_kv::MemoryStore;
    use hedgerow_records::Algorithm;

    use super::{
        common::{device, genesis, record, registration, run, vote},
        *,
    };
    use crate::Ledger;

    /// Where a block has no contracts, the state that is made is the one after it.
    #[test]
    fn all_that_own_transactions_set_is_carried_over() {
        let mut ledger = Ledger::open(MemoryStore::new(), genesis()).unwrap();
        let keys = [1, 2].map(|seed| device(Algorithm::Ed25519, seed));
        let [ann, ben] = &keys;
        let blocks = [
            vec![registration(ann, "ann"), vote(0, 0, "aliph")],
            vec![
                record(ann, "t", &[(3, "1"), (4, "2")]),
                registration(ben, "ben"),
                registration(ann, "again"),
                vote(3, 0, "chain"),
                record(ben, "t", &[(0, "1")]),
            ],
            vec![record(ann, "t", &[(4, "2")]), vec![0x71, 1]],
            vec![
                vote(1, 0, "aliph"),
                record(ann, "t", &[(1, "1"), (9, "2")]),
                vote(2, 0, "aliph"),
                vote(2, 0, "backup"),
            ],
            vec![
                vote(1, 1, "chain"),
                vote(1, 1, "quorum"),
                vote(2, 1, "quorum"),
            ],
        ];
        for (height, block) in (1..).zip(blocks) {
            run(&mut ledger, block);
            let state = |height| ledger.kept.at(Height(height)).unwrap().state.clone();
            let (mut made, mut after) = (state(height - 1), state(height));
            let header = ledger.header(Height(height)).unwrap().unwrap();
            let bytes = ledger.store().get(BATCHES, &key(header.slot.0)).unwrap();
            let batch: Batch = decode(&bytes.unwrap(), usize::MAX).unwrap();
            let split = Split::new(&batch.requests, |_| None);
            let bytes = ledger.store().get(RECEIPTS, &key(height)).unwrap();
            let receipts: Vec<Receipts> = decode(&bytes.unwrap(), usize::MAX).unwrap();
            let own = split.own_receipts(&receipts);
            assert_eq!(own.len(), split.own.len());
            carry(&split.own, &own, &after, &mut made);
            assert_eq!(made.root(), after.root(), "block {height}: {own:?}");
        }
    }
}
