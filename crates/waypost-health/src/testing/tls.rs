//! Certificates, and targets inside of TLS on real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair,
};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A certification authority.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, both in PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        Self::named(&format!(
            "authority {}",
            MADE.fetch_add(1, Ordering::Relaxed)
        ))
    }

    pub(crate) fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    /// Issues a certificate for servers of these names and addresses.
    pub(crate) fn server(&self, names: &[&str]) -> Pair {
        self.issue(names, |_| {})
    }

    pub(crate) fn expired(&self, names: &[&str]) -> Pair {
        self.issue(names, |params| {
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        })
    }

    pub(crate) fn of_the_future(&self, names: &[&str]) -> Pair {
        self.issue(names, |params| {
            params.not_before = rcgen::date_time_ymd(2900, 1, 1);
        })
    }

    pub(crate) fn client(&self) -> Pair {
        self.issue(&["waypost"], |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        })
    }

    fn issue(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Pair::of(&params.signed_by(&key, &self.issuer).unwrap(), &key)
    }
}

impl Pair {
    fn of(certificate: &Certificate, key: &KeyPair) -> Self {
        Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// As `openssl req -x509` makes it: the certificate of an authority.
    pub(crate) fn self_signed_authority(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self::of(&params.self_signed(&key).unwrap(), &key)
    }
}

/// How a target speaks TLS.
#[derive(Clone)]
pub(crate) struct Manners {
    pub(crate) pair: Pair,
    /// Whose client certificates it wants.
    pub(crate) clients_of: Option<String>,
    /// The only protocol that it speaks, if it says so.
    pub(crate) alpn: Option<&'static [u8]>,
    /// The only version of TLS that it speaks.
    pub(crate) version: Option<&'static rustls::SupportedProtocolVersion>,
    /// Whether it says that it closes.
    pub(crate) takes_leave: bool,
}

impl Manners {
    pub(crate) fn of(pair: Pair) -> Self {
        Self {
            pair,
            clients_of: None,
            alpn: None,
            version: None,
            takes_leave: true,
        }
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = self
            .version
            .map_or(rustls::ALL_VERSIONS.to_vec(), |one| vec![one]);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .unwrap();
        let builder = match &self.clients_of {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                roots
                    .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
                    .unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = vec![CertificateDer::from_pem_slice(self.pair.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(self.pair.key.as_bytes()).unwrap();
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols.extend(self.alpn.map(<[u8]>::to_vec));
        Arc::new(config)
    }
}

/// A target that speaks HTTP inside of TLS; it ends with its connections when it is dropped.
pub(crate) struct SecuredTarget {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl SecuredTarget {
    /// Answers every request with these bytes, in which `{host}` is the `Host` header and `{name}` the name of SNI.
    pub(crate) async fn new(manners: Manners, answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(manners.config());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                let takes_leave = manners.takes_leave;
                connections.spawn(async move {
                    // A client that goes away during the handshake is what several tests are about.
                    drop(serve(acceptor, stream, answer, takes_leave).await);
                });
            }
        });
        Self {
            address,
            _tasks: tasks,
        }
    }
}

async fn serve(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    answer: &str,
    takes_leave: bool,
) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let host = head.lines().find_map(|line| line.strip_prefix("host: "));
    let name = stream
        .get_ref()
        .1
        .server_name()
        .unwrap_or("none")
        .to_owned();
    let answer = answer
        .replace("{host}", host.unwrap_or("none"))
        .replace("{name}", &name);
    stream.write_all(answer.as_bytes()).await?;
    stream.flush().await?;
    if takes_leave {
        stream.shutdown().await?;
    }
    Ok(())
}
