//! Whom the client trusts, and who it is.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::{ClientError, Secret};

/// Makes the client's side of TLS; for an address without TLS one that trusts nobody.
pub(crate) fn config(
    is_used: bool,
    authorities: Option<&[u8]>,
    identity: Option<(&[u8], &Secret)>,
) -> Result<ClientConfig, ClientError> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let roots = match authorities {
        Some(pem) => named(pem)?,
        None if is_used => of_the_system()?,
        None => RootCertStore::empty(),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::usage(format!("TLS cannot be used: {error}")))?
        .with_root_certificates(roots);
    let Some((chain, key)) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes()).map_err(|error| {
        ClientError::usage(format!(
            "the client's key must be a private key in PEM: {error}"
        ))
    })?;
    builder
        .with_client_auth_cert(certificates("the client's certificate", chain)?, key)
        .map_err(|error| {
            ClientError::usage(format!(
                "the client's certificate and key do not belong together: {error}"
            ))
        })
}

fn named(pem: &[u8]) -> Result<RootCertStore, ClientError> {
    let what = "the file of authorities";
    let mut store = RootCertStore::empty();
    for certificate in certificates(what, pem)? {
        store.add(certificate).map_err(|error| {
            ClientError::usage(format!("{what} must hold X.509 certificates: {error}"))
        })?;
    }
    Ok(store)
}

fn of_the_system() -> Result<RootCertStore, ClientError> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        return Err(ClientError::usage(
            "this machine has no certificates of authorities (ca-certificates): name a file with those to trust",
        ));
    }
    Ok(store)
}

fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Err(error) => Err(ClientError::usage(format!("{what} must be PEM: {error}"))),
        Ok(found) if found.is_empty() => Err(ClientError::usage(format!(
            "{what} must hold a certificate in PEM (-----BEGIN CERTIFICATE-----)"
        ))),
        Ok(found) => Ok(found),
    }
}
