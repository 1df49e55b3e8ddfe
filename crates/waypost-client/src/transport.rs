//! One call over a pooled connection: bounded in time and size, repeated when the connection failed.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::address::Address;
use crate::retry::Backoff;
use crate::{ClientError, ErrorKind};

/// Longest answer that is read. A page of 1,000 large instances is a tenth of it.
pub(crate) const LONGEST_ANSWER_BYTES: usize = 64 * 1024 * 1024;
const LONGEST_CONNECT: Duration = Duration::from_secs(5);
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
const IDLE_CONNECTION: Duration = Duration::from_secs(60);
const IDLE_CONNECTIONS: usize = 8;

type HttpClient = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// What a [`Transport`] is made of.
pub(crate) struct TransportSettings {
    pub(crate) address: Address,
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) tls: rustls::ClientConfig,
    pub(crate) timeout: Duration,
    pub(crate) attempts: u32,
}

/// Sends calls to one server.
pub(crate) struct Transport {
    http: HttpClient,
    address: Address,
    authorization: Option<HeaderValue>,
    timeout: Duration,
    attempts: u32,
    /// Unix seconds of the latest `Date` header; 0 before the first.
    server_time_seconds: AtomicU64,
}

/// A call.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Option<Bytes>,
    /// A header of this call's own.
    pub(crate) header: Option<(HeaderName, String)>,
    /// Whether it may not be sent again once the server may have carried it out: twice would not come to the same as
    /// once.
    pub(crate) once: bool,
}

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after_seconds: Option<u64>,
    pub(crate) body: Bytes,
    /// An earlier attempt may have been carried out although no answer came.
    pub(crate) may_be_second: bool,
}

/// Why one attempt gave no answer.
enum Failure {
    /// No connection was made: the server has not seen the call.
    NotSent(String),
    /// The connection broke: the server may have carried the call out.
    Broken(String),
    /// Repeating would not help.
    Final(ClientError),
}

impl Transport {
    pub(crate) fn new(settings: TransportSettings) -> Self {
        let mut connector = HttpConnector::new();
        // An address that swallows packets shall be "unreachable", not "timeout", when there is time to tell.
        connector.set_connect_timeout(Some(LONGEST_CONNECT.min(settings.timeout.mul_f64(0.8))));
        connector.set_nodelay(true);
        // The address says which of the two is spoken.
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(settings.tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_CONNECTION)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector);
        Self {
            http,
            address: settings.address,
            authorization: settings.authorization,
            timeout: settings.timeout,
            attempts: settings.attempts,
            server_time_seconds: AtomicU64::new(0),
        }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn server_time(&self) -> Option<SystemTime> {
        match self.server_time_seconds.load(Ordering::Relaxed) {
            0 => None,
            seconds => SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)),
        }
    }

    /// Sends `call` until an answer comes, the attempts are used up, or the time is over.
    pub(crate) async fn send(&self, call: Call) -> Result<Answer, ClientError> {
        let uri = self.address.join(&call.path)?;
        let mut last = None;
        let attempts = self.send_repeatedly(&call, &uri, &mut last);
        match tokio::time::timeout(self.timeout, attempts).await {
            Ok(outcome) => outcome,
            // The reason of the latest failed attempt says more than "timeout" does.
            Err(_) => Err(last.map_or_else(|| self.timed_out(&call), |why| self.unreachable(&why))),
        }
    }

    async fn send_repeatedly(
        &self,
        call: &Call,
        uri: &Uri,
        last: &mut Option<String>,
    ) -> Result<Answer, ClientError> {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let mut may_be_second = false;
        for attempt in 1.. {
            let why = match self.attempt(call, uri).await {
                Ok(answer) => {
                    return Ok(Answer {
                        may_be_second,
                        ..answer
                    });
                }
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::NotSent(why)) => why,
                Err(Failure::Broken(why)) if call.once => {
                    let why = format!("{why}; whether it was carried out is not known");
                    return Err(self.unreachable(&why));
                }
                Err(Failure::Broken(why)) => {
                    may_be_second = true;
                    why
                }
            };
            if attempt >= self.attempts {
                return Err(self.unreachable(&why));
            }
            *last = Some(why);
            tokio::time::sleep(backoff.wait()).await;
        }
        Err(ClientError::failed("no attempt was made"))
    }

    async fn attempt(&self, call: &Call, uri: &Uri) -> Result<Answer, Failure> {
        let request = self.request(call, uri)?;
        let response = self.http.request(request).await.map_err(|error| {
            let why = innermost(&error);
            if error.is_connect() {
                Failure::NotSent(why)
            } else {
                Failure::Broken(why)
            }
        })?;
        let (head, body) = response.into_parts();
        self.note_time(&head.headers);
        Ok(Answer {
            status: head.status,
            retry_after_seconds: header_number(&head.headers),
            body: read(body).await?,
            may_be_second: false,
        })
    }

    /// Sends `call` once and gives the body of its answer while that still comes.
    pub(crate) async fn open(&self, call: &Call) -> Result<Incoming, ClientError> {
        let uri = self.address.join(&call.path)?;
        let failed = |failure| match failure {
            Failure::NotSent(why) | Failure::Broken(why) => self.unreachable(&why),
            Failure::Final(error) => error,
        };
        let opened = async {
            let request = self.request(call, &uri).map_err(failed)?;
            let response = self.http.request(request).await;
            let response = response.map_err(|error| self.unreachable(&innermost(&error)))?;
            let (head, body) = response.into_parts();
            self.note_time(&head.headers);
            if head.status.is_success() {
                return Ok(body);
            }
            let answer = Answer {
                status: head.status,
                retry_after_seconds: header_number(&head.headers),
                body: read(body).await.map_err(failed)?,
                may_be_second: false,
            };
            let status = answer.status;
            Err(answer
                .success()
                .err()
                .unwrap_or_else(|| ClientError::failed(format!("the server answered {status}"))))
        };
        match tokio::time::timeout(self.timeout, opened).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.timed_out(call)),
        }
    }

    /// Says that a stream ended although nobody asked for that.
    pub(crate) fn cut_off(&self, why: &(dyn Error + 'static)) -> ClientError {
        self.unreachable(&innermost(why))
    }

    fn request(&self, call: &Call, uri: &Uri) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(uri.clone())
            .header(ACCEPT, "application/json, text/event-stream")
            .header(
                USER_AGENT,
                concat!("waypost-client/", env!("CARGO_PKG_VERSION")),
            );
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if call.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some((name, value)) = &call.header {
            request = request.header(name, value);
        }
        request
            .body(Full::new(call.body.clone().unwrap_or_default()))
            .map_err(|error| Failure::Final(ClientError::usage(format!("no valid call: {error}"))))
    }

    fn note_time(&self, headers: &HeaderMap) {
        let seconds = headers
            .get(DATE)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| httpdate::parse_http_date(text).ok())
            .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        if let Some(seconds) = seconds {
            self.server_time_seconds
                .store(seconds.as_secs(), Ordering::Relaxed);
        }
    }

    fn unreachable(&self, why: &str) -> ClientError {
        let address = &self.address;
        ClientError::new(
            ErrorKind::Unreachable,
            format!("cannot reach {address}: {why}"),
        )
    }

    fn timed_out(&self, call: &Call) -> ClientError {
        let Call { method, path, .. } = call;
        let (address, seconds) = (&self.address, self.timeout.as_secs_f64());
        ClientError::new(
            ErrorKind::Timeout,
            format!("no answer from {address} to {method} {path} within {seconds} s"),
        )
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Transport")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

async fn read(body: Incoming) -> Result<Bytes, Failure> {
    let limited = Limited::new(body, LONGEST_ANSWER_BYTES);
    match limited.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Failure::Final(ClientError::failed(
            format!("the answer is longer than {LONGEST_ANSWER_BYTES} bytes"),
        ))),
        Err(error) => Err(Failure::Broken(innermost(error.as_ref()))),
    }
}

/// The cause at the bottom: "connection refused" rather than the layers that passed it on.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    let text = deepest.to_string();
    // The operating system's number helps nobody who reads the sentence.
    match text.split_once(" (os error") {
        Some((sentence, _)) => sentence.to_lowercase(),
        None => text,
    }
}

fn header_number(headers: &HeaderMap) -> Option<u64> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}
