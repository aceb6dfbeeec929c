use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, U256};
use bytes::Bytes;
use hedgerow_chain::AccountSummary;
use hedgerow_evm::{Refusal, Rules, Transaction};
use hedgerow_gateway::RoleBook;
use hedgerow_records::{Receipt, Rejection, Roles, Subject};
use tokio::{
    sync::{Notify, Semaphore, broadcast, oneshot},
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::{Fate, Pool, PoolLimits, Taken};
use crate::{chain::Chain, error::RpcError};

/// How many bundles may be on their way at once.
const UNDER_WAY: usize = 8;
/// How long to wait when the network does not answer, or takes no more.
const PAUSE: Duration = Duration::from_millis(200);
/// How many senders that wait for something are looked up in the ledger at once.
const LOOKED_UP: usize = 32;
/// How many new transactions a slow listener may be behind.
const NEWS: usize = 4_096;

/// Takes transactions from whoever sends them, and has them ordered.
pub(crate) struct Forwarder {
    chain: Arc<Chain>,
    pool: Mutex<Pool>,
    roles: RoleBook,
    work: Notify,
    under_way: Arc<Semaphore>,
    news: broadcast::Sender<Arc<Transaction>>,
}

impl Forwarder {
    pub(crate) fn new(chain: Arc<Chain>, limits: PoolLimits) -> Self {
        Self {
            chain,
            pool: Mutex::new(Pool::new(limits)),
            roles: RoleBook::default(),
            work: Notify::new(),
            under_way: Arc::new(Semaphore::new(UNDER_WAY)),
            news: broadcast::channel(NEWS).0,
        }
    }

    pub(crate) fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of new transactions.
    pub(crate) fn news(&self) -> broadcast::Receiver<Arc<Transaction>> {
        self.news.subscribe()
    }

    /// Takes a signed transaction; gives its hash.
    pub(crate) async fn send(&self, bytes: Bytes) -> Result<B256, RpcError> {
        self.send_and_watch(bytes).await.map(|(hash, _)| hash)
    }

    /// As [`Forwarder::send`], and tells of its fate.
    pub(crate) async fn send_and_watch(
        &self,
        bytes: Bytes,
    ) -> Result<(B256, oneshot::Receiver<Fate>), RpcError> {
        let terms = self.chain.terms;
        let transaction = Arc::new(Transaction::admit(&bytes, terms.chain)?);
        let rules = Rules {
            chain: terms.chain,
            gas_limit: terms.gas_limit,
            gas_price: terms.gas_price,
            beneficiary: Address::ZERO,
        };
        hedgerow_evm::check(&rules, &transaction)?;
        self.check_roles(&transaction).await?;
        let known = self.pool().known(transaction.sender());
        let next = match known {
            Some(next) => next,
            None => {
                let newest = self.chain.newest();
                let sender = transaction.sender();
                let account = self
                    .chain
                    .account(newest, sender, false, Vec::new())
                    .await?;
                affords(&account, &transaction, terms.gas_price)?;
                account.nonce
            }
        };
        let hash = transaction.hash();
        let fate = {
            let mut pool = self.pool();
            pool.add(Instant::now(), transaction.clone(), bytes, next)?;
            pool.watch(hash)
        };
        // Nobody may listen.
        let _ = self.news.send(transaction);
        self.work.notify_one();
        Ok((hash, fate))
    }

    /// That the sender has the roles that a transaction needs, as far as the network says so now.
    async fn check_roles(&self, transaction: &Transaction) -> Result<(), RpcError> {
        let sender = transaction.sender();
        let needed = transaction.roles().fold(Roles::NONE, Roles::with);
        let network = &*self.chain.network;
        let book = &self.roles;
        let role = book.lacking(network, Subject(sender.0.0), needed).await;
        if role != Roles::NONE {
            return Err(Refusal::NotAllowed { sender, role }.into());
        }
        Ok(())
    }

    /// Has what can be ordered ordered, for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut tick = interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut bundles, mut lookups) = (JoinSet::new(), JoinSet::new());
        loop {
            // An empty pool wakes nobody up.
            let busy = !self.pool().is_empty();
            let second = tokio::select! {
                () = self.work.notified() => false,
                _ = tick.tick(), if busy => true,
                Some(_) = bundles.join_next() => false,
                Some(_) = lookups.join_next() => false,
            };
            if second {
                self.pool().expire(Instant::now());
                let stuck = self.pool().stuck(LOOKED_UP);
                if lookups.is_empty() && !stuck.is_empty() {
                    let forwarder = self.clone();
                    lookups.spawn(async move { forwarder.look_up(stuck).await });
                }
            }
            while let Ok(turn) = self.under_way.clone().try_acquire_owned() {
                let taken = self.pool().take();
                if taken.bundle.is_empty() {
                    break;
                }
                let forwarder = self.clone();
                bundles.spawn(async move {
                    forwarder.deliver(taken).await;
                    drop(turn);
                });
            }
        }
    }

    async fn deliver(&self, taken: Taken) {
        let receipts = match self.chain.network.submit(taken.bundle).await {
            Ok(receipts) => receipts,
            Err(error) => {
                tracing::debug!("transactions are sent again: {error}");
                tokio::time::sleep(PAUSE).await;
                self.pool().unknown(&taken.hashes);
                return;
            }
        };
        let mut doubtful = BTreeSet::new();
        {
            let mut pool = self.pool();
            for (hash, receipt) in taken.hashes.iter().zip(receipts) {
                match receipt {
                    Receipt::Executed { height, .. } => pool.executed(*hash, height),
                    Receipt::Rejected {
                        reason: Rejection::NotExecutable(reason),
                    } => doubtful.extend(pool.refused(*hash, &reason)),
                    other => {
                        tracing::warn!(
                            ?other,
                            "an Ethereum transaction has a receipt of another kind"
                        );
                        doubtful.extend(
                            pool.refused(
                                *hash,
                                "it is not executed as a transaction of Ethereum's",
                            ),
                        );
                    }
                }
            }
        }
        self.look_up(doubtful).await;
    }

    /// Asks the ledger for the numbers of some senders' next transactions.
    async fn look_up(&self, senders: impl IntoIterator<Item = Address>) {
        for sender in senders {
            let newest = self.chain.newest();
            match self.chain.account(newest, sender, false, Vec::new()).await {
                Ok(account) => self.pool().correct(sender, account.nonce),
                Err(error) => {
                    tracing::debug!(%sender, "not looked up: {error}");
                    let next = self.pool().known(sender).unwrap_or_default();
                    self.pool().correct(sender, next);
                }
            }
        }
    }
}

/// Whether the account has what the transaction may cost.
fn affords(
    account: &AccountSummary,
    transaction: &Transaction,
    gas_price: u64,
) -> Result<(), RpcError> {
    let envelope = transaction.envelope();
    let gas = U256::from(envelope.gas_limit()) * U256::from(gas_price);
    let cost = gas.saturating_add(envelope.value());
    if U256::from_be_bytes(account.balance) < cost {
        return Err(Refusal::InsufficientFunds.into());
    }
    Ok(())
}
