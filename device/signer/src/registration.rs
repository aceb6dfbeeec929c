use hedgerow_base::NodeId;
use hedgerow_crypto::SigningKey;
use hedgerow_records::{
    Description, DevicePublicKey, Name, Registration, SignedRegistration, Transaction, VERSION,
};
use hedgerow_wire::{Blob, TooLong, encode};

/// The transaction by which `member` of the network, with its key, makes a device known.
///
/// # Errors
/// Never with names and descriptions of the types' sizes; the type of the body has a bound, so there is an error.
pub fn register(
    network: u64,
    name: Name,
    public_key: DevicePublicKey,
    description: Option<Description>,
    member: NodeId,
    key: &SigningKey,
) -> Result<Transaction, TooLong> {
    let body = encode(&Registration {
        version: VERSION,
        network,
        name,
        public_key,
        description,
    });
    let signature = key.sign(&SignedRegistration::message(&body)).0;
    Ok(Transaction::Register(SignedRegistration {
        body: Blob::new(body)?,
        member,
        signature,
    }))
}
