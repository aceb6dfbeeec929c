//! Who is at the other end: TLS 1.3 with raw Ed25519 public keys (RFC 7250) at both ends.
//!
//! A certificate would add nothing to the key but bytes that have to be parsed before anyone is known. The key is
//! compared with those of the genesis; that its owner has the secret half is checked by rustls.

use std::{collections::BTreeMap, sync::Arc};

use hedgerow_base::{Digest, NodeId};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    PeerIncompatible, ServerConfig, SignatureScheme,
    client::{
        AlwaysResolvesClientRawPublicKeys, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls13_signature_with_raw_key,
    },
    pki_types::{
        CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
    },
    server::{
        AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
    version::TLS13,
};

use crate::{TransportConfig, TransportError};

/// What comes before an Ed25519 public key in its SubjectPublicKeyInfo (RFC 8410 §4).
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// What comes before an Ed25519 secret in its PKCS #8 encoding (RFC 8410 §7).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A key in the form in which TLS carries it.
type Spki = Vec<u8>;

fn spki(public_key: &[u8; 32]) -> Spki {
    [&SPKI_PREFIX[..], public_key].concat()
}

/// Whoever answers or calls is not who it has to be.
#[derive(Debug, thiserror::Error)]
enum WrongKey {
    #[error(
        "it showed another key than member {0}'s: check the member's address, and that both have the same genesis"
    )]
    NotMember(NodeId),
    #[error("it showed a key that no member has: check that both have the same genesis")]
    Stranger,
}

impl From<WrongKey> for Error {
    fn from(error: WrongKey) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
    }
}

/// One's own key, and those by which the others are known.
#[derive(Debug)]
pub(crate) struct Identity {
    provider: Arc<CryptoProvider>,
    own: Arc<CertifiedKey>,
    protocol: Vec<u8>,
    members: Arc<BTreeMap<Spki, NodeId>>,
}

impl Identity {
    pub(crate) fn new(config: &TransportConfig) -> Result<Self, TransportError> {
        let me = config.me;
        let mut provider = ring::default_provider();
        provider
            .cipher_suites
            .retain(|suite| suite.version() == &TLS13);
        let pkcs8 = [&PKCS8_PREFIX[..], &config.seed].concat();
        let signing =
            ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8)).map_err(|error| {
                TransportError::Config(format!("the secret key can't be used: {error}"))
            })?;
        let own = signing
            .public_key()
            .map(|key| key.as_ref().to_vec())
            .unwrap_or_default();
        let listed = config.members.iter().find(|member| member.id == me);
        if listed.map(|member| spki(&member.public_key)).as_ref() != Some(&own) {
            return Err(TransportError::Config(format!(
                "the secret key is not that of member {me}: the genesis lists another public key for it"
            )));
        }
        let mut members = BTreeMap::new();
        for member in config.members.iter().filter(|member| member.id != me) {
            let key = spki(&member.public_key);
            if key == own || members.insert(key, member.id).is_some() {
                return Err(TransportError::Config(format!(
                    "member {} has the key of another member",
                    member.id
                )));
            }
        }
        Ok(Self {
            provider: Arc::new(provider),
            own: Arc::new(CertifiedKey::new(vec![CertificateDer::from(own)], signing)),
            protocol: protocol(&config.network),
            members: Arc::new(members),
        })
    }

    /// For sessions that others begin: anyone of the members.
    pub(crate) fn accepting(&self) -> Result<ServerConfig, TransportError> {
        let verifier = AnyMember {
            keys: self.members.clone(),
            schemes: self.provider.signature_verification_algorithms,
        };
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(unusable)?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(
                self.own.clone(),
            )));
        config.alpn_protocols = vec![self.protocol.clone()];
        // A resumed session would rest on an older proof.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    /// For sessions that one begins oneself: with nobody but `member`.
    pub(crate) fn dialling(
        &self,
        member: NodeId,
        public_key: &[u8; 32],
    ) -> Result<ClientConfig, TransportError> {
        let verifier = OneMember {
            member,
            key: spki(public_key),
            schemes: self.provider.signature_verification_algorithms,
        };
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(
                self.own.clone(),
            )));
        config.alpn_protocols = vec![self.protocol.clone()];
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        Ok(config)
    }

    /// The member whose key this is, as TLS shows it after a handshake.
    pub(crate) fn member(&self, shown: Option<&[CertificateDer<'_>]>) -> Option<NodeId> {
        self.members.get(shown?.first()?.as_ref()).copied()
    }
}

fn unusable(error: Error) -> TransportError {
    TransportError::Config(format!("TLS can't be used: {error}"))
}

/// What both ends must name (RFC 7301): this protocol's version, and the network.
fn protocol(network: &Digest) -> Vec<u8> {
    format!("hedgerow/1/{network}").into_bytes()
}

const fn tls12() -> Error {
    Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered)
}

#[derive(Debug)]
struct OneMember {
    member: NodeId,
    key: Spki,
    schemes: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for OneMember {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if end_entity.as_ref() == self.key {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(WrongKey::NotMember(self.member).into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature_with_raw_key(
            message,
            &SubjectPublicKeyInfoDer::from(cert.as_ref()),
            dss,
            &self.schemes,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct AnyMember {
    keys: Arc<BTreeMap<Spki, NodeId>>,
    schemes: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyMember {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.keys.contains_key(end_entity.as_ref()) {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(WrongKey::Stranger.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature_with_raw_key(
            message,
            &SubjectPublicKeyInfoDer::from(cert.as_ref()),
            dss,
            &self.schemes,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
