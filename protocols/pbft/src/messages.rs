use alloc::{sync::Arc, vec::Vec};

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use hedgerow_base::{Digest, Lsn, NodeId, NodeSet, Slot, View};
use hedgerow_crypto::{Domain, Hasher, Sealed};
use hedgerow_ordering::{MAX_BATCH, MAX_OPERATION, MAX_REPLY};
use hedgerow_wire::List;

/// How many slots a replica's window may span at most, whatever its configuration says.
pub const MAX_WINDOW: usize = 1024;
/// How many digests of one slot a replica remembers to have pre-prepared (TOCS §4.4 bounds its set Q, too).
pub const MAX_PRE_PREPARED: usize = 4;
/// How many bytes a frame may have.
pub const MAX_FRAME: usize = 8 << 20;
/// How many slots one question for decided batches may ask for.
pub const MAX_FETCH: u64 = 64;
/// How many replies one message to a client may carry.
pub const MAX_REPLIES: usize = MAX_BATCH;

/// The digest of the null batch, which a new primary puts where nothing can have been committed.
pub const NULL: Digest = Digest::ZERO;

/// What a client wants executed. Its seal names the client.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Request {
    /// The client's own number for it; a client uses each once.
    pub number: u64,
    /// What to execute; at most [`MAX_OPERATION`] bytes.
    pub operation: Bytes,
}

impl Domain for Request {
    const DOMAIN: &'static str = "pbft request";
    const MAX: usize = MAX_OPERATION + 16;
}

/// What a client asks without changing anything (§5.1.3, the read-only optimization).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Query {
    /// The client's own number for it, unrelated to those of its requests.
    pub number: u64,
    /// The question; at most [`MAX_OPERATION`] bytes.
    pub query: Bytes,
}

impl Domain for Query {
    const DOMAIN: &'static str = "pbft query";
    const MAX: usize = MAX_OPERATION + 16;
}

/// A result, or its digest when another replica sends the result itself (TOCS §5.1.1).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Outcome {
    /// The result; at most [`MAX_REPLY`] bytes.
    Full(Bytes),
    /// The BLAKE3 hash of the result.
    Digest(Digest),
}

/// Replies to one client, several in one message (§4.1: REPLY).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Replies {
    /// The replica's view, so that the client knows the primary.
    pub view: View,
    /// The requests' numbers and their outcomes.
    pub list: List<(u64, Outcome), MAX_REPLIES>,
}

impl Domain for Replies {
    const DOMAIN: &'static str = "pbft replies";
    const MAX: usize = MAX_FRAME;
}

/// An answer to a query.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Answer {
    /// The query's number.
    pub number: u64,
    /// The answer.
    pub outcome: Outcome,
}

impl Domain for Answer {
    const DOMAIN: &'static str = "pbft answer";
    const MAX: usize = MAX_REPLY + 64;
}

macro_rules! vote {
    ($(#[$doc:meta])* $name:ident, $domain:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
        pub struct $name {
            /// The view in which it is said.
            pub view: View,
            /// The slot.
            pub slot: Slot,
            /// The batch's digest.
            pub digest: Digest,
            /// Where the sender's log holds what this promises.
            pub lsn: Lsn,
        }

        impl Domain for $name {
            const DOMAIN: &'static str = $domain;
            const MAX: usize = 64;
        }
    };
}

vote! {
    /// The primary assigns a slot to a batch (§4.2). The batch travels beside it.
    PrePrepare, "pbft pre-prepare"
}
vote! {
    /// A backup agrees with the assignment in this view (§4.2).
    Prepare, "pbft prepare"
}
vote! {
    /// The sender has a prepared certificate on its disk (§4.2).
    Commit, "pbft commit"
}

/// The sender has executed everything up to `slot` (§4.3). Always signed: a certificate convinces everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Checkpoint {
    /// The slot, a multiple of the checkpoint interval.
    pub slot: Slot,
    /// The digest of the application's state and the client table.
    pub digest: Digest,
}

impl Domain for Checkpoint {
    const DOMAIN: &'static str = "pbft checkpoint";
    const MAX: usize = 64;
}

/// A batch and a view in which it was pre-prepared or prepared in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Vouched {
    /// The slot.
    pub slot: Slot,
    /// The view.
    pub view: View,
    /// The batch's digest.
    pub digest: Digest,
}

/// The sender leaves its view (TOCS §4.4). Always signed, so that no acknowledgements are needed.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ViewChange {
    /// The view that it wants to enter.
    pub view: View,
    /// h: its stable checkpoint.
    pub stable: Slot,
    /// C: its checkpoints from the stable one on.
    pub checkpoints: List<(Slot, Digest), 16>,
    /// P: the batch that it prepared last in each slot, and the last view in which it did.
    pub prepared: List<Vouched, MAX_WINDOW>,
    /// Q: the batches that it pre-prepared in each slot, and for each the last view in which it did.
    pub pre_prepared: List<Vouched, { MAX_WINDOW * MAX_PRE_PREPARED }>,
    /// Where the sender's log holds this.
    pub lsn: Lsn,
}

impl Domain for ViewChange {
    const DOMAIN: &'static str = "pbft view-change";
    const MAX: usize = 512 << 10;
}

/// The new primary's proof that its view may begin (TOCS §4.4). The view changes travel beside it, and everybody
/// computes from them what the view begins with.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct NewView {
    /// The view.
    pub view: View,
    /// The digests of the view changes that it rests on, in the order in which they follow.
    pub view_changes: List<Digest, { NodeSet::CAPACITY as usize }>,
    /// Where the sender's log holds this.
    pub lsn: Lsn,
}

impl Domain for NewView {
    const DOMAIN: &'static str = "pbft new-view";
    const MAX: usize = 8192;
}

/// A new view with the view changes that prove it.
#[derive(Clone, Debug)]
pub struct NewViewProof {
    /// The primary's word.
    pub new_view: Sealed<NewView>,
    /// What it rests on.
    pub view_changes: Vec<Sealed<ViewChange>>,
}

/// A batch as the primary proposes it.
#[derive(Clone, Debug)]
pub struct Body {
    time_ms: u64,
    requests: Vec<Sealed<Request>>,
    digest: Digest,
    doubtful: Vec<usize>,
}

impl Body {
    /// A batch of these requests, all of them known to be their clients' own.
    #[must_use]
    pub fn new(time_ms: u64, requests: Vec<Sealed<Request>>) -> Self {
        Self::with_doubts(time_ms, requests, Vec::new())
    }

    /// A batch in which the requests at the indices `doubtful` carry no seal that convinces here.
    #[must_use]
    pub fn with_doubts(time_ms: u64, requests: Vec<Sealed<Request>>, doubtful: Vec<usize>) -> Self {
        let mut hasher = Hasher::default();
        hasher
            .update(b"pbft batch\0")
            .update(&time_ms.to_le_bytes());
        for request in &requests {
            hasher.update(&request.digest().0);
        }
        let digest = hasher.finish();
        Self {
            time_ms,
            requests,
            digest,
            doubtful,
        }
    }

    /// The time that the primary proposes, in milliseconds since the Unix epoch.
    #[must_use]
    pub const fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// The requests, in order.
    #[must_use]
    pub fn requests(&self) -> &[Sealed<Request>] {
        &self.requests
    }

    /// The digest over the time and the requests, without their seals.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The requests whose seal convinces nobody here.
    pub fn doubtful(&self) -> impl Iterator<Item = &Sealed<Request>> {
        self.doubtful.iter().filter_map(|&at| self.requests.get(at))
    }
}

/// What the sender has, so that others see what it lacks (TOCS §4.5). Only sent while something is outstanding.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Status {
    /// The view that it is in or wants to enter.
    pub view: View,
    /// The last view whose beginning it saw proved.
    pub entered: View,
    /// Whether it waits for `view` to begin.
    pub changing: bool,
    /// Its stable checkpoint.
    pub stable: Slot,
    /// The last slot of the order that it knows without gaps.
    pub decided: Slot,
    /// For each slot after `decided`: 0 it has nothing, 1 a batch, 2 a prepared certificate.
    pub slots: List<u8, MAX_WINDOW>,
    /// Whose view changes for `view` it has.
    pub view_changes: NodeSet,
    /// Whether it wants an answer; an answer does not want one.
    pub wants: bool,
}

/// A question for decided batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Fetch {
    /// The first slot.
    pub from: Slot,
    /// How many slots, at most [`MAX_FETCH`].
    pub count: u64,
    /// Who sends the batches; the others send their digests only.
    pub bearer: NodeId,
}

/// What a replica says was decided in a slot.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Decided {
    /// The slot.
    pub slot: Slot,
    /// The digest of the batch as it was executed.
    pub digest: Digest,
    /// The digest of the batch as it was proposed, if the sender still knows it.
    pub proposal: Option<Digest>,
    /// The encoded batch, from its bearer.
    pub batch: Option<Bytes>,
}

/// A replica has started and asks the others what it said before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Hello {
    /// Different at each start: an answer is to this question.
    pub nonce: u64,
    /// Where its log ends.
    pub last: Lsn,
}

/// Something that the replica that asks said itself before; it knows its own seal again.
#[derive(Clone, Debug)]
pub enum Evidence {
    /// It was the primary and assigned a slot.
    PrePrepare(Sealed<PrePrepare>),
    /// It agreed to an assignment.
    Prepare(Sealed<Prepare>),
    /// It had a prepared certificate.
    Commit(Sealed<Commit>),
    /// It left a view.
    ViewChange(Sealed<ViewChange>),
}

impl Evidence {
    /// Who said it.
    #[must_use]
    pub const fn origin(&self) -> NodeId {
        match self {
            Self::PrePrepare(vote) => vote.origin(),
            Self::Prepare(vote) => vote.origin(),
            Self::Commit(vote) => vote.origin(),
            Self::ViewChange(vote) => vote.origin(),
        }
    }

    /// The position in its author's log that it was gated behind.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        match self {
            Self::PrePrepare(vote) => vote.value().lsn,
            Self::Prepare(vote) => vote.value().lsn,
            Self::Commit(vote) => vote.value().lsn,
            Self::ViewChange(vote) => vote.value().lsn,
        }
    }

    /// The view that it speaks of.
    #[must_use]
    pub fn view(&self) -> View {
        match self {
            Self::PrePrepare(vote) => vote.value().view,
            Self::Prepare(vote) => vote.value().view,
            Self::Commit(vote) => vote.value().view,
            Self::ViewChange(vote) => vote.value().view,
        }
    }

    /// The slot that it speaks of; zero for a view change.
    #[must_use]
    pub fn slot(&self) -> Slot {
        match self {
            Self::PrePrepare(vote) => vote.value().slot,
            Self::Prepare(vote) => vote.value().slot,
            Self::Commit(vote) => vote.value().slot,
            Self::ViewChange(_) => Slot::ZERO,
        }
    }
}

/// A prepared certificate: the primary's assignment and the backups' agreement. Under MACs it convinces only those
/// whose entries are right; of a correct holder's certificate at least f + 1 entries are right for everyone.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    /// The primary's assignment; absent where a new view made it.
    pub pre_prepare: Option<Sealed<PrePrepare>>,
    /// The backups' agreement.
    pub prepares: Vec<Sealed<Prepare>>,
}

/// The answer to [`Hello`]: what the sender knows of the one that asks, and of where the others are.
#[derive(Clone, Debug)]
pub struct Welcome {
    /// The question's.
    pub nonce: u64,
    /// The last slot of the order that the sender knows without gaps.
    pub decided: Slot,
    /// The last thing that the asker said, if it was after the end of its log.
    pub evidence: Option<Evidence>,
    /// The sender's stable checkpoint, signed by f + 1 or more.
    pub stable: Vec<Sealed<Checkpoint>>,
    /// The sender's certificate for the highest slot in which it has one.
    pub witness: Witness,
    /// The proof of the sender's view; absent in view 0.
    pub new_view: Option<Arc<NewViewProof>>,
}

/// Everything that participants say to each other. What is never passed on (from [`Message::Status`] down) is
/// vouched for by the link alone; everything else carries its author's seal.
#[derive(Clone, Debug)]
pub enum Message {
    /// A client's requests, from itself or relayed by a replica.
    Requests(Arc<[Sealed<Request>]>),
    /// A client's query.
    Query(Sealed<Query>),
    /// Replies to a client.
    Replies(Sealed<Replies>),
    /// An answer to a client's query.
    Answer(Sealed<Answer>),
    /// PRE-PREPARE with its batch.
    PrePrepare(Sealed<PrePrepare>, Arc<Body>),
    /// PREPARE.
    Prepare(Sealed<Prepare>),
    /// COMMIT.
    Commit(Sealed<Commit>),
    /// CHECKPOINT.
    Checkpoint(Sealed<Checkpoint>),
    /// VIEW-CHANGE.
    ViewChange(Sealed<ViewChange>),
    /// NEW-VIEW with its view changes.
    NewView(Arc<NewViewProof>),
    /// What the sender has.
    Status(Status),
    /// The sender can't tell whether this client sent what the primary proposes.
    Doubt(NodeId),
    /// The sender needs these batches, to which a new view refers.
    WantBodies(Vec<Digest>),
    /// A batch that the receiver wanted.
    Body(Arc<Body>),
    /// The sender needs decided batches.
    Fetch(Fetch),
    /// What was decided.
    Decided(Vec<Decided>),
    /// The sender has started.
    Hello(Hello),
    /// The answer.
    Welcome(Arc<Welcome>),
}

impl Message {
    /// The message's name as the paper prints it, for transcripts and counters.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Requests(_) => "request",
            Self::Query(_) => "query",
            Self::Replies(_) => "reply",
            Self::Answer(_) => "answer",
            Self::PrePrepare(..) => "pre-prepare",
            Self::Prepare(_) => "prepare",
            Self::Commit(_) => "commit",
            Self::Checkpoint(_) => "checkpoint",
            Self::ViewChange(_) => "view-change",
            Self::NewView(_) => "new-view",
            Self::Status(_) => "status",
            Self::Doubt(_) => "doubt",
            Self::WantBodies(_) => "want-bodies",
            Self::Body(_) => "body",
            Self::Fetch(_) => "fetch",
            Self::Decided(_) => "decided",
            Self::Hello(_) => "hello",
            Self::Welcome(_) => "welcome",
        }
    }
}
