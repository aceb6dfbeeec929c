use std::{path::Path, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{ConfigError, TlsConfig, broker::Identity};

/// What listens with TLS, from the files that the configuration names. `key` is the section's name, for errors.
pub(crate) fn acceptor(key: &str, config: &TlsConfig) -> Result<TlsAcceptor, ConfigError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = certificates(&format!("{key}.certificate"), &config.certificate)?;
    let secret = PrivateKeyDer::from_pem_file(&config.key).map_err(|error| {
        let mend = "name a PEM file with the private key of the certificate (PKCS #8 or SEC 1)";
        ConfigError::new(
            format!("{key}.key"),
            format!("{}: {error}", config.key.display()),
            mend,
        )
    })?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            ConfigError::new(
                key,
                error.to_string(),
                "this is a fault of the program: report it",
            )
        })?;
    let builder = match &config.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let ca_key = format!("{key}.client_ca");
            let mend = "name a PEM file with the certificates of the authorities that sign the devices' certificates";
            let mut roots = RootCertStore::empty();
            for certificate in certificates(&ca_key, path)? {
                roots.add(certificate).map_err(|error| {
                    ConfigError::new(ca_key.clone(), format!("{}: {error}", path.display()), mend)
                })?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if config.require_client_certificate {
                verifier
            } else {
                verifier.allow_unauthenticated()
            };
            let verifier = verifier.build().map_err(|error| {
                ConfigError::new(ca_key, format!("{}: {error}", path.display()), mend)
            })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let server = builder.with_single_cert(chain, secret).map_err(|error| {
        let mend = "make `certificate` and `key` belong to each other";
        ConfigError::new(key, error.to_string(), mend)
    })?;
    Ok(TlsAcceptor::from(Arc::new(server)))
}

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let wrong = |problem: String| {
        let mend = "name a readable PEM file with at least one certificate";
        ConfigError::new(key, format!("{}: {problem}", path.display()), mend)
    };
    let read = CertificateDer::pem_file_iter(path)
        .and_then(|found| found.collect::<Result<Vec<_>, _>>())
        .map_err(|error| wrong(error.to_string()))?;
    if read.is_empty() {
        Err(wrong("no certificate in it".into()))
    } else {
        Ok(read)
    }
}

/// Who the verified certificate names. Only keys that devices have (Ed25519, P-256) are taken.
pub(crate) fn identity(certificate: &CertificateDer<'_>) -> Result<Identity, &'static str> {
    const ED25519: &str = "1.3.101.112";
    const EC: &str = "1.2.840.10045.2.1";
    const P256: &str = "1.2.840.10045.3.1.7";
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|_| "the client certificate is malformed")?;
    let key = parsed.public_key();
    let curve = key
        .algorithm
        .parameters
        .as_ref()
        .and_then(|parameters| parameters.as_oid().ok());
    match key.algorithm.algorithm.to_id_string().as_str() {
        ED25519 => {}
        EC if curve.is_some_and(|curve| curve.to_id_string() == P256) => {}
        _ => return Err("the client certificate's key is neither Ed25519 nor P-256"),
    }
    let public_key = key.subject_public_key.data.to_vec();
    Ok(Identity {
        subject: parsed.subject().to_string(),
        public_key,
    })
}
