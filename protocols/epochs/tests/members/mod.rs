//! The members of a small network, with their keys.

use std::sync::Arc;

use hedgerow_base::{NodeId, Roster};
use hedgerow_crypto::{Keyring, MacSecret, MemberKeys, SigningKey};

/// Four replicas and a client.
pub(crate) fn keyrings() -> Vec<Arc<Keyring>> {
    let secrets: Vec<_> = (1..6)
        .map(|id| {
            let seed = [id; 32];
            (SigningKey::from_seed(seed), MacSecret::from_seed(seed))
        })
        .collect();
    let members: Vec<_> = secrets
        .iter()
        .map(|(signing, mac)| MemberKeys {
            verifying: signing.verifying_key(),
            mac: mac.public(),
        })
        .collect();
    let roster = Roster::new(4).unwrap();
    let keyring = |(id, (signing, mac)): (u32, &(SigningKey, MacSecret))| {
        Arc::new(Keyring::new(NodeId(id), roster, signing.clone(), mac, &members).unwrap())
    };
    (0..).zip(&secrets).map(keyring).collect()
}
