use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use hedgerow_base::{NodeId, Roster};
use hedgerow_crypto::{Keyring, MacSecret, MemberKeys, SigningKey};

type Keyrings = Arc<[Arc<Keyring>]>;

/// The keyrings of a network with so many replicas and clients, in the order of their identifiers. Real keys, made
/// once and shared by all seeds: deriving them would cost more than most runs.
#[must_use]
pub fn keyrings(roster: Roster, clients: u32) -> Arc<[Arc<Keyring>]> {
    static MADE: Mutex<BTreeMap<(usize, u32), Keyrings>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(
        made.entry((roster.n(), clients))
            .or_insert_with(|| make(roster, clients)),
    )
}

fn make(roster: Roster, clients: u32) -> Arc<[Arc<Keyring>]> {
    let members = roster.n() as u32 + clients;
    let seed = |member: u32, purpose: u8| {
        let mut seed = [purpose; 32];
        seed[..4].copy_from_slice(&member.to_le_bytes());
        seed
    };
    let secrets: Vec<_> = (0..members)
        .map(|member| {
            (
                SigningKey::from_seed(seed(member, 1)),
                MacSecret::from_seed(seed(member, 2)),
            )
        })
        .collect();
    let public: Vec<_> = secrets
        .iter()
        .map(|(signing, mac)| MemberKeys {
            verifying: signing.verifying_key(),
            mac: mac.public(),
        })
        .collect();
    (0..)
        .zip(&secrets)
        .map(|(member, (signing, mac))| {
            Keyring::new(NodeId(member), roster, signing.clone(), mac, &public)
                .map(Arc::new)
                .unwrap_or_else(|error| panic!("{error}"))
        })
        .collect()
}
