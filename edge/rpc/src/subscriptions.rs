//! `eth_subscribe`, over WebSocket.

use std::sync::Arc;

use alloy_rpc_types_eth::Filter;
use hedgerow_base::Height;
use hedgerow_chain::LogQuery;
use jsonrpsee::{
    PendingSubscriptionSink, SubscriptionSink,
    core::{SubscriptionError, traits::IdProvider},
    types::SubscriptionId,
};
use rand::Rng;
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;

use crate::{args::Args, block, error::RpcError, methods::wanted, server::Served};

/// Numbers of subscriptions, as other nodes give them: quantities that can't be guessed.
#[derive(Debug)]
pub(crate) struct Ids;

impl IdProvider for Ids {
    fn next_id(&self) -> SubscriptionId<'static> {
        let id: u128 = rand::rng().random();
        format!("{id:#x}").into()
    }
}

/// What a client subscribes to.
enum Kind {
    Heads,
    Logs(LogQuery),
    Pending { full: bool },
}

impl Kind {
    fn of(args: &Args) -> Result<Self, RpcError> {
        let kind: String = args.required(0, "subscription")?;
        Ok(match kind.as_str() {
            "newHeads" => Self::Heads,
            "logs" => {
                let filter: Option<Filter> = args.optional(1, "filter")?;
                Self::Logs(wanted(&filter.unwrap_or_default())?)
            }
            "newPendingTransactions" => Self::Pending {
                full: args.optional(1, "fullTransactions")?.unwrap_or(false),
            },
            other => {
                let known = "newHeads, logs or newPendingTransactions";
                return Err(RpcError::invalid(format!(
                    "no subscription {other:?}: {known}"
                )));
            }
        })
    }
}

/// Serves a subscription until it ends.
pub(crate) async fn subscribe(
    served: Arc<Served>,
    args: Result<Args, RpcError>,
    pending: PendingSubscriptionSink,
) -> Result<(), SubscriptionError> {
    let kind = match args.and_then(|args| Kind::of(&args)) {
        Ok(kind) => kind,
        Err(error) => {
            pending.reject(error).await;
            return Ok(());
        }
    };
    let sink = pending.accept().await?;
    match kind {
        Kind::Heads => blocks(&served, &sink, None).await,
        Kind::Logs(wanted) => blocks(&served, &sink, Some(wanted)).await,
        Kind::Pending { full } => transactions(&served, &sink, full).await,
    }
}

async fn send(sink: &SubscriptionSink, item: &impl Serialize) -> Result<(), SubscriptionError> {
    let item = serde_json::value::to_raw_value(item)?;
    sink.send(item).await?;
    Ok(())
}

/// Tells of each new block, or of its wanted events.
async fn blocks(
    served: &Served,
    sink: &SubscriptionSink,
    wanted: Option<LogQuery>,
) -> Result<(), SubscriptionError> {
    let mut attested = served.chain.attested();
    let mut next = attested.borrow_and_update().next();
    loop {
        tokio::select! {
            () = sink.closed() => return Ok(()),
            changed = attested.changed() => if changed.is_err() {
                return Ok(());
            }
        }
        let newest: Height = *attested.borrow_and_update();
        while next <= newest {
            // Whoever waits for the same block shares it.
            let block = served.chain.block(next).await?;
            next = next.next();
            match (&wanted, block) {
                (None, Some(block)) => send(sink, &block.head()).await?,
                (Some(wanted), Some(block)) => {
                    for log in block.logs(wanted) {
                        send(sink, log).await?;
                    }
                }
                (_, None) => {}
            }
        }
    }
}

/// Tells of each transaction that this node takes.
async fn transactions(
    served: &Served,
    sink: &SubscriptionSink,
    full: bool,
) -> Result<(), SubscriptionError> {
    let mut news = served.forwarder.news();
    loop {
        let transaction = tokio::select! {
            () = sink.closed() => return Ok(()),
            new = news.recv() => match new {
                Ok(transaction) => transaction,
                // Some are left out.
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return Ok(()),
            },
        };
        if full {
            send(sink, &block::pending(&transaction, served.chain.terms)).await?;
        } else {
            send(sink, &transaction.hash()).await?;
        }
    }
}
