//! A network of four validators and a gateway whose secrets everyone knows.

use std::sync::{Arc, OnceLock};

use hedgerow_base::{NodeId, Roster};
use hedgerow_crypto::{Keyring, MacSecret, MemberKeys, SigningKey};

/// The keyring of each member.
pub(crate) fn keyrings() -> &'static [Arc<Keyring>] {
    static KEYRINGS: OnceLock<Vec<Arc<Keyring>>> = OnceLock::new();
    KEYRINGS.get_or_init(|| {
        let roster = Roster::new(4).expect("four is a roster");
        let secrets: Vec<_> = (0..5)
            .map(|n| {
                (
                    SigningKey::from_seed([n; 32]),
                    MacSecret::from_seed([n + 100; 32]),
                )
            })
            .collect();
        let keys: Vec<_> = secrets
            .iter()
            .map(|(signing, mac)| MemberKeys {
                verifying: signing.verifying_key(),
                mac: mac.public(),
            })
            .collect();
        let keyring = |(n, (signing, mac)): (u32, &(SigningKey, MacSecret))| {
            let made = Keyring::new(NodeId(n), roster, signing.clone(), mac, &keys);
            Arc::new(made.expect("the secrets are theirs"))
        };
        (0..).zip(&secrets).map(keyring).collect()
    })
}
