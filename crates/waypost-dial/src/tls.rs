//! TLS towards a target: whom the client trusts, who it is, and what the handshake found.
//!
//! Every connection makes a whole handshake: a resumed session would not show the certificate that a new caller sees.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::error::DialError;
use crate::progress::Progress;
use crate::resolve::Pinned;

mod asked;
mod insecure;
mod reason;
mod stream;

use asked::Asked;
pub(crate) use reason::sentence;
pub(crate) use stream::Secured;

/// What is wrong with certificates or a key, as the second half of a sentence: `must hold a certificate in PEM`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MaterialError(String);

/// The certification authorities that may have issued a target's certificate.
#[derive(Clone)]
pub struct Authorities(Arc<RootCertStore>);

/// A client's certificate with its key.
#[derive(Clone)]
pub struct Identity(Arc<CertifiedKey>);

/// How the certificate of a target is judged.
#[derive(Debug, Clone)]
pub enum Trust {
    /// It has to be issued by one of these, for the name, and now.
    Issuers(Authorities),
    /// It is not judged at all: the connection is secret and the other side may be anybody.
    Anybody,
}

/// What is spoken inside of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alpn {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// The client's side of TLS. Cloning shares it.
#[derive(Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    identity: Option<Identity>,
    name: Option<ServerName<'static>>,
}

impl Authorities {
    /// Reads certificates in PEM; whatever else the text holds between them is left out.
    ///
    /// # Errors
    /// When there is none, one cannot be read, or a private key is among them.
    pub fn from_pem(pem: &[u8]) -> Result<Self, MaterialError> {
        if contains(pem, b"PRIVATE KEY-----") {
            let rule = "must hold certificates only: it holds a private key, which has to be taken for known now";
            return Err(MaterialError(rule.to_owned()));
        }
        let mut store = RootCertStore::empty();
        for certificate in certificates(pem)? {
            let at = store.len() + 1;
            store.add(certificate).map_err(|error| {
                MaterialError(format!(
                    "must hold X.509 certificates; number {at} is none: {error}"
                ))
            })?;
        }
        Ok(Self(Arc::new(store)))
    }

    /// Reads the authorities that this machine trusts, from the files of its system. It reads files.
    ///
    /// # Errors
    /// When it has none.
    pub fn of_the_system() -> Result<Self, MaterialError> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if store.is_empty() {
            let rule = "this machine has no certificates of authorities (ca-certificates)";
            return Err(MaterialError(rule.to_owned()));
        }
        Ok(Self(Arc::new(store)))
    }
}

impl Identity {
    /// Reads a certificate with those that lead to its issuer, and its key, all in PEM.
    ///
    /// # Errors
    /// When one of them cannot be read, or the key is another certificate's.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, MaterialError> {
        let chain = certificates(certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| MaterialError(format!("must hold a private key in PEM: {error}")))?;
        let pair = CertifiedKey::from_der(chain, key, &ring::default_provider())
            .map_err(|error| MaterialError(format!("must be a key of the certificate: {error}")))?;
        Ok(Self(Arc::new(pair)))
    }
}

impl TlsClient {
    /// Makes a client that asks for the certificate of the target's own host.
    ///
    /// # Errors
    /// When the provider of the cryptography has no version of TLS, which cannot be.
    pub fn new(
        trust: &Trust,
        identity: Option<Identity>,
        alpn: Alpn,
    ) -> Result<Self, MaterialError> {
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| MaterialError(error.to_string()))?;
        let mut config = match trust {
            Trust::Issuers(authorities) => {
                builder.with_root_certificates(Arc::clone(&authorities.0))
            }
            Trust::Anybody => builder
                .dangerous()
                .with_custom_certificate_verifier(insecure::verifier()),
        }
        .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![alpn.name().to_vec()];
        Ok(Self {
            config: Arc::new(config),
            identity,
            name: None,
        })
    }

    /// Asks for the certificate of another name, which also goes into the `Host` header or `:authority`.
    ///
    /// # Errors
    /// [`DialError::Invalid`] when it is neither a host name nor an address.
    pub fn with_server_name(mut self, name: &str) -> Result<Self, DialError> {
        self.name = Some(name_of(name)?);
        Ok(self)
    }

    /// Gives host and port of the target under the name that is asked for.
    pub(crate) fn authority(&self, target: &Pinned) -> String {
        match &self.name {
            None => target.authority(),
            Some(ServerName::IpAddress(ip)) => {
                std::net::SocketAddr::new(IpAddr::from(*ip), target.port()).to_string()
            }
            Some(name) => format!("{}:{}", name.to_str(), target.port()),
        }
    }

    /// Makes the handshake over an open connection.
    pub(crate) async fn handshake(
        &self,
        stream: TcpStream,
        target: &Pinned,
        progress: &Progress,
    ) -> Result<Secured, DialError> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => name_of(target.host())?,
        };
        let asked = Arc::new(Asked::new(
            self.identity.as_ref().map(|it| Arc::clone(&it.0)),
        ));
        let mut config = ClientConfig::clone(&self.config);
        config.client_auth_cert_resolver = Arc::clone(&asked) as _;
        let connector = TlsConnector::from(Arc::new(config));
        match connector.connect(name, stream).await {
            Ok(stream) => {
                progress.secured();
                Ok(Secured::new(stream, asked))
            }
            Err(error) => {
                let (address, stage) = progress.reached();
                Err(asked.explain(DialError::exchanging(address, stage, &error)))
            }
        }
    }
}

impl Alpn {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.0.len())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient")
            .field("identity", &self.identity)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Err(error) => Err(MaterialError(format!("must be PEM: {error}"))),
        Ok(found) if found.is_empty() => Err(MaterialError(
            "must hold a certificate in PEM (-----BEGIN CERTIFICATE-----)".to_owned(),
        )),
        Ok(found) => Ok(found),
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// A trailing dot says that a name is whole; certificates are written without it.
fn name_of(host: &str) -> Result<ServerName<'static>, DialError> {
    let name = host.strip_suffix('.').unwrap_or(host);
    ServerName::try_from(name.to_owned()).map_err(|_| {
        let rule = "a certificate names hosts and addresses; the check can say another server_name";
        DialError::invalid("server_name", host, rule)
    })
}
