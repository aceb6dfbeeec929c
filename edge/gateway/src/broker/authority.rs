use crate::codec::{Connect, Reason};

/// Who is at the other end of a TLS connection, as its certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate's subject, for people.
    pub subject: String,
    /// The public key's bytes as in the certificate: 32 for Ed25519, a SEC 1 point for P-256.
    pub public_key: Vec<u8>,
}

/// What a client may do. Pure: it is asked inside the broker.
pub trait Authority: Send {
    /// Whether the client may connect.
    ///
    /// # Errors
    /// The reason for the CONNACK and a text that says what to change.
    fn connect(
        &self,
        identity: Option<&Identity>,
        connect: &Connect,
    ) -> Result<(), (Reason, String)>;

    /// Whether the client may publish to this topic.
    ///
    /// # Errors
    /// The reason and a text that says what to change.
    fn publish(&self, identity: Option<&Identity>, topic: &str) -> Result<(), (Reason, String)>;

    /// Whether the client may subscribe to this filter (without its `$share` part).
    ///
    /// # Errors
    /// The reason and a text that says what to change.
    fn subscribe(&self, identity: Option<&Identity>, filter: &str) -> Result<(), (Reason, String)>;

    /// Whether a message to this topic goes to the application instead of subscribers.
    fn is_for_application(&self, topic: &str) -> bool;
}
