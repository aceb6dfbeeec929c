use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use hedgerow_base::{Height, NodeId};
use hedgerow_chain::{Answer, Genesis, Query};
use hedgerow_crypto::VerifyingKey;
use hedgerow_gateway::{MemberStatus, Network, NetworkStatus, QueryError, SubmitError};
use hedgerow_ordering::{Phase, Snapshot};
use hedgerow_proofs::{Proof, TrustRoot};
use hedgerow_records::{Bundle, Receipt, Subject};
use hedgerow_store::DiskStore;
use hedgerow_transport::Transport;
use hedgerow_wire::{Blob, List, encode};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use crate::{
    cause::{Seen, unreachable},
    executor::Shared,
    invocations::{Invocations, Refused},
    link::{Answers, LinkHandle},
    ordering::Participant,
    reply,
};

/// How long a question to the validators may take in all.
const QUESTION: Duration = Duration::from_secs(10);
/// How long to wait for answers before asking again.
const ROUND: Duration = Duration::from_millis(400);
/// As long as that where a contract runs for the answer.
const CALL_ROUND: Duration = Duration::from_secs(5);
/// How long one validator may take to prove something before all are asked.
const ALONE: Duration = Duration::from_millis(300);

/// What a member's node knows of the network: how it takes part, and its sessions.
pub(crate) struct Member {
    pub(crate) me: NodeId,
    pub(crate) name: String,
    pub(crate) genesis: Genesis,
    pub(crate) trust: TrustRoot,
    pub(crate) transport: Transport,
    pub(crate) participant: Arc<dyn Participant>,
    pub(crate) link: LinkHandle,
    pub(crate) seat: SeatState,
}

/// What a member has because of its seat.
pub(crate) enum SeatState {
    /// A validator has the ledger.
    Validator(Shared<DiskStore>),
    /// A gateway asks for things.
    Gateway(Invocations),
}

impl Member {
    fn validators(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.genesis.validators.len() as u32).map(NodeId)
    }

    fn unavailable(&self) -> String {
        self.cause(&self.participant.snapshot()).unwrap_or_else(|| {
            "the validators' answers differ or do not come; ask again".to_owned()
        })
    }

    /// Why nothing becomes final, when that is so.
    fn cause(&self, snapshot: &Snapshot) -> Option<String> {
        let roster = self.genesis.roster().ok()?;
        let sessions: BTreeMap<_, _> = self
            .transport
            .status()
            .into_iter()
            .map(|session| (session.id, session))
            .collect();
        let seen: Vec<_> = (0..)
            .map(NodeId)
            .zip(&self.genesis.validators)
            .map(|(id, validator)| {
                let session = sessions.get(&id);
                Seen {
                    name: validator.name.clone(),
                    reachable: id == self.me || session.is_some_and(|session| session.connected),
                    silent_for: session.and_then(|session| session.last_heard),
                }
            })
            .collect();
        if let Some(cause) = unreachable(roster, &seen) {
            return Some(cause);
        }
        let name = |id: NodeId| {
            self.genesis
                .member(id)
                .map_or("?", |(_, member)| member.name.as_str())
        };
        match snapshot.phase {
            Phase::ViewChange => Some(format!(
                "the validators are choosing a new primary: view {}, primary {}",
                snapshot.view,
                name(snapshot.primary)
            )),
            Phase::Starting => Some(format!(
                "this validator has just started and asks the others what it said before; {} of {} heard",
                snapshot.heard.len(),
                roster.quorum()
            )),
            Phase::Rejoining => Some(format!(
                "this validator's disk does not hold all that it said before: it learns what was decided, at slot {} \
                 by now, and counts as failed until it has all",
                snapshot.decided
            )),
            Phase::Transfer => Some(format!(
                "this validator is behind and fetches what it missed: it has executed slot {}",
                snapshot.executed
            )),
            Phase::Normal | Phase::Client => None,
        }
    }

    fn height(&self) -> Height {
        match &self.seat {
            SeatState::Validator(ledger) => ledger.lock().head().stable,
            SeatState::Gateway(_) => self.link.certified(),
        }
    }

    /// Takes the answer that f + 1 validators give alike: one of them is correct. Each must have the newest certified
    /// block, so a stale answer needs f + 1 liars.
    async fn agreed(&self, query: &Query) -> Result<Answer, QueryError> {
        let deadline = Instant::now() + QUESTION;
        let bytes = query.to_bytes();
        while Instant::now() < deadline {
            let mut asked = self
                .link
                .ask(self.validators(), self.link.certified(), &bytes);
            let patience = if query.is_call() { CALL_ROUND } else { ROUND };
            if let Some(answer) = self.round(&mut asked, patience).await {
                return Ok(answer);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(QueryError::Unavailable(self.unavailable()))
    }

    async fn round(&self, asked: &mut Answers, patience: Duration) -> Option<Answer> {
        let until = Instant::now() + patience;
        let mut voters: BTreeMap<Vec<u8>, BTreeSet<NodeId>> = BTreeMap::new();
        let mut heard = BTreeSet::new();
        while heard.len() < self.genesis.validators.len()
            && let Ok(Some((from, answer))) = timeout_at(until, asked.answers.recv()).await
        {
            if !heard.insert(from) || from.index() >= self.genesis.validators.len() {
                continue;
            }
            let Some(answer) = answer else { continue };
            let voters = voters.entry(answer.clone()).or_default();
            voters.insert(from);
            if voters.len() >= self.trust.threshold() {
                return Answer::from_bytes(&answer).ok();
            }
        }
        None
    }

    /// A proof needs no second opinion: the first that verifies is taken.
    async fn proved(&self, query: &Query) -> Result<Answer, QueryError> {
        let bytes = query.to_bytes();
        let deadline = Instant::now() + QUESTION;
        let n = self.genesis.validators.len() as u64;
        let mut first = u64::from(hedgerow_crypto::hash(&bytes).0[0]);
        while Instant::now() < deadline {
            let least = self.link.certified();
            let one = NodeId((first % n) as u32);
            let mut asked = self.link.ask([one], least, &bytes);
            if let Ok(Some((_, Some(answer)))) =
                timeout_at(Instant::now() + ALONE, asked.answers.recv()).await
                && let Ok(Answer::Proof(proof)) = Answer::from_bytes(&answer)
                && self.holds(&proof)
            {
                return Ok(Answer::Proof(proof));
            }
            let mut asked = self.link.ask(self.validators(), least, &bytes);
            if let Some(answer) = self.first_proof(&mut asked).await {
                return Ok(answer);
            }
            first += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(QueryError::Unavailable(self.unavailable()))
    }

    fn holds(&self, proof: &[u8]) -> bool {
        Proof::from_bytes(proof).is_ok_and(|proof| proof.verify(&self.trust).is_ok())
    }

    /// The first proof that verifies, or what f + 1 validators say alike instead.
    async fn first_proof(&self, asked: &mut Answers) -> Option<Answer> {
        let until = Instant::now() + ROUND;
        let mut others: BTreeMap<Vec<u8>, BTreeSet<NodeId>> = BTreeMap::new();
        while let Ok(Some((from, answer))) = timeout_at(until, asked.answers.recv()).await {
            let Some(bytes) = answer else { continue };
            match Answer::from_bytes(&bytes) {
                Ok(Answer::Proof(proof)) if self.holds(&proof) => {
                    return Some(Answer::Proof(proof));
                }
                Ok(Answer::Proof(_)) | Err(_) => {}
                Ok(answer) => {
                    let voters = others.entry(bytes).or_default();
                    voters.insert(from);
                    if voters.len() >= self.trust.threshold() {
                        return Some(answer);
                    }
                }
            }
        }
        None
    }
}

#[async_trait]
impl Network for Member {
    async fn submit(&self, bundle: Vec<Bytes>) -> Result<Vec<Receipt>, SubmitError> {
        let SeatState::Gateway(invocations) = &self.seat else {
            return Err(SubmitError::Unavailable(
                "this node is a validator: send records to a gateway".to_owned(),
            ));
        };
        let count = bundle.len();
        let transactions = bundle.iter().map(|bytes| Blob::new(bytes.to_vec()));
        let transactions: Result<Vec<_>, _> = transactions.collect();
        let transactions = transactions.and_then(List::new);
        let transactions =
            transactions.map_err(|error| SubmitError::Unavailable(error.to_string()))?;
        let operation = Bytes::from(encode(&Bundle { transactions }));
        let completed = invocations.invoke(&*self.participant, operation);
        let completed = completed.map_err(|refused| match refused {
            Refused::Busy => SubmitError::Busy,
            Refused::Stopped => SubmitError::ShuttingDown,
        })?;
        let reply = completed.await.map_err(|_| SubmitError::ShuttingDown)?;
        let (height, receipts) = reply::decode(&reply).map_err(|error| {
            SubmitError::Unavailable(format!("f + 1 validators replied nonsense: {error}"))
        })?;
        if receipts.len() != count {
            let problem = format!("{} receipts for {count} transactions", receipts.len());
            return Err(SubmitError::Unavailable(problem));
        }
        if self.link.certified_at(height).await < height {
            return Err(SubmitError::ShuttingDown);
        }
        Ok(receipts)
    }

    async fn query(&self, query: Query) -> Result<Answer, QueryError> {
        if let SeatState::Validator(ledger) = &self.seat {
            let ledger = ledger.clone();
            // A call of a contract may take long.
            let answer = tokio::task::spawn_blocking(move || ledger.answer(&query)).await;
            let answer = answer.map_err(|_| QueryError::ShuttingDown)?;
            return answer.map_err(|error| QueryError::Unavailable(error.to_string()));
        }
        match query {
            Query::Prove { .. } => self.proved(&query).await,
            _ => self.agreed(&query).await,
        }
    }

    fn attested(&self) -> watch::Receiver<Height> {
        self.link.attested()
    }

    fn status(&self) -> NetworkStatus {
        let snapshot = self.participant.snapshot();
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let sessions: BTreeMap<_, _> = self
            .transport
            .status()
            .into_iter()
            .map(|session| (session.id, session))
            .collect();
        let heights = self.link.heights();
        let members = (0..self.genesis.members() as u32)
            .map(NodeId)
            .filter_map(|id| {
                let (_, member) = self.genesis.member(id)?;
                let validator = id.index() < self.genesis.validators.len();
                let session = sessions.get(&id);
                let mine = id == self.me;
                let silence = session.and_then(|session| session.last_heard);
                Some(MemberStatus {
                    id: id.0,
                    name: member.name.clone(),
                    role: if validator { "validator" } else { "gateway" }.to_owned(),
                    subject: Subject::of_member(&VerifyingKey(member.key)).to_string(),
                    reachable: mine || session.is_some_and(|session| session.connected),
                    last_heard_ms: silence
                        .map(|silence| now.saturating_sub(silence))
                        .or_else(|| mine.then_some(now))
                        .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
                    height: if mine {
                        Some(self.height().0)
                    } else {
                        heights.get(&id).map(|height| height.0)
                    },
                })
            });
        NetworkStatus {
            network: self.genesis.network,
            name: self.genesis.name.clone(),
            node: self.name.clone(),
            members: members.collect(),
            head_height: self.height().0,
            attested_height: self.link.certified().0,
            view: snapshot.view.0,
            consensus: snapshot.consensus.to_owned(),
            protocol: snapshot.protocol.to_owned(),
            switched_ms: snapshot.switched.map(|(time, _)| time.as_millis()),
            switch_cause: snapshot.switched.map(|(_, cause)| cause.to_owned()),
            phase: snapshot.phase.as_str().to_owned(),
            stalled: self.cause(&snapshot),
        }
    }
}
