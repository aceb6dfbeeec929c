use std::collections::BTreeMap;

use hedgerow_base::{Digest, Height, NodeId};
use hedgerow_proofs::{Attestation, Certificate, Header, TrustRoot};
use hedgerow_wire::{Blob, List};

/// How many attestations are kept of each validator: those of the greatest heights.
pub const MAX_KEPT: usize = 64;

/// Collects the validators' attestations until they make a certificate.
///
/// Whatever a liar sends takes up its own [`MAX_KEPT`] places only, and counts for the header that it names only.
#[derive(Clone, Debug)]
pub struct Attestations {
    trust: TrustRoot,
    kept: Vec<BTreeMap<Height, (Digest, [u8; 64])>>,
}

/// Why an attestation is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nobody's of this network, or changed on the way: whoever passed it on did not check it.
    #[error("the signature is not a validator's")]
    BadSignature,
    /// The validator has signed another header at this height: one of the two is a lie, and both signatures prove it.
    #[error("validator {} has attested two headers at height {}", first.signer, first.height)]
    Equivocation {
        /// What it had signed first.
        first: Attestation,
    },
    /// Older than all that are kept of this validator.
    #[error("height {0} is older than what is kept")]
    Old(Height),
}

impl Attestations {
    /// For the network with that root of trust.
    #[must_use]
    pub fn new(trust: TrustRoot) -> Self {
        let kept = vec![BTreeMap::new(); trust.validators.len()];
        Self { trust, kept }
    }

    /// Keeps an attestation; says whether it was new.
    ///
    /// # Errors
    /// When it is not a validator's, contradicts an earlier one, or is too old.
    pub fn add(&mut self, attestation: &Attestation) -> Result<bool, Refused> {
        let Some(kept) = self.kept.get_mut(attestation.signer.index()) else {
            return Err(Refused::BadSignature);
        };
        let height = attestation.height;
        match kept.get(&height) {
            Some((header, signature))
                if *header == attestation.header && *signature == attestation.signature =>
            {
                return Ok(false);
            }
            None if kept.len() >= MAX_KEPT
                && kept
                    .first_key_value()
                    .is_some_and(|(least, _)| height < *least) =>
            {
                return Err(Refused::Old(height));
            }
            _ => {}
        }
        if !attestation.verify(&self.trust) {
            return Err(Refused::BadSignature);
        }
        match kept.get(&height) {
            Some((header, _)) if *header == attestation.header => return Ok(false),
            Some((header, signature)) => {
                let first = Attestation {
                    height,
                    header: *header,
                    signer: attestation.signer,
                    signature: *signature,
                };
                return Err(Refused::Equivocation { first });
            }
            None => {}
        }
        if kept.len() >= MAX_KEPT {
            kept.pop_first();
        }
        kept.insert(height, (attestation.header, attestation.signature));
        Ok(true)
    }

    /// How many validators have attested this header at this height.
    #[must_use]
    pub fn count(&self, height: Height, header: &Digest) -> usize {
        self.of(height, header).count()
    }

    fn of(&self, height: Height, header: &Digest) -> impl Iterator<Item = (NodeId, [u8; 64])> {
        (0..)
            .map(NodeId)
            .zip(&self.kept)
            .filter_map(move |(signer, kept)| {
                kept.get(&height)
                    .filter(|(own, _)| own == header)
                    .map(|(_, signature)| (signer, *signature))
            })
    }

    /// The certificate of a header that f + 1 validators have attested.
    #[must_use]
    pub fn certificate(&self, header: &Header) -> Option<Certificate> {
        let encoded = header.encode();
        let hash = Header::hash_encoded(&encoded);
        let needed = self.trust.threshold();
        let signatures: Vec<_> = self.of(header.height, &hash).take(needed).collect();
        if signatures.len() < needed {
            return None;
        }
        Some(Certificate {
            header: Blob::new(encoded).ok()?,
            signatures: List::new(signatures).ok()?,
        })
    }

    /// Forgets what is below `height`: a certificate at that height covers it.
    pub fn forget_below(&mut self, height: Height) {
        for kept in &mut self.kept {
            *kept = kept.split_off(&height);
        }
    }
}
