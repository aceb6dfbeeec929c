use async_trait::async_trait;
use bytes::Bytes;
use hedgerow_base::Height;
use hedgerow_chain::{Answer, Query};
use hedgerow_records::{Receipt, StreamName};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// What the gateway needs of the network behind it: the client side of the ordering protocol and the ledger.
#[async_trait]
pub trait Network: Send + Sync {
    /// Has the transactions ordered and executed, in this order and as one request. Resolves when they are final,
    /// with one receipt for each; asking again with the same transactions is harmless.
    ///
    /// # Errors
    /// When it is not known whether they will become final: ask again.
    async fn submit(&self, bundle: Vec<Bytes>) -> Result<Vec<Receipt>, SubmitError>;

    /// Asks the ledger's stable state.
    ///
    /// # Errors
    /// When not enough validators answer alike.
    async fn query(&self, query: Query) -> Result<Answer, QueryError>;

    /// The bytes of the proof of a reading, or why there is none ([`Answer::NotFound`], [`Answer::NotYetFinal`]).
    ///
    /// # Errors
    /// When not enough validators answer alike.
    async fn prove(&self, stream: &StreamName, sequence: u64) -> Result<Answer, QueryError> {
        self.query(Query::Prove {
            stream: stream.clone(),
            sequence,
        })
        .await
    }

    /// The height of the newest block with enough signatures, and of each newer one as it comes.
    fn attested(&self) -> watch::Receiver<Height>;

    /// How the network does, as seen from here. Cheap: no message is sent. `network` and `name` are right from the
    /// start: the gateway takes records of that network only.
    fn status(&self) -> NetworkStatus;
}

/// Why a bundle did not become final here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Not enough validators answer; the text says what is known about the cause.
    #[error("the network does not answer: {0}")]
    Unavailable(String),
    /// The client of the protocol takes no more requests now.
    #[error("too many requests are on their way already")]
    Busy,
    /// The node is shutting down.
    #[error("the node is shutting down")]
    ShuttingDown,
}

/// Why a query was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Not enough validators answer; the text says what is known about the cause.
    #[error("the network does not answer: {0}")]
    Unavailable(String),
    /// The node is shutting down.
    #[error("the node is shutting down")]
    ShuttingDown,
}

/// How the network does, as seen from one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkStatus {
    /// The network's number (chain id).
    pub network: u64,
    /// The network's name.
    pub name: String,
    /// This node's name.
    pub node: String,
    /// The members, in the order of their identifiers.
    pub members: Vec<MemberStatus>,
    /// The newest block that this node knows.
    pub head_height: u64,
    /// The newest block with enough signatures.
    pub attested_height: u64,
    /// The ordering protocol's view.
    pub view: u64,
    /// The ordering protocol: the one that the genesis names, until the validators vote for another.
    #[serde(default)]
    pub consensus: String,
    /// What orders now: that protocol, or, where it is composed of several, the one whose turn it is.
    #[serde(default)]
    pub protocol: String,
    /// Where it is composed of several: when this node last went from one to the next, in milliseconds since the Unix
    /// epoch; and why, as far as it knows.
    #[serde(default)]
    pub switched_ms: Option<u64>,
    /// See `switched_ms`.
    #[serde(default)]
    pub switch_cause: Option<String>,
    /// What this node's participant in the protocol is doing: `normal`, `view change`, `starting`, `rejoining`,
    /// `state transfer`; `client` for a gateway.
    #[serde(default)]
    pub phase: String,
    /// Why nothing becomes final, in words, when that is so: who is unreachable, how many are needed.
    pub stalled: Option<String>,
}

/// How a member does, as seen from one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// Its identifier.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// `validator` or `gateway`.
    pub role: String,
    /// The address by which the ledger knows its roles.
    #[serde(default)]
    pub subject: String,
    /// Whether there is a session with it now.
    pub reachable: bool,
    /// When it was last heard: milliseconds since the Unix epoch.
    pub last_heard_ms: Option<u64>,
    /// The newest block that it is known to have.
    pub height: Option<u64>,
}
