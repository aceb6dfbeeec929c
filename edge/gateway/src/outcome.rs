use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use hedgerow_base::Digest;
use hedgerow_records::{
    Motion, Receipt, Rejection, SignedRecord, SignedRoleVote, SignedVote, Transaction,
};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

/// What became of a transaction so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is durable here and will be forwarded.
    Accepted,
    /// It is final.
    Final(Receipt),
}

/// What is known about recent transactions, by digest, within a bound: the oldest are forgotten first.
pub(crate) struct Outcomes {
    inner: Mutex<Inner>,
    max: usize,
}

#[derive(Default)]
struct Inner {
    known: BTreeMap<Digest, Outcome>,
    order: VecDeque<Digest>,
    waiters: BTreeMap<Digest, Vec<oneshot::Sender<Receipt>>>,
}

impl Outcomes {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            inner: Mutex::default(),
            max,
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, id: &Digest) -> Option<Outcome> {
        self.inner().known.get(id).cloned()
    }

    pub(crate) fn accepted(&self, id: Digest) {
        self.put(id, Outcome::Accepted);
    }

    pub(crate) fn finished(&self, id: Digest, receipt: &Receipt) {
        self.put(id, Outcome::Final(receipt.clone()));
        let waiters = self.inner().waiters.remove(&id).unwrap_or_default();
        for waiter in waiters {
            let _ = waiter.send(receipt.clone());
        }
    }

    fn put(&self, id: Digest, outcome: Outcome) {
        let mut inner = self.inner();
        // A repetition of what is final stays final in the books until its own receipt comes.
        if outcome == Outcome::Accepted && inner.known.contains_key(&id) {
            return;
        }
        if inner.known.insert(id, outcome).is_none() {
            inner.order.push_back(id);
        }
        while inner.order.len() > self.max {
            if let Some(old) = inner.order.pop_front() {
                inner.known.remove(&old);
            }
        }
    }

    /// Nobody waits for it any more: it was not stored.
    pub(crate) fn forget_waiters(&self, id: &Digest) {
        let mut inner = self.inner();
        if let Some(waiters) = inner.waiters.get_mut(id) {
            waiters.retain(|waiter| !waiter.is_closed());
            if waiters.is_empty() {
                inner.waiters.remove(id);
            }
        }
    }

    /// Resolves when the transaction is final. Dropped waiters are cleaned up with the transaction's receipt.
    pub(crate) fn wait(&self, id: Digest) -> oneshot::Receiver<Receipt> {
        let (sender, receiver) = oneshot::channel();
        let mut inner = self.inner();
        let waiters = inner.waiters.entry(id).or_default();
        waiters.retain(|waiter| !waiter.is_closed());
        waiters.push(sender);
        receiver
    }
}

/// The name of a transaction in URLs and messages.
pub(crate) fn id_text(id: &Digest) -> String {
    format!("0x{id}")
}

/// What a record or a vote says about itself, for messages about it.
pub(crate) fn describe(transaction: &[u8]) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert(
        "id".into(),
        id_text(&Transaction::digest(transaction)).into(),
    );
    match Transaction::from_bytes(transaction) {
        Ok(Transaction::Record(signed)) => describe_record(&signed, &mut fields),
        Ok(Transaction::Vote(signed)) => describe_vote(&signed, &mut fields),
        Ok(Transaction::RoleVote(signed)) => describe_role_vote(&signed, &mut fields),
        Ok(Transaction::Register(_)) | Err(_) => {}
    }
    fields
}

fn describe_record(signed: &SignedRecord, fields: &mut Map<String, Value>) {
    let Ok(record) = signed.record() else { return };
    fields.insert("device".into(), record.device.to_string().into());
    fields.insert("stream".into(), record.stream.as_str().into());
    if let Some(first) = record.readings.first() {
        fields.insert("sequence".into(), first.sequence.into());
    }
    if record.readings.len() > 1 {
        let sequences: Vec<u64> = record
            .readings
            .iter()
            .map(|reading| reading.sequence)
            .collect();
        fields.insert("sequences".into(), sequences.into());
    }
}

fn describe_vote(signed: &SignedVote, fields: &mut Map<String, Value>) {
    let Ok(vote) = signed.vote() else { return };
    fields.insert("protocol".into(), vote.protocol.as_str().into());
    fields.insert("epoch".into(), vote.epoch.into());
}

fn describe_role_vote(signed: &SignedRoleVote, fields: &mut Map<String, Value>) {
    let Ok(vote) = signed.vote() else { return };
    let Motion {
        subject,
        round,
        roles,
    } = vote.motion;
    fields.insert("subject".into(), subject.to_string().into());
    fields.insert("round".into(), round.into());
    fields.insert("roles".into(), roles.names().collect::<Vec<_>>().into());
    fields.insert("approves".into(), vote.approves.into());
}

/// Adds the outcome to a message about a transaction.
pub(crate) fn add_outcome(fields: &mut Map<String, Value>, outcome: &Outcome) {
    let (status, more) = match outcome {
        Outcome::Accepted => ("accepted", json!({})),
        Outcome::Final(Receipt::Registered { device }) => {
            ("final", json!({"device": device.to_string()}))
        }
        Outcome::Final(Receipt::Recorded {
            height,
            first_position,
            appended,
            duplicates,
            stream,
        }) => (
            "final",
            json!({
                "block": height.0, "position": first_position, "appended": appended, "duplicates": duplicates,
                "stream_id": format!("0x{stream}"),
            }),
        ),
        Outcome::Final(Receipt::Voted {
            proposal,
            height,
            votes,
            needed,
            began,
        }) => (
            "final",
            json!({
                "proposal": id_text(proposal), "block": height.0, "votes": votes, "needed": needed, "began": began,
            }),
        ),
        Outcome::Final(Receipt::Executed {
            height,
            success,
            gas_used,
        }) => (
            "final",
            json!({"block": height.0, "success": success, "gas_used": gas_used}),
        ),
        Outcome::Final(Receipt::RoleVoted {
            motion,
            height,
            votes,
            needed,
            decided,
        }) => (
            "final",
            json!({
                "motion": id_text(motion), "block": height.0, "votes": votes, "needed": needed, "decided": decided,
            }),
        ),
        Outcome::Final(Receipt::Rejected { reason }) => (
            "rejected",
            json!({"reason": reason.to_string(), "code": rejection_code(reason)}),
        ),
    };
    fields.insert("status".into(), status.into());
    if let Value::Object(more) = more {
        fields.extend(more);
    }
}

/// A short name of a rejection, for programs.
pub(crate) const fn rejection_code(rejection: &Rejection) -> &'static str {
    match rejection {
        Rejection::NotABundle => "not-a-bundle",
        Rejection::Malformed => "malformed",
        Rejection::Empty => "empty",
        Rejection::UnknownVersion { .. } => "unknown-version",
        Rejection::WrongNetwork { .. } => "wrong-network",
        Rejection::UnknownDevice { .. } => "unknown-device",
        Rejection::WrongAlgorithm { .. } => "wrong-algorithm",
        Rejection::BadSignature => "bad-signature",
        Rejection::Conflict { .. } => "conflict",
        Rejection::TooManyGaps { .. } => "too-many-gaps",
        Rejection::NotAMember { .. } => "not-a-member",
        Rejection::NameTaken { .. } => "name-taken",
        Rejection::AlreadyRegistered { .. } => "already-registered",
        Rejection::BadPublicKey { .. } => "bad-public-key",
        Rejection::WrongGenesis { .. } => "wrong-genesis",
        Rejection::NotAValidator { .. } => "not-a-validator",
        Rejection::WrongEpoch { .. } => "wrong-epoch",
        Rejection::EpochJustBegan { .. } => "epoch-just-began",
        Rejection::OrdersAlready { .. } => "orders-already",
        Rejection::TooManyVotes { .. } => "too-many-votes",
        Rejection::NotExecutable(_) => "not-executable",
        Rejection::NotAllowed { .. } => "not-allowed",
        Rejection::WrongRound { .. } => "wrong-round",
        Rejection::HasTheseRoles { .. } => "has-these-roles",
        Rejection::ValidatorsStay => "validators-stay",
        Rejection::TooManyMotions { .. } => "too-many-motions",
        Rejection::NotVoted => "not-voted",
    }
}
