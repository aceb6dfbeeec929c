//! A network in memory, on the real ledger: what the gateway's tests and its example stand on.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test uses a part of it"
)]

use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use bytes::Bytes;
use hedgerow_base::{Height, NodeId, Slot, Time};
use hedgerow_chain::{
    AccountAddress, Answer, Attestations, Genesis, Ledger, Member, Query, Request, RoleList,
};
use hedgerow_crypto::{SigningKey, VerifyingKey};
use hedgerow_gateway::{
    Gateway, GatewayConfig, MemberStatus, Network, NetworkStatus, QueryError, SubmitError,
};
use hedgerow_kv::{Entry, KvRead, MemoryStore, StoreError, Table};
use hedgerow_proofs::{Attestation, TrustRoot};
use hedgerow_records::{
    Algorithm, Bundle, DeviceId, Name, Receipt, Roles, Subject, Transaction, VERSION, Vote,
};
use hedgerow_signer::{DeviceKey, RecordBuilder, reading, register};
use hedgerow_wire::{Blob, List};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::watch,
    task::block_in_place,
};

pub const NETWORK: u64 = 4711;

/// Four validators that are always right, and a switch that cuts them off.
pub struct Fake {
    ledger: Mutex<Ledger<MemoryStore>>,
    attestations: Mutex<Attestations>,
    keys: Vec<SigningKey>,
    slot: AtomicU64,
    stalled: watch::Sender<bool>,
    attested: watch::Sender<Height>,
    pub requests: AtomicU64,
    pub hide_certificates: AtomicBool,
}

fn key(index: u8) -> SigningKey {
    SigningKey::from_seed([index + 1; 32])
}

fn member(name: &str, index: u8) -> Member {
    Member {
        name: name.into(),
        key: key(index).verifying_key().0,
        mac_key: [index + 101; 32],
    }
}

pub fn genesis() -> Genesis {
    Genesis {
        network: NETWORK,
        name: "test".into(),
        time: 1_700_000_000_000,
        validators: (0..4)
            .map(|index| member(&format!("v{index}"), index))
            .collect(),
        gateways: vec![member("gateway", 4)],
        ordering: hedgerow_chain::Ordering {
            consensus: "pbft".into(),
            checkpoint_interval: 128,
            options: Default::default(),
        },
        contracts: Default::default(),
        roles: Default::default(),
    }
}

impl Fake {
    pub fn new() -> Arc<Self> {
        Self::of(genesis(), (0..5).map(key).collect())
    }

    /// As [`Fake::new`], where only the members have roles, and an account that may call.
    pub fn closed(account: [u8; 20]) -> Arc<Self> {
        let mut genesis = genesis();
        genesis.roles.everyone = RoleList(Roles::NONE);
        let accounts = &mut genesis.roles.accounts;
        accounts.insert(AccountAddress(account), RoleList(Roles::CALL));
        Self::of(genesis, (0..5).map(key).collect())
    }

    /// Of any network, given its members' keys.
    pub fn of(genesis: Genesis, keys: Vec<SigningKey>) -> Arc<Self> {
        let ledger = Ledger::open(MemoryStore::new(), genesis).unwrap();
        let attestations = Attestations::new(ledger.trust_root().clone());
        Arc::new(Self {
            ledger: Mutex::new(ledger),
            attestations: Mutex::new(attestations),
            keys,
            slot: AtomicU64::new(1),
            stalled: watch::Sender::new(false),
            attested: watch::Sender::new(Height::ZERO),
            requests: AtomicU64::new(0),
            hide_certificates: AtomicBool::new(false),
        })
    }

    pub fn stall(&self, stalled: bool) {
        self.stalled.send_replace(stalled);
    }

    pub fn ledger(&self) -> MutexGuard<'_, Ledger<MemoryStore>> {
        self.ledger.lock().unwrap()
    }

    pub fn trust(&self) -> TrustRoot {
        self.ledger().trust_root().clone()
    }

    /// Executes the transactions as one block, final and certified.
    pub fn execute(&self, bundle: Vec<Bytes>) -> Vec<Receipt> {
        let blobs = bundle
            .iter()
            .map(|bytes| Blob::new(bytes.to_vec()).unwrap())
            .collect();
        let operation = Bundle {
            transactions: List::new(blobs).unwrap(),
        }
        .to_bytes()
        .into();
        let mut ledger = self.ledger();
        let number = self.slot.fetch_add(1, Ordering::SeqCst);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let request = Request {
            client: NodeId(4),
            number,
            operation,
        };
        let done = ledger
            .execute(Slot(number), Time(since.as_nanos() as u64), &[request])
            .unwrap()
            .unwrap();
        let height = done.header.height;
        ledger.stable(height).unwrap();
        let genesis = ledger.trust_root().genesis;
        let mut attestations = self.attestations.lock().unwrap();
        for validator in 0..2 {
            let key = &self.keys[validator as usize];
            let attestation =
                Attestation::sign(&genesis, height, done.hash, NodeId(validator), key);
            attestations.add(&attestation).unwrap();
        }
        let certificate = attestations.certificate(&done.header).unwrap();
        ledger.certify(certificate).unwrap().unwrap();
        attestations.forget_below(height);
        self.attested.send_replace(height);
        done.receipts[0].0.clone().into_vec()
    }

    /// Makes a device known.
    pub fn register(&self, name: &str, device: &DeviceKey) {
        let receipts = self.execute(vec![self.registration(name, device)]);
        assert!(
            matches!(receipts[..], [Receipt::Registered { .. }]),
            "{receipts:?}"
        );
    }

    pub fn registration(&self, name: &str, device: &DeviceKey) -> Bytes {
        let name = Name::new(name).unwrap();
        let transaction = register(
            NETWORK,
            name,
            *device.public_key(),
            None,
            NodeId(4),
            &self.keys[4],
        )
        .unwrap();
        transaction.to_bytes().into()
    }

    /// A validator's vote, as a transaction.
    pub fn vote(&self, validator: u32, epoch: u64, protocol: &str) -> Bytes {
        let vote = Vote {
            version: VERSION,
            genesis: self.ledger().genesis().digest(),
            epoch,
            protocol: protocol.parse().unwrap(),
            validator: NodeId(validator),
        };
        let signed = vote.sign(&self.keys[validator as usize]);
        Transaction::Vote(signed).to_bytes().into()
    }

    /// How many readings the stream has.
    pub fn length(&self, stream: &str) -> u64 {
        match self
            .ledger()
            .query(&Query::Stream(stream.parse().unwrap()))
            .unwrap()
        {
            Answer::Stream(stream) => stream.length,
            _ => 0,
        }
    }
}

/// The ledger's store, taken anew for each read.
struct Store<'a>(&'a Fake);

impl KvRead for Store<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.ledger().store().get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.0.ledger().store().scan(table, from, to, limit)
    }
}

#[async_trait]
impl Network for Fake {
    async fn submit(&self, bundle: Vec<Bytes>) -> Result<Vec<Receipt>, SubmitError> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let mut stalled = self.stalled.subscribe();
        if *stalled.borrow_and_update() {
            // As a client of the protocol does: it goes on trying for a while.
            let back = stalled.wait_for(|stalled| !*stalled);
            if tokio::time::timeout(Duration::from_secs(1), back)
                .await
                .is_err()
            {
                return Err(SubmitError::Unavailable(
                    "2 of 4 validators unreachable: need 3".into(),
                ));
            }
        }
        Ok(self.execute(bundle))
    }

    async fn query(&self, query: Query) -> Result<Answer, QueryError> {
        if self.hide_certificates.load(Ordering::SeqCst) && matches!(query, Query::Prove { .. }) {
            return Ok(Answer::NotYetFinal {
                certified: Height::ZERO,
            });
        }
        // As validators do: a call of a contract runs apart, and holds nobody back.
        let Query::Contracts(question) = &query else {
            return Ok(self.ledger().query(&query).unwrap());
        };
        let run = || {
            let moment = self.ledger().moment(question);
            let answer = moment.unwrap().answer(question, &Store(self));
            Ok(Answer::Contracts(answer.unwrap()))
        };
        match Handle::current().runtime_flavor() {
            RuntimeFlavor::MultiThread if query.is_call() => block_in_place(run),
            _ => run(),
        }
    }

    fn attested(&self) -> watch::Receiver<Height> {
        self.attested.subscribe()
    }

    fn status(&self) -> NetworkStatus {
        let ledger = self.ledger();
        let (head, genesis) = (ledger.head().header.height.0, ledger.genesis());
        let stalled = *self.stalled.borrow();
        NetworkStatus {
            consensus: "pbft".into(),
            protocol: "pbft".into(),
            switched_ms: None,
            switch_cause: None,
            network: genesis.network,
            name: genesis.name.clone(),
            node: "gateway".into(),
            members: (0..)
                .zip(genesis.validators.iter().chain(&genesis.gateways))
                .map(|(id, member)| MemberStatus {
                    id,
                    name: member.name.clone(),
                    role: if (id as usize) < genesis.validators.len() {
                        "validator"
                    } else {
                        "gateway"
                    }
                    .into(),
                    subject: Subject::of_member(&VerifyingKey(member.key)).to_string(),
                    ..MemberStatus::default()
                })
                .collect(),
            head_height: head,
            attested_height: head,
            view: 0,
            phase: "client".to_owned(),
            stalled: stalled.then(|| "2 of 4 validators unreachable: need 3".into()),
        }
    }
}

pub fn device(algorithm: Algorithm, seed: u8) -> DeviceKey {
    DeviceKey::generate(algorithm, |bytes| bytes.fill(seed)).unwrap()
}

/// A signed record with one JSON reading.
pub fn record(device: &DeviceKey, stream: &str, sequence: u64) -> Vec<u8> {
    let mut record = RecordBuilder::new(NETWORK, device.device_id(), stream.parse().unwrap());
    let payload = format!("{{\"celsius\":{}.5}}", sequence % 40);
    let time = 1_700_000_000_000 + sequence * 1000;
    record
        .push(reading(sequence, time, "application/json", payload.as_bytes()).unwrap())
        .unwrap();
    record.sign(device).unwrap()
}

pub fn hex_of(device: DeviceId) -> String {
    device.to_string().trim_start_matches("0x").to_owned()
}

/// Any free ports.
pub fn config() -> GatewayConfig {
    let mut config = GatewayConfig::default();
    config.mqtt.listen = Some(([127, 0, 0, 1], 0).into());
    config.http.listen = Some(([127, 0, 0, 1], 0).into());
    config
}

pub async fn start(config: &GatewayConfig, data: &Path, network: &Arc<Fake>) -> Gateway {
    Gateway::start(config, data, network.clone(), None)
        .await
        .unwrap()
}

/// Waits for something that another task brings about; says what it waited for when it does not come.
pub async fn until(what: &str, mut there: impl FnMut() -> bool) {
    let start = tokio::time::Instant::now();
    while !there() {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "waited for: {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
