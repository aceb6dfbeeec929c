//! Seals: what a stranger made up convinces nobody, what was not changed convinces.

use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::NodeId;
use hedgerow_crypto::{Checks, Claimed, Domain, Keyring, Sealed, Sealing};
use hedgerow_wire::{Blob, decode, encode};

use crate::members::keyrings;

#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
struct Word(u64, Blob<100>);

impl Domain for Word {
    const DOMAIN: &'static str = "fuzz/word";
    const MAX: usize = 112;
}

/// Whether `keyring` is convinced, with every signature checked.
fn convinces(keyring: &Keyring, claimed: Claimed<Word>) -> Option<Sealed<Word>> {
    let mut checks = Checks::default();
    let admitted = claimed.admit(keyring, &mut checks).ok()?;
    checks.hold().then_some(admitted)
}

pub(crate) fn run(data: &[u8]) {
    let original = word();
    for (receiver, sealing) in [
        (1, Sealing::MacFor(NodeId(1))),
        (2, Sealing::Authenticator),
        (4, Sealing::Signature),
    ] {
        let sealed = Sealed::new(word(), sealing, &keyrings()[0]);
        let mut bytes = encode(&sealed);
        let honest: Claimed<Word> = decode(&bytes, 1 << 12).expect("it was encoded");
        assert!(
            convinces(&keyrings()[receiver], honest).is_some(),
            "an honest seal does not convince"
        );
        // The hostile bytes say where to change what.
        for change in data.chunks_exact(3) {
            let at = usize::from(change[0]) * 256 + usize::from(change[1]);
            let length = bytes.len();
            bytes[at % length] ^= change[2];
        }
        let Ok(claimed) = decode::<Claimed<Word>>(&bytes, 1 << 12) else {
            continue;
        };
        if let Some(admitted) = convinces(&keyrings()[receiver], claimed) {
            let same = admitted.value().0 == original.0 && admitted.value().1 == original.1;
            assert!(
                same && admitted.origin() == NodeId(0),
                "a forgery convinced"
            );
        }
    }
    if let Ok(claimed) = decode::<Claimed<Word>>(data, 1 << 12) {
        let again = encode(&claimed.clone().trusted());
        assert_eq!(again, data, "a second encoding was accepted");
        assert!(
            convinces(&keyrings()[1], claimed).is_none_or(|word| word.value().0 == original.0),
            "a forgery convinced"
        );
    }
}

fn word() -> Word {
    Word(
        0x0123_4567_89ab_cdef,
        Blob::new(vec![3; 20]).expect("short"),
    )
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let sealed = |sealing| encode(&Sealed::new(word(), sealing, &keyrings()[0]));
    vec![
        vec![],
        vec![0, 9, 1],
        sealed(Sealing::None),
        sealed(Sealing::MacFor(NodeId(1))),
        sealed(Sealing::Authenticator),
        sealed(Sealing::Signature),
    ]
}
