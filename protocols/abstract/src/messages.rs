use alloc::{sync::Arc, vec::Vec};

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use hedgerow_base::{Digest, NodeId, Slot};
use hedgerow_crypto::{Domain, Sealed};
use hedgerow_ordering::{MAX_BATCH, MAX_OPERATION, Operation};
use hedgerow_wire::List;

use crate::{composition::Instance, history::Point};

/// How many slots may be without a checkpoint, whatever a configuration says.
pub const MAX_HISTORY: usize = 512;
/// How many bytes a frame may have.
pub const MAX_FRAME: usize = 8 << 20;
/// How many slots one question may ask for.
pub const MAX_FETCH: u64 = 64;

/// What a client wants executed (REQ). Its seal names the client. It is for any instance: a client says it until it is
/// committed.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Request {
    /// The client's own number for it; a client uses each once.
    pub number: u64,
    /// The client's time in milliseconds since the Unix epoch: the batch's where no primary gives one.
    pub time_ms: u64,
    /// What to execute.
    pub operation: Bytes,
}

impl Domain for Request {
    const DOMAIN: &'static str = "abstract request";
    const MAX: usize = MAX_OPERATION + 32;
}

/// ZLight's primary gives a batch its place (ORDER). The requests travel beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Order {
    /// The instance.
    pub instance: Instance,
    /// The place.
    pub slot: Slot,
    /// The batch's time.
    pub time_ms: u64,
    /// [`crate::entry_digest`] of the batch.
    pub entry: Digest,
}

impl Domain for Order {
    const DOMAIN: &'static str = "abstract order";
    const MAX: usize = 64;
}

/// Requests as a primary passes them on. Whether each convinces here is kept beside it.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The requests, in order.
    pub requests: Vec<Sealed<Request>>,
    /// Whether all of them carry a seal that convinces here.
    pub convincing: bool,
}

/// What a replica of a Chain vouches for to those after it (§5.3): a batch, by the history that ends with it. More than
/// the paper's sequence number: replicas that began with different init histories see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Link {
    /// The instance.
    pub instance: Instance,
    /// The batch's time.
    pub time_ms: u64,
    /// The history up to and with the batch.
    pub at: Point,
}

impl Domain for Link {
    const DOMAIN: &'static str = "abstract link";
    const MAX: usize = 64;
}

/// A batch on its way down a Chain (CHAIN). Without requests it confirms the history so far.
#[derive(Clone, Debug)]
pub struct Chained {
    /// The same link, under the chain authenticators of the up to f + 1 replicas before the receiver, in their order.
    pub links: Vec<Sealed<Link>>,
    /// The batch.
    pub batch: Carried,
    /// What the replicas before that executed it vouch for to the clients, in the order of their first requests; several
    /// for one whose results need several replies.
    pub vouched: Vec<Vec<Sealed<Vouch>>>,
}

/// A batch as one replica of a Chain passes it to the next.
#[derive(Clone, Debug)]
pub enum Carried {
    /// With the clients' seals, to the first f + 1 replicas, which check them.
    Sealed(Proposal),
    /// As the history has it: a correct replica among the f + 1 before has checked the seals.
    Plain(Arc<[Operation]>),
}

impl Carried {
    /// Whether it has no requests: it confirms the history so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Sealed(proposal) => proposal.requests.is_empty(),
            Self::Plain(operations) => operations.is_empty(),
        }
    }
}

/// What one of a Chain's last f + 1 replicas tells a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Vouch {
    /// The instance.
    pub instance: Instance,
    /// The history up to and with the batch (D(LH)).
    pub at: Point,
    /// The [`crate::results_digest`] of what the client's requests in the batch gave, or of a part of it.
    pub results: Digest,
}

impl Domain for Vouch {
    const DOMAIN: &'static str = "abstract vouch";
    const MAX: usize = 96;
}

/// What a Chain's tail tells a client: what the last f + 1 replicas vouch for, and the results that they mean.
#[derive(Clone, Debug)]
pub struct ChainReply {
    /// Equal ones, of different replicas.
    pub vouched: Vec<Sealed<Vouch>>,
    /// The requests' numbers and results, in the order of the batch.
    pub results: Vec<(u64, Bytes)>,
}

/// A result, or its digest when another replica sends the result itself.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Outcome {
    /// The result.
    Full(Bytes),
    /// The BLAKE3 hash of the result.
    Digest(Digest),
}

/// One request's result, and the history that it was executed in.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Response {
    /// The request's number.
    pub number: u64,
    /// The history up to and with the request's batch (D(LH)).
    pub at: Point,
    /// The result.
    pub outcome: Outcome,
}

/// Results for one client (RESP).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Responses {
    /// The instance in which they are said.
    pub instance: Instance,
    /// The results.
    pub list: List<Response, MAX_BATCH>,
}

impl Domain for Responses {
    const DOMAIN: &'static str = "abstract responses";
    const MAX: usize = MAX_FRAME;
}

/// What a client of a robust composition tells all replicas of how it is served (§6.3).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Feedback {
    /// The instance.
    pub instance: Instance,
    /// In a Chain: the numbers of the requests that it sends to the head, and to nobody else.
    pub issued: List<u64, MAX_BATCH>,
    /// The numbers of the requests that are committed, each with how many microseconds it took in this instance.
    pub committed: List<(u64, u32), MAX_BATCH>,
}

impl Domain for Feedback {
    const DOMAIN: &'static str = "abstract feedback";
    const MAX: usize = 64 + 20 * MAX_BATCH;
}

/// A client, or a replica, sees no progress in an instance (PANIC, §4.2 P1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Panic {
    /// The instance.
    pub instance: Instance,
}

impl Domain for Panic {
    const DOMAIN: &'static str = "abstract panic";
    const MAX: usize = 16;
}

/// A replica has stopped an instance, and this is its history (ABORT, §4.2 P2). Always signed.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Abort {
    /// The instance. What follows it is the next number, by the composition.
    pub instance: Instance,
    /// A Chain's: a single client has had it to itself.
    pub low_load: bool,
    /// A point that is final: the last stable checkpoint; of a Backup, where it ended.
    pub base: Point,
    /// The entries' digests after it.
    pub suffix: List<Digest, MAX_HISTORY>,
}

impl Domain for Abort {
    const DOMAIN: &'static str = "abstract abort";
    const MAX: usize = 64 + 32 * MAX_HISTORY;
}

/// The proof of an init history (IH with ProofIH, §4.2 Z1+): ABORTs of the instance before. Everybody computes the
/// history from it by [`crate::extract`].
#[derive(Clone, Debug)]
pub struct Init {
    /// The instance that it begins.
    pub instance: Instance,
    /// What it rests on.
    pub aborts: Vec<Sealed<Abort>>,
}

/// The sender has executed its history up to a point (lightweight checkpoint, §4.2). Stable when all 3f + 1 say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Checkpoint {
    /// The instance.
    pub instance: Instance,
    /// The point.
    pub at: Point,
    /// The application's state there.
    pub state: Digest,
    /// Whether the sender lacks votes of others: who has the checkpoint stable shows its own. No answer asks again.
    pub asks: bool,
}

impl Domain for Checkpoint {
    const DOMAIN: &'static str = "abstract checkpoint";
    const MAX: usize = 96;
}

/// A question for batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Fetch {
    /// The first slot.
    pub from: Slot,
    /// How many, at most [`MAX_FETCH`].
    pub count: u64,
}

/// A batch of a history.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Fetched {
    /// Its place.
    pub slot: Slot,
    /// The batch, encoded.
    pub batch: Bytes,
}

/// Where a replica is, for one that has started.
#[derive(Clone, Debug)]
pub struct Welcome {
    /// The question's.
    pub nonce: u64,
    /// The instance that the sender is in.
    pub instance: Instance,
    /// Where the sender's history ends.
    pub head: Slot,
    /// What the instance began with; absent for the first.
    pub init: Option<Arc<Init>>,
}

/// Everything that participants say to each other. What has no seal is vouched for by the link alone.
#[derive(Clone, Debug)]
pub enum Message {
    /// A client's requests, for this instance.
    Requests(Instance, Arc<[Sealed<Request>]>),
    /// ORDER with its requests.
    Order(Sealed<Order>, Arc<Proposal>),
    /// CHAIN.
    Chain(Arc<Chained>),
    /// CHAIN, from the tail to a client.
    ChainReply(Arc<ChainReply>),
    /// RESP.
    Responses(Sealed<Responses>),
    /// FEEDBACK.
    Feedback(Sealed<Feedback>),
    /// PANIC.
    Panic(Sealed<Panic>),
    /// ABORT.
    Abort(Sealed<Abort>),
    /// The proof that an instance begins.
    Init(Arc<Init>),
    /// A checkpoint vote.
    Checkpoint(Sealed<Checkpoint>),
    /// The sender needs these slots.
    Fetch(Fetch),
    /// Slots that the receiver needs.
    Fetched(Vec<Fetched>),
    /// The sender has started, and asks where the others are. The number is different at each start.
    Hello(u64),
    /// The answer.
    Welcome(Arc<Welcome>),
    /// Where the sender is, said once when it has nothing more to do: who has missed the last switch learns of it.
    Status(Instance),
    /// What the protocol inside a Backup says, under seals that are good in this instance only.
    Backup(Instance, hedgerow_pbft::Message),
}

impl Message {
    /// The message's name as the paper prints it, for transcripts and counters.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Requests(..) => "req",
            Self::Order(..) => "order",
            Self::Responses(_) => "resp",
            Self::Chain(_) => "chain",
            Self::ChainReply(_) => "chain reply",
            Self::Feedback(_) => "feedback",
            Self::Panic(_) => "panic",
            Self::Abort(_) => "abort",
            Self::Init(_) => "init",
            Self::Checkpoint(_) => "checkpoint",
            Self::Fetch(_) => "fetch",
            Self::Fetched(_) => "fetched",
            Self::Hello(_) => "hello",
            Self::Welcome(_) => "welcome",
            Self::Status(_) => "status",
            Self::Backup(_, message) => message.name(),
        }
    }
}

/// What a Backup orders: an operation of the protocol inside.
#[derive(Clone, Debug, BorshSerialize)]
pub(crate) struct BackupRequest {
    /// The request; absent from a replica, which only wants the instance to begin.
    pub(crate) request: Option<Request>,
    /// The proof of the init history, until the client knows that the instance has begun.
    pub(crate) init: Option<Bytes>,
}

/// What a Backup answers.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) enum BackupReply {
    /// The operation's result.
    Committed(Bytes),
    /// The instance had ended, or had not begun.
    Aborted,
}

/// Whether a client or replica may be answered at all.
pub(crate) fn is_member(node: NodeId, members: usize) -> bool {
    node.index() < members
}
