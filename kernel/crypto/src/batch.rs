use alloc::{vec, vec::Vec};

use hedgerow_base::Digest;
use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};

use crate::{Hasher, Signature, VerifyingKey};

/// A signature that must be valid: one check, as data.
#[derive(Clone, Debug)]
pub struct SignatureCheck {
    item: ed25519_zebra::batch::Item,
    commitment: Digest,
}

impl SignatureCheck {
    /// That `signature` is `key`'s over `message`.
    #[must_use]
    pub fn new(key: VerifyingKey, message: &[u8], signature: Signature) -> Self {
        let mut commitment = Hasher::default();
        commitment
            .update(&key.0)
            .update(&signature.0)
            .update(message);
        let signed = ed25519_zebra::Signature::from_bytes(&signature.0);
        Self {
            item: (key.0.into(), signed, message).into(),
            commitment: commitment.finish(),
        }
    }
}

/// Below this many a batch costs more than single checks.
const WORTH_A_BATCH: usize = 4;

/// Which of the checks hold. All are tried as one batch; where that fails it is halved until the bad ones stand alone,
/// so that k bad signatures among n cost about k · log n batches. By ZIP-215 the verdict on a signature is the same
/// alone and in every batch.
#[must_use]
pub fn verify_each(checks: &[SignatureCheck]) -> Vec<bool> {
    let mut valid = vec![false; checks.len()];
    verify_into(checks, &mut valid);
    valid
}

fn verify_into(checks: &[SignatureCheck], valid: &mut [bool]) {
    if checks.len() < WORTH_A_BATCH {
        for (check, valid) in checks.iter().zip(valid) {
            *valid = check.item.clone().verify_single().is_ok();
        }
    } else if batch_holds(checks) {
        valid.fill(true);
    } else {
        let middle = checks.len() / 2;
        let (low, high) = checks.split_at(middle);
        let (low_valid, high_valid) = valid.split_at_mut(middle);
        verify_into(low, low_valid);
        verify_into(high, high_valid);
    }
}

/// The batch's random coefficients come from a hash over everything that is checked: whoever wants two errors to
/// cancel out would have to find signatures whose own hash makes them do so, and a run can be replayed.
fn batch_holds(checks: &[SignatureCheck]) -> bool {
    let mut seed = Hasher::default();
    let mut batch = ed25519_zebra::batch::Verifier::new();
    for check in checks {
        seed.update(&check.commitment.0);
        batch.queue(check.item.clone());
    }
    batch
        .verify(ChaCha12Rng::from_seed(seed.finish().0))
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SigningKey;

    #[test]
    fn bisection_finds_exactly_the_bad_ones() {
        for bad in [
            vec![],
            vec![0],
            vec![7, 8],
            vec![30],
            (0..31).collect::<Vec<usize>>(),
        ] {
            let checks: Vec<_> = (0..31_usize)
                .map(|n| {
                    let key = SigningKey::from_seed([n as u8 % 5; 32]);
                    let mut signature = key.sign(&[n as u8]);
                    if bad.contains(&n) {
                        signature.0[n] ^= 1;
                    }
                    SignatureCheck::new(key.verifying_key(), &[n as u8], signature)
                })
                .collect();
            let expected: Vec<_> = (0..31).map(|n| !bad.contains(&n)).collect();
            assert_eq!(verify_each(&checks), expected);
        }
    }
}
