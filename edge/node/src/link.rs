//! The members' talk beside the ordering protocol, on a thread of its own: signatures of blocks and certificates, and
//! questions to the ledger with their answers.

use std::{
    collections::BTreeMap,
    io, mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use hedgerow_base::{Digest, Height, NodeId};
use hedgerow_chain::{Answer, Query};
use hedgerow_crypto::SigningKey;
use hedgerow_driver::Clock;
use hedgerow_kv::{KvStore, StoreError};
use hedgerow_proofs::{Attestation, Certificate, Header, TrustRoot};
use hedgerow_transport::{
    Channel, Doorbell, Inbound, Mailbox, MailboxLimits, Overflow, Routes, Transport,
};
use hedgerow_wire::{Blob, decode, encode};
use tokio::sync::{mpsc, watch};

use crate::{
    executor::Shared,
    finality::{Audience, Finality, Word},
    questions::{Question, Questions},
};

/// The transport's channel for signatures and certificates.
pub(crate) const FINALITY: Channel = Channel(1);
/// The transport's channel for questions and answers.
pub(crate) const QUESTIONS: Channel = Channel(2);

/// An answer, and whose; `None` from a member that is not there yet.
pub(crate) type Told = (NodeId, Option<Vec<u8>>);

/// How many answers to one question may wait.
const MAX_TOLD: usize = 256;

/// How many questions of one member may wait: some KiB each.
const MAX_QUESTIONS: usize = 128;
/// How many of those that take long: up to 144 KiB each.
const MAX_CALLS: usize = 16;

/// The largest word about finality in bytes.
const MAX_WORD: usize = 64 << 10;

/// A question to a member's ledger, or the answer.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
enum Talk {
    /// Answer this, if your newest block is at least at this height.
    Ask {
        number: u64,
        least: Height,
        query: Blob<{ hedgerow_chain::Query::MAX_BYTES }>,
    },
    /// The answer; `None` from a member that is not there yet.
    Tell {
        number: u64,
        answer: Option<Blob<{ Answer::MAX_BYTES }>>,
    },
}

/// Where the members' talk comes in: made before the transport, which needs the routes.
pub(crate) struct LinkInbox {
    mailbox: Mailbox,
    bell: Arc<Doorbell>,
}

impl LinkInbox {
    /// Opens it. What overflows is dropped: all of it is said again, and it must not hold back the ordering protocol.
    pub(crate) fn open(routes: &mut Routes) -> Self {
        let bell = Arc::new(Doorbell::new());
        let limits = MailboxLimits {
            bytes: 4 << 20,
            frames: 4096,
            overflow: Overflow::Drop,
        };
        let mailbox = routes.open(&[FINALITY, QUESTIONS], limits, bell.clone());
        Self { mailbox, bell }
    }
}

/// Why the link can't go on.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The ledger's store has failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This validator executed another block than f + 1 validators have signed.
    #[error(
        "block {0} was executed here with another outcome than f + 1 validators have signed: \
         this node's disk or memory is at fault, or more than f validators are; compare with the others, then wipe and rejoin"
    )]
    Diverged(Height),
}

/// What other threads want of the link.
enum Wish {
    Executed(Vec<(Height, Digest)>),
    Final(Height),
}

/// How other threads talk to the link. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LinkHandle {
    shared: Arc<LinkShared>,
    transport: Transport,
    certified: watch::Receiver<Height>,
}

struct LinkShared {
    bell: Arc<Doorbell>,
    wishes: Mutex<Vec<Wish>>,
    stop: AtomicBool,
    numbers: AtomicU64,
    heights: Mutex<BTreeMap<NodeId, Height>>,
    asked: Mutex<BTreeMap<u64, mpsc::Sender<Told>>>,
    questions: Questions,
    /// Those that take long.
    calls: Questions,
}

/// Answers to one question as they come; dropping it ends the question.
pub(crate) struct Answers {
    number: u64,
    shared: Arc<LinkShared>,
    pub(crate) answers: mpsc::Receiver<Told>,
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.shared.asked().remove(&self.number);
    }
}

impl LinkShared {
    fn asked(&self) -> MutexGuard<'_, BTreeMap<u64, mpsc::Sender<Told>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heights(&self) -> MutexGuard<'_, BTreeMap<NodeId, Height>> {
        self.heights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wish(&self, wish: Wish) {
        self.wishes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(wish);
        self.bell.ring();
    }
}

impl LinkHandle {
    /// Blocks became final here: sign them, tell the others.
    pub(crate) fn executed(&self, blocks: Vec<(Height, Digest)>) {
        self.shared.wish(Wish::Executed(blocks));
    }

    /// Returns when a block at `height` or above is certified. Ends early, with what is certified then, when the node
    /// stops.
    pub(crate) async fn certified_at(&self, height: Height) -> Height {
        if *self.certified.borrow() < height {
            self.shared.wish(Wish::Final(height));
        }
        let mut certified = self.certified.clone();
        // An error says that the link has stopped.
        let _ = certified.wait_for(|certified| *certified >= height).await;
        *certified.borrow()
    }

    /// The newest block that each other member says it has.
    pub(crate) fn heights(&self) -> BTreeMap<NodeId, Height> {
        self.shared.heights().clone()
    }

    /// The height of the newest certificate, and of each newer one as it comes.
    pub(crate) fn attested(&self) -> watch::Receiver<Height> {
        self.certified.clone()
    }

    /// The height of the newest certificate.
    pub(crate) fn certified(&self) -> Height {
        *self.certified.borrow()
    }

    /// Asks `members`, whose newest block must be at least at `least`. Each answers once at most, if it is a correct
    /// one.
    pub(crate) fn ask(
        &self,
        members: impl IntoIterator<Item = NodeId>,
        least: Height,
        query: &[u8],
    ) -> Answers {
        let number = self.shared.numbers.fetch_add(1, Ordering::Relaxed);
        let (sender, answers) = mpsc::channel(MAX_TOLD);
        self.shared.asked().insert(number, sender);
        let query = Blob::new(query.to_vec()).unwrap_or_default();
        let ask = Bytes::from(encode(&Talk::Ask {
            number,
            least,
            query,
        }));
        self.transport.broadcast(members, QUESTIONS, &ask);
        self.transport.flush();
        Answers {
            number,
            shared: self.shared.clone(),
            answers,
        }
    }

    /// Has the link stop.
    pub(crate) fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.bell.ring();
    }
}

/// What a link is made of.
pub(crate) struct LinkParts<S> {
    pub(crate) me: NodeId,
    pub(crate) members: Vec<NodeId>,
    pub(crate) trust: TrustRoot,
    /// A validator's key, and its ledger.
    pub(crate) validator: Option<(SigningKey, Shared<S>)>,
    pub(crate) transport: Transport,
    pub(crate) inbox: LinkInbox,
    pub(crate) clock: Clock,
}

/// Starts the link's thread. `failed` is called when the ledger's store fails.
///
/// # Errors
/// When the operating system gives no thread.
pub(crate) fn start<S: KvStore + Send + 'static>(
    parts: LinkParts<S>,
    failed: impl Fn(LinkError) + Clone + Send + 'static,
) -> io::Result<(LinkHandle, JoinHandle<()>)> {
    let certificate = parts.validator.as_ref().and_then(|(_, ledger)| {
        let ledger = ledger.lock();
        ledger
            .certificate()
            .cloned()
            .map(|certificate| (ledger.certified(), certificate))
    });
    let finality = Finality::new(parts.trust.clone(), certificate);
    let (certified, receiver) = watch::channel(finality.certified());
    let shared = Arc::new(LinkShared {
        bell: parts.inbox.bell.clone(),
        wishes: Mutex::default(),
        stop: AtomicBool::new(false),
        numbers: AtomicU64::new(1),
        heights: Mutex::default(),
        asked: Mutex::default(),
        questions: Questions::new(MAX_QUESTIONS),
        calls: Questions::new(MAX_CALLS),
    });
    let handle = LinkHandle {
        shared: shared.clone(),
        transport: parts.transport.clone(),
        certified: receiver,
    };
    if let Some((_, ledger)) = &parts.validator {
        // The last block before a restart may have been signed by too few.
        let head = ledger.lock().head();
        if head.stable > finality.certified() {
            handle.executed(vec![(head.stable, head.hash)]);
        }
    }
    let link = Link {
        parts,
        finality,
        shared,
        certified,
        waiting: None,
    };
    let questions = link.answer_questions(failed.clone())?;
    let thread = thread::Builder::new()
        .name("link".to_owned())
        .spawn(move || {
            let shared = link.shared.clone();
            if let Err(error) = link.run() {
                failed(error);
            }
            shared.questions.stop();
            shared.calls.stop();
            for thread in questions {
                if thread.join().is_err() {
                    tracing::error!("a thread that answers questions panicked");
                }
            }
        })?;
    Ok((handle, thread))
}

struct Link<S> {
    parts: LinkParts<S>,
    finality: Finality,
    shared: Arc<LinkShared>,
    certified: watch::Sender<Height>,
    /// A certificate of a block that is not executed here yet.
    waiting: Option<(Height, Certificate)>,
}

/// How many frames are taken at once.
const BURST: usize = 256;

impl<S: KvStore + Send + 'static> Link<S> {
    /// A validator answers; nobody else has a ledger.
    fn answer_questions(
        &self,
        failed: impl Fn(LinkError) + Clone + Send + 'static,
    ) -> io::Result<Vec<JoinHandle<()>>> {
        let Some((_, ledger)) = &self.parts.validator else {
            return Ok(Vec::new());
        };
        let transport = self.parts.transport.clone();
        let tell = move |to, number, answer: Option<Answer>| {
            let answer = answer.and_then(|answer| Blob::new(answer.to_bytes()).ok());
            let tell = encode(&Talk::Tell { number, answer });
            // Nobody there: whoever asked asks again.
            let _ = transport.post(to, QUESTIONS, tell.into());
            transport.flush();
        };
        let failed = move |error: StoreError| failed(error.into());
        let shared = &self.shared;
        let lanes = [("questions", &shared.questions), ("calls", &shared.calls)];
        let lanes = lanes
            .map(|(name, lane)| lane.answer(name, ledger.clone(), tell.clone(), failed.clone()));
        lanes.into_iter().collect()
    }

    fn run(mut self) -> Result<(), LinkError> {
        let mut burst = Vec::new();
        while !self.shared.stop.load(Ordering::Acquire) {
            self.parts.inbox.mailbox.take(BURST, &mut burst);
            let wishes = mem::take(
                &mut *self
                    .shared
                    .wishes
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner),
            );
            let idle = burst.is_empty() && wishes.is_empty();
            for wish in wishes {
                self.on_wish(wish);
            }
            for frame in burst.drain(..) {
                self.on_frame(&frame)?;
            }
            self.keep_certificate()?;
            if let Some((to, word)) = self.finality.remind(self.parts.clock.now()) {
                self.say(to, &word);
            }
            self.parts.transport.flush();
            self.shared.heights().clone_from(self.finality.heights());
            self.certified.send_if_modified(|known| {
                let newer = self.finality.certified() > *known;
                *known = self.finality.certified();
                newer
            });
            if idle {
                let deadline = self.finality.deadline();
                let until = deadline.and_then(|time| self.parts.clock.instant(time));
                self.shared.bell.wait(until);
            }
        }
        Ok(())
    }

    fn say(&self, to: Audience, word: &Word) {
        let bytes = Bytes::from(encode(word));
        let transport = &self.parts.transport;
        match to {
            Audience::Everyone => {
                let others = self.parts.members.iter().filter(|id| **id != self.parts.me);
                transport.broadcast(others.copied(), FINALITY, &bytes);
            }
            Audience::Member(to) => {
                // Nobody there: it asks again when it is.
                let _ = transport.post(to, FINALITY, bytes);
            }
        }
    }

    fn on_wish(&mut self, wish: Wish) {
        let now = self.parts.clock.now();
        match wish {
            Wish::Final(height) => self.finality.want(now, height),
            Wish::Executed(blocks) => {
                let Some((key, _)) = &self.parts.validator else {
                    return;
                };
                // A certificate covers everything before it: only what is newer needs a signature. The newest always
                // gets one, so that others who lack it are answered.
                let newest = blocks.last().map(|(height, _)| *height);
                let certified = self.finality.certified();
                let needed = blocks
                    .into_iter()
                    .filter(|(height, _)| *height > certified || Some(*height) == newest);
                let sign = |(height, hash)| {
                    Attestation::sign(&self.parts.trust.genesis, height, hash, self.parts.me, key)
                };
                let own: Vec<_> = needed.map(sign).collect();
                let header = self.headers();
                let (words, certificate) = self.finality.executed(now, own, header);
                for word in words {
                    self.say(Audience::Everyone, &word);
                }
                self.keep(certificate);
            }
        }
    }

    fn on_frame(&mut self, frame: &Inbound) -> Result<(), StoreError> {
        if frame.channel == QUESTIONS {
            self.on_talk(frame);
            return Ok(());
        }
        let word = match decode(&frame.bytes, MAX_WORD) {
            Ok(word) => word,
            Err(error) => {
                tracing::warn!(from = %frame.from, "a word about finality is refused: {error}");
                return Ok(());
            }
        };
        let header = self.headers();
        let now = self.parts.clock.now();
        let (answer, certificate) = self.finality.heard(now, frame.from, word, header);
        if let Some(answer) = answer {
            self.say(Audience::Member(frame.from), &answer);
        }
        self.keep(certificate);
        Ok(())
    }

    /// The headers of the blocks that are final here: others may still be rolled back, and contradict nothing.
    fn headers(&self) -> impl Fn(Height) -> Option<Header> + use<S> {
        let ledger = self
            .parts
            .validator
            .as_ref()
            .map(|(_, ledger)| ledger.clone());
        move |height| {
            let ledger = ledger.as_ref()?.lock();
            let is_final = height <= ledger.head().stable;
            is_final.then(|| ledger.header(height).ok().flatten())?
        }
    }

    fn keep(&mut self, certificate: Option<Certificate>) {
        if let Some(certificate) = certificate {
            self.waiting = Some((self.finality.certified(), certificate));
        }
    }

    /// Gives a new certificate to the ledger, as soon as it has executed that block.
    fn keep_certificate(&mut self) -> Result<(), LinkError> {
        let Some((_, ledger)) = &self.parts.validator else {
            return Ok(());
        };
        let mut ledger = ledger.lock();
        let executed = ledger.head().stable;
        let Some((height, certificate)) = self.waiting.take_if(|(height, _)| *height <= executed)
        else {
            return Ok(());
        };
        match certificate.verify(&self.parts.trust) {
            Ok(header) if ledger.contradicts(&header)? => return Err(LinkError::Diverged(height)),
            Ok(_) => drop(ledger.certify(certificate)?),
            Err(error) => {
                tracing::error!("a certificate that was verified is refused: {error}");
            }
        }
        Ok(())
    }

    fn on_talk(&self, frame: &Inbound) {
        match decode(&frame.bytes, Answer::MAX_BYTES + 64) {
            Ok(Talk::Ask {
                number,
                least,
                query,
            }) => {
                if self.parts.validator.is_some() {
                    let question = Question {
                        from: frame.from,
                        number,
                        least,
                        query: Query::from_bytes(&query).ok(),
                    };
                    if question.query.as_ref().is_some_and(Query::is_call) {
                        self.shared.calls.put(question);
                    } else {
                        self.shared.questions.put(question);
                    }
                }
            }
            Ok(Talk::Tell { number, answer }) => {
                if let Some(waiter) = self.shared.asked().get(&number) {
                    // Whoever asked may have gone, or has been told more than there are members.
                    let _ = waiter.try_send((frame.from, answer.map(Blob::into_vec)));
                }
            }
            Err(error) => {
                tracing::warn!(from = %frame.from, "a question or answer is refused: {error}");
            }
        }
    }
}
