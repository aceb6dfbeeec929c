//! From the spool to the network, and the receipts back to the devices.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hedgerow_base::Lsn;
use hedgerow_chain::{Answer, DeviceRef, Query};
use hedgerow_records::{DeviceId, MAX_TRANSACTIONS, Name, Receipt, StreamName, Transaction};
use serde_json::{Value, json};
use tokio::{
    sync::{Mutex, Semaphore},
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

use crate::{
    Network, SubmitError,
    mqtt::MqttHandle,
    outcome::{self, Outcome, Outcomes},
    spool::{Spool, Waiting},
};

/// How bundles are made and sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Bundles on their way at a time.
    pub(crate) in_flight: usize,
    /// Transactions of a bundle.
    pub(crate) bundle_transactions: usize,
    /// Bytes of a bundle.
    pub(crate) bundle_bytes: usize,
    /// How long to wait for a proof before a device is told without one.
    pub(crate) proof_wait: Duration,
    /// Whether devices that listen get proofs with their receipts.
    pub(crate) proofs: bool,
}

/// The first pause after the network did not answer; it doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Device names that are remembered: proofs are asked for by name.
const NAMES: usize = 4096;

/// Proofs that are asked for at a time.
const PROOFS_AT_A_TIME: usize = 16;

/// Receipts that may wait for their proofs; further ones go out without.
const PROOFS_WAITING: usize = 4096;

pub(crate) struct Forwarder {
    pub(crate) network: Arc<dyn Network>,
    pub(crate) spool: Spool,
    pub(crate) outcomes: Arc<Outcomes>,
    pub(crate) mqtt: Option<MqttHandle>,
    pub(crate) pace: Pace,
    pub(crate) names: Mutex<BTreeMap<DeviceId, Name>>,
    pub(crate) proving: Semaphore,
    pub(crate) waiting_for_proofs: Semaphore,
}

impl Forwarder {
    pub(crate) fn new(
        network: Arc<dyn Network>,
        spool: Spool,
        outcomes: Arc<Outcomes>,
        mqtt: Option<MqttHandle>,
        pace: Pace,
    ) -> Self {
        Self {
            network,
            spool,
            outcomes,
            mqtt,
            pace,
            names: Mutex::default(),
            proving: Semaphore::new(PROOFS_AT_A_TIME),
            waiting_for_proofs: Semaphore::new(PROOFS_WAITING),
        }
    }

    /// Runs until it is dropped. While a place is free, whatever has come goes out at once; while none is, it
    /// gathers, so that bundles grow with the load and no timer is needed.
    pub(crate) async fn run(self: Arc<Self>) {
        let places = Arc::new(Semaphore::new(self.pace.in_flight));
        let mut tasks = JoinSet::new();
        loop {
            while tasks.try_join_next().is_some() {}
            let Ok(place) = places.clone().acquire_owned().await else {
                return;
            };
            let count = self.pace.bundle_transactions.min(MAX_TRANSACTIONS);
            let bundle = self.spool.take(count, self.pace.bundle_bytes).await;
            let forwarder = self.clone();
            tasks.spawn(async move {
                let receipts = forwarder.submit(&bundle).await;
                drop(place);
                forwarder.settle(bundle, receipts).await;
            });
        }
    }

    async fn submit(&self, bundle: &[Waiting]) -> Vec<Receipt> {
        let mut pause = RETRY_MIN;
        let started = Instant::now();
        loop {
            let transactions: Vec<Bytes> = bundle
                .iter()
                .map(|waiting| waiting.transaction.clone())
                .collect();
            metrics::counter!("gateway.forward.requests").increment(1);
            match self.network.submit(transactions).await {
                Ok(receipts) if receipts.len() == bundle.len() => {
                    metrics::histogram!("gateway.forward.seconds")
                        .record(started.elapsed().as_secs_f64());
                    return receipts;
                }
                Ok(receipts) => {
                    // Not one per transaction: the request as a whole was refused, which is our bug, not theirs.
                    let (got, expected) = (receipts.len(), bundle.len());
                    tracing::error!(
                        got,
                        expected,
                        "the network's receipts do not fit the bundle; sending it again"
                    );
                }
                Err(error) => {
                    metrics::counter!("gateway.forward.failures").increment(1);
                    if pause > RETRY_MIN || !matches!(error, SubmitError::Busy) {
                        tracing::warn!(%error, waiting = self.spool.backlog(), "forwarding is delayed");
                    }
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    async fn settle(self: Arc<Self>, bundle: Vec<Waiting>, receipts: Vec<Receipt>) {
        let places: Vec<Lsn> = bundle.iter().map(|waiting| waiting.lsn).collect();
        self.spool.finished(&places);
        let mut told = Vec::new();
        for (waiting, receipt) in bundle.into_iter().zip(receipts) {
            let status = match &receipt {
                Receipt::Rejected { .. } => "rejected",
                Receipt::Recorded { .. }
                | Receipt::Registered { .. }
                | Receipt::Voted { .. }
                | Receipt::RoleVoted { .. }
                | Receipt::Executed { .. } => "final",
            };
            metrics::counter!("gateway.records", "status" => status).increment(1);
            self.outcomes
                .finished(Transaction::digest(&waiting.transaction), &receipt);
            if let Ok(Transaction::Record(signed)) = Transaction::from_bytes(&waiting.transaction)
                && let Ok(record) = signed.record()
            {
                let sequence = record
                    .readings
                    .first()
                    .map_or(0, |reading| reading.sequence);
                told.push((
                    record.device,
                    record.stream,
                    sequence,
                    waiting.transaction,
                    receipt,
                ));
            }
        }
        let Some(mqtt) = &self.mqtt else { return };
        let devices = told.iter().map(|(device, ..)| *device).collect();
        let listening = mqtt.listening(devices).await;
        let mut tasks = JoinSet::new();
        for ((device, stream, sequence, transaction, receipt), listens) in
            told.into_iter().zip(listening)
        {
            if !listens {
                continue;
            }
            let (forwarder, mqtt) = (self.clone(), mqtt.clone());
            tasks.spawn(async move {
                let message = forwarder
                    .message(device, &stream, sequence, &transaction, receipt)
                    .await;
                mqtt.tell(device, &message).await;
            });
        }
        while tasks.join_next().await.is_some() {}
    }

    /// What a device is told about its record.
    async fn message(
        &self,
        device: DeviceId,
        stream: &Name,
        sequence: u64,
        transaction: &[u8],
        receipt: Receipt,
    ) -> Value {
        let mut fields = outcome::describe(transaction);
        let recorded = matches!(receipt, Receipt::Recorded { .. });
        outcome::add_outcome(&mut fields, &Outcome::Final(receipt));
        if recorded && let Some(name) = self.name(device).await {
            let stream = StreamName {
                device: name,
                stream: stream.clone(),
            };
            fields.insert("stream".into(), stream.to_string().into());
            if self.pace.proofs {
                let proof = self.proof(&stream, sequence).await;
                fields.insert(
                    "proof".into(),
                    proof.map_or(Value::Null, |proof| json!(STANDARD.encode(proof))),
                );
            }
        }
        Value::Object(fields)
    }

    async fn name(&self, device: DeviceId) -> Option<Name> {
        if let Some(name) = self.names.lock().await.get(&device) {
            return Some(name.clone());
        }
        let Ok(Answer::Device(summary)) = self
            .network
            .query(Query::Device(DeviceRef::Id(device)))
            .await
        else {
            return None;
        };
        let mut names = self.names.lock().await;
        if names.len() >= NAMES {
            names.clear(); // they come back as they are needed
        }
        names.insert(device, summary.name.clone());
        Some(summary.name)
    }

    /// The proof, as soon as enough validators have signed the block.
    async fn proof(&self, stream: &StreamName, sequence: u64) -> Option<Vec<u8>> {
        let _place = self.waiting_for_proofs.try_acquire().ok()?;
        let give_up = Instant::now() + self.pace.proof_wait;
        let _turn = timeout_at(give_up, self.proving.acquire())
            .await
            .ok()?
            .ok()?;
        let mut pause = Duration::from_millis(5);
        loop {
            match self.network.prove(stream, sequence).await {
                Ok(Answer::Proof(proof)) => return Some(proof.into_vec()),
                Ok(Answer::NotYetFinal { .. }) | Err(_) if Instant::now() + pause < give_up => {}
                _ => return None,
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }
}
