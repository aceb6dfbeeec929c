use alloy_primitives::{Address, U256};
use hedgerow_base::{Digest, Height};
use hedgerow_kv::{KvStore, StoreError};
use hedgerow_merkle::{Inclusion, NodeAddress, Nodes, ProveError};
use hedgerow_proofs::{
    Certificate, CertificateError, Header, PROOF_MAGIC, Proof, TrieNode,
    layout::{self, STREAMS_ADDRESS},
};
use hedgerow_records::StreamName;
use hedgerow_state::{AccountProof, State, View};
use hedgerow_streams::{StreamNodes, reading, stream_named};
use hedgerow_wire::{List, encode};

use crate::{
    Ledger,
    ledger::{META_CERTIFICATE, damaged},
    tables::{HISTORY, META},
};

/// The newest certificate.
#[derive(Debug)]
pub(crate) struct Certified {
    pub(crate) certificate: Certificate,
    pub(crate) header: Header,
    /// The state after its block; `None` after a restart at a later block, where only the head's state is known.
    pub(crate) state: Option<State>,
}

/// What asking for a proof gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proved {
    /// The proof.
    Proof(Box<Proof>),
    /// There is no such reading.
    NotFound,
    /// The reading's block has no certificate yet.
    NotYetFinal {
        /// The newest block with a certificate.
        certified: Height,
    },
}

impl<S: KvStore> Ledger<S> {
    /// Takes a certificate of a block that has been executed here: from now on readings are proved under it. It is kept
    /// over restarts. Says whether it was newer than the one before.
    ///
    /// # Errors
    /// The outer error is the store's. The inner one says why the certificate is not one.
    pub fn certify(
        &mut self,
        certificate: Certificate,
    ) -> Result<Result<bool, CertificateError>, StoreError> {
        let header = match certificate.verify(&self.trust_root().clone()) {
            Ok(header) => header,
            Err(error) => return Ok(Err(error)),
        };
        let known = self
            .certified
            .as_ref()
            .map(|certified| (certified.header.height, certified.state.is_some()));
        if known.is_some_and(|(height, provable)| {
            height > header.height || (height == header.height && provable)
        }) {
            return Ok(Ok(false));
        }
        let Some(state) = self.state_at(&header) else {
            return Ok(Ok(false));
        };
        let mut batch = hedgerow_kv::WriteBatch::default();
        batch.put(META, META_CERTIFICATE, encode(&certificate));
        self.store.commit(batch)?;
        self.certified = Some(Certified {
            certificate,
            header,
            state: Some(state),
        });
        Ok(Ok(true))
    }

    /// The state after the executed block with that header.
    fn state_at(&self, header: &Header) -> Option<State> {
        let hash = header.hash();
        let kept = self.kept.at(header.height);
        let kept = kept.map(|kept| (kept.height, kept.hash, &kept.state));
        let layers = self
            .layers
            .iter()
            .map(|layer| (layer.tip.header.height, layer.tip.hash, &layer.tip.state));
        let mut all = kept.into_iter().chain(layers);
        all.find(|(height, own, _)| *height == header.height && *own == hash)
            .map(|(.., state)| state.clone())
    }

    pub(crate) fn restore_certificate(
        &mut self,
        certificate: Certificate,
    ) -> Result<(), StoreError> {
        let header = certificate
            .verify(self.trust_root())
            .map_err(|_| damaged(META))?;
        let state = self.state_at(&header);
        self.certified = Some(Certified {
            certificate,
            header,
            state,
        });
        Ok(())
    }

    /// The newest certificate, to be given to whoever asks.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certified
            .as_ref()
            .map(|certified| &certified.certificate)
    }

    /// The height of the newest certificate; 0 where there is none.
    #[must_use]
    pub fn certified(&self) -> Height {
        self.certified
            .as_ref()
            .map_or(Height::ZERO, |certified| certified.header.height)
    }

    /// Proves a reading under the newest certificate.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn prove(&self, stream: &StreamName, sequence: u64) -> Result<Proved, StoreError> {
        // What is neither stable nor certified is not even said to exist.
        let provable = self.certified.as_ref().filter(|one| one.state.is_some());
        let certified = provable.map_or(Height::ZERO, |one| one.header.height);
        let view = self.view(certified.max(self.stable.header.height));
        let Some(id) = stream_named(&view, stream)? else {
            return Ok(Proved::NotFound);
        };
        let Some(found) = reading(&view, id, sequence)? else {
            return Ok(Proved::NotFound);
        };
        let certified = self.certified();
        let not_yet = Proved::NotYetFinal { certified };
        let Some(Certified {
            certificate,
            state: Some(state),
            ..
        }) = &self.certified
        else {
            return Ok(not_yet);
        };
        if found.leaf.height > certified {
            return Ok(not_yet);
        }
        let slots = [
            layout::stream_slot(id),
            layout::stream_root_slot(id),
            layout::name_slot(&stream.device),
        ];
        // Copying a state copies nothing.
        let proof = state.clone().prove(&STREAMS_ADDRESS, &slots);
        let [counts, root, name] = &proof.storage[..] else {
            return Ok(not_yet);
        };
        let device = layout::device_of_word(name.value);
        let [length, ..] = *counts.value.as_limbs();
        let nodes = StreamNodes::new(view, id);
        let path =
            Inclusion::prove(&nodes, length, found.position).map_err(|error| match error {
                ProveError::Nodes(error) => error,
                _ => damaged("nodes"),
            })?;
        Ok(Proved::Proof(Box::new(Proof {
            magic: PROOF_MAGIC,
            certificate: certificate.clone(),
            stream: stream.clone(),
            device,
            account: trie_nodes(proof.nodes.clone()),
            name_slot: trie_nodes(name.nodes.clone()),
            root_slot: trie_nodes(root.nodes.clone()),
            length,
            position: found.position,
            path,
            leaf: found.leaf,
        })))
    }

    /// What `eth_getProof` says of an account and its slots in the newest stable block's state.
    #[must_use]
    pub fn prove_account(&self, address: &Address, slots: &[U256]) -> AccountProof {
        self.stable.state.clone().prove(address, slots)
    }

    /// Whether the block that was executed here at the header's height is another one. When a certified header
    /// contradicts, either this member or f + 1 validators are at fault: stop, and compare.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn contradicts(&self, header: &Header) -> Result<bool, StoreError> {
        let own = self.header(header.height)?;
        Ok(own.is_some_and(|own| own != *header))
    }

    /// The path from an executed block's header to the history root in the header at `under`, which is later: with a
    /// certificate of the one at `under` it makes the earlier one final. `None` where there are no such blocks.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn prove_header(
        &self,
        height: Height,
        under: Height,
    ) -> Result<Option<Inclusion>, StoreError> {
        if height >= under || under > self.tip().header.height {
            return Ok(None);
        }
        let nodes = HistoryNodes::new(self.view(under));
        match Inclusion::prove(&nodes, under.0, height.0) {
            Ok(path) => Ok(Some(path)),
            Err(ProveError::Nodes(error)) => Err(error),
            Err(_) => Err(damaged(HISTORY)),
        }
    }
}

/// Nodes of the trie are at most 532 bytes long, their number at most 65: the bounds hold for what we made ourselves.
fn trie_nodes(nodes: Vec<Vec<u8>>) -> List<TrieNode, { hedgerow_proofs::MAX_TRIE_DEPTH }> {
    let nodes = nodes
        .into_iter()
        .map(|node| TrieNode::new(node).unwrap_or_default());
    List::new(nodes.collect()).unwrap_or_default()
}

/// The nodes of the Merkle mountain range over the hashes of all headers.
pub struct HistoryNodes<'a, S: ?Sized> {
    view: View<'a, S>,
}

impl<'a, S: KvStore + ?Sized> HistoryNodes<'a, S> {
    /// Those that `view` has.
    #[must_use]
    pub const fn new(view: View<'a, S>) -> Self {
        Self { view }
    }
}

impl<S: KvStore + ?Sized> Nodes for HistoryNodes<'_, S> {
    type Error = StoreError;

    fn node(&self, address: NodeAddress) -> Result<Option<Digest>, StoreError> {
        let Some(bytes) = self.view.get(HISTORY, &address.position().to_be_bytes())? else {
            return Ok(None);
        };
        bytes
            .try_into()
            .map(|bytes| Some(Digest(bytes)))
            .map_err(|_| damaged(HISTORY))
    }
}
