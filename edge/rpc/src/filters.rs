//! Filters that clients ask now and then for what is new.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use alloy_primitives::{B256, U128};
use alloy_rpc_types_eth::Filter;
use hedgerow_base::Height;
use hedgerow_chain::LogQuery;
use hedgerow_evm::Transaction;
use rand::Rng;
use tokio::sync::broadcast::{self, error::TryRecvError};

use crate::error::RpcError;

/// How many filters there may be.
const MAX_FILTERS: usize = 1_024;
/// A filter that nobody asks for so long is forgotten.
const LIFETIME: Duration = Duration::from_secs(300);
/// How many new blocks one answer tells of.
const MAX_BLOCKS: u64 = 1_024;

/// What a filter is about.
#[derive(Debug)]
pub(crate) enum Kind {
    Logs {
        filter: Box<Filter>,
        wanted: LogQuery,
        next: Height,
    },
    Blocks {
        next: Height,
    },
    Pending {
        news: broadcast::Receiver<Arc<Transaction>>,
    },
}

/// What is new.
#[derive(Debug)]
pub(crate) enum New {
    Logs {
        wanted: LogQuery,
        from: Height,
        to: Height,
    },
    Blocks(Vec<Height>),
    Pending(Vec<B256>),
}

#[derive(Debug, Default)]
pub(crate) struct Filters(Mutex<HashMap<u128, (Instant, Kind)>>);

fn unknown() -> RpcError {
    RpcError::server("filter not found: it was never made, or nobody asked it for five minutes")
}

impl Filters {
    fn all(&self) -> MutexGuard<'_, HashMap<u128, (Instant, Kind)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its number can't be guessed: another client's filter can't be asked, or taken away.
    pub(crate) fn install(&self, kind: Kind) -> Result<U128, RpcError> {
        let (mut all, now) = (self.all(), Instant::now());
        all.retain(|_, (asked, _)| now.duration_since(*asked) < LIFETIME);
        if all.len() >= MAX_FILTERS {
            return Err(RpcError::limit(format!(
                "there are {MAX_FILTERS} filters already"
            )));
        }
        let id = rand::rng().random();
        all.insert(id, (now, kind));
        Ok(U128::from(id))
    }

    pub(crate) fn uninstall(&self, id: U128) -> bool {
        self.all().remove(&id.to()).is_some()
    }

    /// What is new since it was asked last, up to `newest`.
    pub(crate) fn advance(&self, id: U128, newest: Height) -> Result<New, RpcError> {
        let mut all = self.all();
        let (asked, kind) = all.get_mut(&id.to()).ok_or_else(unknown)?;
        *asked = Instant::now();
        Ok(match kind {
            Kind::Logs { wanted, next, .. } => {
                let from = core::mem::replace(next, newest.next().max(*next));
                New::Logs {
                    wanted: wanted.clone(),
                    from,
                    to: newest,
                }
            }
            Kind::Blocks { next } => {
                let end = newest
                    .next()
                    .min(Height(next.0.saturating_add(MAX_BLOCKS)))
                    .max(*next);
                let from = core::mem::replace(next, end);
                New::Blocks((from.0..end.0).map(Height).collect())
            }
            Kind::Pending { news } => {
                let mut hashes = Vec::new();
                loop {
                    match news.try_recv() {
                        Ok(transaction) => hashes.push(transaction.hash()),
                        // Some are left out.
                        Err(TryRecvError::Lagged(_)) => {}
                        Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                    }
                }
                New::Pending(hashes)
            }
        })
    }

    /// The filter of events with that number.
    pub(crate) fn logs(&self, id: U128) -> Result<Filter, RpcError> {
        let mut all = self.all();
        match all.get_mut(&id.to()) {
            Some((asked, Kind::Logs { filter, .. })) => {
                *asked = Instant::now();
                Ok(Filter::clone(filter))
            }
            _ => Err(unknown()),
        }
    }
}
