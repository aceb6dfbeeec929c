//! How validators' signatures become certificates, and how whoever lacks one gets it. Without clock or socket: the
//! caller brings the time and carries what is to be said.
//!
//! A validator signs each block that is final at it, and tells every member. While its newest block is not certified it
//! says its signature again from time to time; who has a certificate answers with it. When everything is certified
//! nobody says anything.

use std::{collections::BTreeMap, time::Duration};

use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::{Height, NodeId, Time};
use hedgerow_chain::Attestations;
use hedgerow_proofs::{Attestation, Certificate, Header, TrustRoot};
use hedgerow_wire::List;

/// How long to wait for a certificate before saying something again.
const PATIENCE: Duration = Duration::from_millis(250);

/// How many attestations one message has at most.
pub(crate) const MAX_ATTESTATIONS: usize = 64;

/// What members say about finality.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) enum Word {
    /// A validator's signatures of blocks that are final at it, in ascending order.
    Attestations(List<Attestation, MAX_ATTESTATIONS>),
    /// A certificate.
    Certificate(Certificate),
    /// The sender waits for a certificate at this height or above.
    Wanted(Height),
}

/// To whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Every other member.
    Everyone,
    /// One.
    Member(NodeId),
}

/// What one member knows of finality.
pub(crate) struct Finality {
    trust: TrustRoot,
    attestations: Attestations,
    /// The newest block that is final here, for a validator; what is waited for, for a gateway.
    wanted: Height,
    certified: Height,
    /// A certificate that others may need.
    certificate: Option<Certificate>,
    /// This validator's own last signature.
    own: Option<Attestation>,
    /// When to say again what is wanted.
    remind: Option<Time>,
    /// When each member was last given the certificate.
    given: BTreeMap<NodeId, Time>,
    /// The newest block that each member has spoken of.
    heights: BTreeMap<NodeId, Height>,
}

impl Finality {
    pub(crate) fn new(trust: TrustRoot, certificate: Option<(Height, Certificate)>) -> Self {
        let attestations = Attestations::new(trust.clone());
        let certified = certificate
            .as_ref()
            .map_or(Height::ZERO, |(height, _)| *height);
        Self {
            trust,
            attestations,
            wanted: Height::ZERO,
            certified,
            certificate: certificate.map(|(_, certificate)| certificate),
            own: None,
            remind: None,
            given: BTreeMap::new(),
            heights: BTreeMap::new(),
        }
    }

    /// The newest height that is certified.
    pub(crate) const fn certified(&self) -> Height {
        self.certified
    }

    /// These blocks are final here and signed by this validator, in ascending order. Says what to tell everyone, and the
    /// certificate that its signature completes, if it does.
    pub(crate) fn executed(
        &mut self,
        now: Time,
        own: Vec<Attestation>,
        header: impl Fn(Height) -> Option<Header>,
    ) -> (Vec<Word>, Option<Certificate>) {
        let Some(last) = own.last() else {
            return (Vec::new(), None);
        };
        self.own = Some(*last);
        for attestation in &own {
            // One's own are never refused, unless one's own key is used elsewhere too.
            if let Err(error) = self.attestations.add(attestation) {
                tracing::error!("this validator's own attestation is refused: {error}");
            }
        }
        let found = self.find(&own, header);
        self.want(now, last.height);
        let words = own
            .chunks(MAX_ATTESTATIONS)
            .filter_map(|some| List::new(some.to_vec()).ok());
        (words.map(Word::Attestations).collect(), found)
    }

    /// The newest block that each member says it has; for operators only, since anyone may lie about himself.
    pub(crate) const fn heights(&self) -> &BTreeMap<NodeId, Height> {
        &self.heights
    }

    fn note_height(&mut self, of: NodeId, height: Height) {
        let known = self.heights.entry(of).or_default();
        *known = height.max(*known);
    }

    /// Something at `height` is to become final.
    pub(crate) fn want(&mut self, now: Time, height: Height) {
        self.wanted = self.wanted.max(height);
        if self.wanted > self.certified && self.remind.is_none() {
            self.remind = Some(now.plus(PATIENCE));
        }
    }

    /// Takes a member's word in; `header` gives the headers of blocks that are final here. Says what to answer, and whether
    /// a new certificate is to be kept.
    pub(crate) fn heard(
        &mut self,
        now: Time,
        from: NodeId,
        word: Word,
        header: impl Fn(Height) -> Option<Header>,
    ) -> (Option<Word>, Option<Certificate>) {
        match word {
            Word::Attestations(list) => {
                let newest = list.iter().map(|one| one.height).max().unwrap_or_default();
                self.note_height(from, newest);
                for attestation in list.iter().filter(|one| one.height > self.certified) {
                    if let Err(error) = self.attestations.add(attestation) {
                        tracing::warn!(%from, "an attestation is refused: {error}");
                        break;
                    }
                }
                let found = self.find(&list, header);
                let behind = newest <= self.certified;
                (
                    if behind {
                        self.give(now, from, newest)
                    } else {
                        None
                    },
                    found,
                )
            }
            Word::Certificate(certificate) => match certificate.verify(&self.trust) {
                Ok(found) if found.height > self.certified => {
                    self.certify(found.height, Some(certificate.clone()));
                    (None, Some(certificate))
                }
                Ok(_) => (None, None),
                Err(error) => {
                    tracing::warn!(%from, "a certificate is refused: {error}");
                    (None, None)
                }
            },
            Word::Wanted(height) => (self.give(now, from, height), None),
        }
    }

    /// The certificate of the highest of these attested blocks that has one by now.
    fn find(
        &mut self,
        list: &[Attestation],
        header: impl Fn(Height) -> Option<Header>,
    ) -> Option<Certificate> {
        let enough = |one: &&Attestation| {
            one.height > self.certified
                && self.attestations.count(one.height, &one.header) >= self.trust.threshold()
        };
        let attestation = *list.iter().rev().find(enough)?;
        let own = header(attestation.height);
        let certificate = own
            .as_ref()
            .and_then(|header| self.attestations.certificate(header));
        let agrees = own.is_none_or(|header| header.hash() == attestation.header);
        if !agrees {
            tracing::error!(
                height = attestation.height.0,
                "f + 1 validators have attested another block than the one executed here"
            );
            return None;
        }
        self.certify(attestation.height, certificate.clone());
        certificate
    }

    fn certify(&mut self, height: Height, certificate: Option<Certificate>) {
        self.certified = self.certified.max(height);
        if certificate.is_some() {
            self.certificate = certificate;
        }
        self.attestations.forget_below(self.certified);
        if self.wanted <= self.certified {
            self.remind = None;
        }
    }

    /// The certificate for a member that needs one at `height`, or one's own signature where there is none; not too
    /// often.
    fn give(&mut self, now: Time, to: NodeId, height: Height) -> Option<Word> {
        if self
            .given
            .get(&to)
            .is_some_and(|last| now.since(*last) < PATIENCE / 2)
        {
            return None;
        }
        let word = if self.certified >= height {
            self.certificate.clone().map(Word::Certificate)
        } else {
            self.own
                .and_then(|own| List::new(vec![own]).ok())
                .map(Word::Attestations)
        };
        if word.is_some() {
            self.given.insert(to, now);
        }
        word
    }

    /// When [`Finality::remind`] wants to be called.
    pub(crate) const fn deadline(&self) -> Option<Time> {
        self.remind
    }

    /// What to say when the deadline has passed.
    pub(crate) fn remind(&mut self, now: Time) -> Option<(Audience, Word)> {
        if self.remind.is_none_or(|at| at > now) {
            return None;
        }
        if self.wanted <= self.certified {
            self.remind = None;
            return None;
        }
        self.remind = Some(now.plus(PATIENCE));
        let own = self.own.filter(|own| own.height >= self.wanted);
        let word = own
            .and_then(|own| List::new(vec![own]).ok())
            .map(Word::Attestations);
        Some((
            Audience::Everyone,
            word.unwrap_or(Word::Wanted(self.wanted)),
        ))
    }
}

#[cfg(test)]
mod tests;
