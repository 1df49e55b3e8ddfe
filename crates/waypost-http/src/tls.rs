//! TLS on the listener: its certificate, whose client certificates it takes, and the handshake.
//!
//! The files are read again when they change ([`ListenerTls::reload`]): connections made from then on see the new
//! certificate, those that are open go on. A file that cannot be used changes nothing.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ServerConfig, WebPkiClientVerifier};
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificate::{ClientCertificate, end_of};
use crate::linger::linger;

/// Most bytes of a file.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The first byte of a handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;
/// What a client reads that speaks HTTP without TLS.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Connection: close\r\nContent-Length: 48\r\n\r\nThis port speaks TLS: use https instead of http\n";

/// TLS of a listener: which files it reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate in PEM, with those that lead to its issuer after it. The file is read again when it changes.
    pub certificate: PathBuf,
    /// The key of the certificate in PEM; nobody else should be able to read it.
    pub key: PathBuf,
    /// Certificates in PEM of the authorities that issue client certificates; without it clients are not asked for one.
    #[serde(default)]
    pub client_authorities: Option<PathBuf>,
    /// Whether who shows no client certificate may go on, to send a token (`optional`), or may not (`required`).
    #[serde(default)]
    pub client_certificates: ClientCertificates,
}

/// Whether clients must show a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    /// They may.
    #[default]
    Optional,
    /// They must.
    Required,
}

/// A file of TLS that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tls.{field}: {rule}")]
pub struct TlsFault {
    /// The name of the field below `tls`.
    pub field: &'static str,
    /// What is wrong with it, as a sentence part.
    pub rule: String,
}

/// When a file was written, and how long it is; none when it is not there.
type Stamp = Option<(SystemTime, u64)>;

/// What was read, and what could not be.
struct Known {
    stamps: [Stamp; 3],
    /// What was wrong with files that changed since; they are tried again until they can be read.
    fault: Option<TlsFault>,
}

/// What is measured of the listener's certificate.
#[derive(Debug, Default)]
struct TlsMetrics {
    not_after: Gauge,
    reload_failed: Gauge,
}

impl TlsMetrics {
    fn follow(&self, ends: Option<SystemTime>) {
        let since = ends.and_then(|ends| ends.duration_since(UNIX_EPOCH).ok());
        let seconds = since.map_or(0, |since| since.as_secs());
        self.not_after
            .set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }
}

/// TLS of a listener, with what its files held when they were read last.
pub struct ListenerTls {
    files: TlsConfig,
    known: Mutex<Known>,
    current: RwLock<Arc<ServerConfig>>,
    metrics: TlsMetrics,
}

impl std::fmt::Debug for ListenerTls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ListenerTls")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl ListenerTls {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub fn load(files: &TlsConfig) -> Result<Self, TlsFault> {
        // Before the files themselves: one that changes in between is read again.
        let stamps = stamps(files);
        let (config, ends) = server_config(files)?;
        let metrics = TlsMetrics::default();
        metrics.follow(ends);
        Ok(Self {
            current: RwLock::new(Arc::new(config)),
            metrics,
            known: Mutex::new(Known {
                stamps,
                fault: None,
            }),
            files: files.clone(),
        })
    }

    /// Registers `http_certificate_not_after_timestamp_seconds` and `http_certificate_reload_failed`, behind the prefix of
    /// the registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "http_certificate_not_after_timestamp",
            "When the listener's certificate ends, or the first of those that lead to its issuer, since 1970",
            Unit::Seconds,
            self.metrics.not_after.clone(),
        );
        registry.register(
            "http_certificate_reload_failed",
            "1 while the listener's certificate has changed and cannot be used, so that the one before stays",
            self.metrics.reload_failed.clone(),
        );
    }

    /// Reads the files again if one of them changed, and says whether they did. It reads files.
    ///
    /// # Errors
    /// Which file cannot be used, and why: what was read before stays. The same fault is said once, and the
    /// files are tried again at the next call.
    pub fn reload(&self) -> Result<bool, TlsFault> {
        let stamps = stamps(&self.files);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.stamps == stamps {
            // The files may be again what they were.
            known.fault = None;
            self.metrics.reload_failed.set(0);
            return Ok(false);
        }
        let read = server_config(&self.files);
        self.metrics.reload_failed.set(i64::from(read.is_err()));
        match read {
            Ok((config, ends)) => {
                self.metrics.follow(ends);
                *known = Known {
                    stamps,
                    fault: None,
                };
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                *current = Arc::new(config);
                Ok(true)
            }
            Err(fault) if known.fault.as_ref() == Some(&fault) => Ok(false),
            Err(fault) => {
                known.fault = Some(fault.clone());
                Err(fault)
            }
        }
    }

    /// Makes the handshake, unless it is too late before; the error is the reason for the metric, `None` when the client
    /// only left.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        too_late: impl Future<Output = Option<&'static str>>,
    ) -> Result<(TlsStream<TcpStream>, ClientCertificate), Option<&'static str>> {
        let mut too_late = pin!(too_late);
        let mut first = [0];
        let peeked = tokio::select! {
            reason = &mut too_late => return Err(reason),
            peeked = stream.peek(&mut first) => peeked,
        };
        match (peeked, first) {
            (Err(_) | Ok(0), _) => return Err(None),
            (Ok(_), [HANDSHAKE]) => {}
            (Ok(_), _) => {
                linger(stream, PLAIN).await;
                return Err(Some("tls_expected"));
            }
        }
        let config = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        let made = tokio::select! {
            reason = &mut too_late => return Err(reason),
            made = TlsAcceptor::from(config).accept(stream) => made,
        };
        match made {
            Err(error) => {
                tracing::debug!(%peer, %error, "a TLS handshake failed");
                Err(Some("tls_handshake"))
            }
            Ok(stream) => {
                let shown = stream.get_ref().1.peer_certificates();
                let shown = shown.and_then(<[_]>::first);
                let certificate = shown.map(ClientCertificate::read).unwrap_or_default();
                Ok((stream, certificate))
            }
        }
    }
}

fn stamps(files: &TlsConfig) -> [Stamp; 3] {
    let of = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    [
        of(&files.certificate),
        of(&files.key),
        files.client_authorities.as_deref().and_then(of),
    ]
}

/// Reads the files, and when the first certificate of the chain ends.
fn server_config(files: &TlsConfig) -> Result<(ServerConfig, Option<SystemTime>), TlsFault> {
    let chain = certificates("certificate", &files.certificate)?;
    let ends = chain.iter().filter_map(end_of).min();
    let key = read("key", &files.key)?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| TlsFault {
        field: "key",
        rule: format!("must hold a private key in PEM: {error}"),
    })?;
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsFault {
            field: "certificate",
            rule: error.to_string(),
        })?;
    let builder = match &files.client_authorities {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(authorities(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            let verifier = match files.client_certificates {
                ClientCertificates::Optional => verifier.allow_unauthenticated(),
                ClientCertificates::Required => verifier,
            };
            let verifier = verifier.build().map_err(|error| TlsFault {
                field: "client_authorities",
                rule: error.to_string(),
            })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| TlsFault {
            field: "key",
            rule: format!("must be the key of the certificate: {error}"),
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if files.client_authorities.is_some() {
        // A session that is taken up again shows the certificate of its beginning, which may have ended since.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok((config, ends))
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsFault> {
    let field = "client_authorities";
    let mut store = RootCertStore::empty();
    for certificate in certificates(field, path)? {
        let at = store.len() + 1;
        store.add(certificate).map_err(|error| TlsFault {
            field,
            rule: format!("must hold X.509 certificates; number {at} is none: {error}"),
        })?;
    }
    Ok(store)
}

fn certificates(
    field: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let pem = read(field, path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let refuse = |why: String| {
        let path = path.display();
        let rule = format!("{path} must hold certificates in PEM: {why}");
        TlsFault { field, rule }
    };
    let found = read.map_err(|error| refuse(error.to_string()))?;
    if found.is_empty() {
        return Err(refuse("there is no BEGIN CERTIFICATE".to_owned()));
    }
    Ok(found)
}

fn read(field: &'static str, path: &Path) -> Result<Vec<u8>, TlsFault> {
    let refuse = |error: &io::Error| TlsFault {
        field,
        rule: format!("{} cannot be read: {error}", path.display()),
    };
    let file = File::open(path).map_err(|error| refuse(&error))?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| refuse(&error))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let rule = format!("{} is longer than {FILE_BYTES_MAX} bytes", path.display());
        return Err(TlsFault { field, rule });
    }
    Ok(bytes)
}
