//! From typed call to typed answer.

use bytes::Bytes;
use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ClientError;
use crate::error::read_problem;
use crate::transport::{Answer, Call, Transport};

impl Call {
    /// A call without a body.
    pub(crate) fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            body: None,
            header: None,
            once: false,
        }
    }

    /// The same call, which is not sent again once the server may have carried it out.
    pub(crate) fn once(self) -> Self {
        Self { once: true, ..self }
    }

    /// A call with a JSON body.
    pub(crate) fn with_json(
        method: Method,
        path: String,
        body: &impl Serialize,
    ) -> Result<Self, ClientError> {
        let bytes = serde_json::to_vec(body)
            .map_err(|error| ClientError::usage(format!("the body cannot be written: {error}")))?;
        Ok(Self {
            body: Some(Bytes::from(bytes)),
            ..Self::new(method, path)
        })
    }
}

impl Transport {
    /// Sends `call` and reads the answer as `T`; an answer that is not a success becomes its problem.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, call: Call) -> Result<T, ClientError> {
        let what = format!("{} {}", call.method, call.path);
        self.send(call).await?.success()?.read(&what)
    }
}

impl Answer {
    /// Turns an answer that is not a success into the error that it describes.
    pub(crate) fn success(self) -> Result<Self, ClientError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let problem = read_problem(self.status, self.retry_after_seconds, &self.body);
        Err(ClientError::from_problem(problem))
    }

    /// Reads the body of the answer to `what`.
    pub(crate) fn read<T: DeserializeOwned>(&self, what: &str) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            ClientError::failed(format!("the answer to {what} is not understood: {error}"))
        })
    }
}
