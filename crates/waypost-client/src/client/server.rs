//! How the server itself is.

use http::{Method, StatusCode};

use super::Client;
use crate::transport::{Answer, Call};
use crate::{ClientError, ServerHealth};

impl Client {
    /// Gives the health of the server itself, also when it says that it is not well (503).
    ///
    /// # Errors
    /// See [`ErrorKind`](crate::ErrorKind).
    pub async fn health(&self) -> Result<ServerHealth, ClientError> {
        let answer = self.ask_server("/health").await?;
        match answer.read("GET /health") {
            Ok(health) => Ok(health),
            Err(error) => answer.success().and(Err(error)),
        }
    }

    /// Gives the conditions of readiness, one a line: `[+]NAME ok` or `[-]NAME failed: WHY`, also when one fails (503).
    ///
    /// # Errors
    /// See [`ErrorKind`](crate::ErrorKind).
    pub async fn ready(&self) -> Result<String, ClientError> {
        let answer = self.ask_server("/readyz?verbose").await?;
        let answer = match answer.status {
            StatusCode::SERVICE_UNAVAILABLE => answer,
            _ => answer.success()?,
        };
        text(&answer, "GET /readyz?verbose")
    }

    /// Gives what the server measures, in Prometheus' text format.
    ///
    /// # Errors
    /// `Denied` without the right to read everything; else see [`ErrorKind`](crate::ErrorKind).
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let answer = self.ask_server("/metrics").await?.success()?;
        text(&answer, "GET /metrics")
    }

    async fn ask_server(&self, path: &str) -> Result<Answer, ClientError> {
        let call = Call::new(Method::GET, path.to_owned());
        self.transport.send(call).await
    }
}

fn text(answer: &Answer, what: &str) -> Result<String, ClientError> {
    String::from_utf8(answer.body.to_vec())
        .map_err(|_| ClientError::failed(format!("the answer to {what} is no text")))
}
