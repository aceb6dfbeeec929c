use hedgerow_base::Digest;

/// The BLAKE3 hash of `bytes`.
#[must_use]
pub fn hash(bytes: &[u8]) -> Digest {
    Digest(*blake3::hash(bytes).as_bytes())
}

/// The BLAKE3 hash of the concatenated `parts`. The caller sees to it that their boundaries are unambiguous,
/// usually by a first part of fixed length that names the domain.
#[must_use]
pub fn hash_parts(parts: &[&[u8]]) -> Digest {
    let mut hasher = Hasher::default();
    for part in parts {
        hasher.update(part);
    }
    hasher.finish()
}

/// BLAKE3 over bytes that come in pieces.
#[derive(Clone, Debug, Default)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    /// The hash of all bytes taken.
    #[must_use]
    pub fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}
