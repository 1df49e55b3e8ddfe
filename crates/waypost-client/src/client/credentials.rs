//! What administrators do: credentials and the journal.

use http::Method;

use super::Client;
use crate::transport::Call;
use crate::wire::RotationBody;
use crate::{
    AuditFilter, AuditPage, ClientError, InstanceRef, IssuedToken, Resource, TokenList,
    TokenSettings,
};

impl Client {
    /// Issues a token, or a key pair of AWS's kind: `POST /v1/tokens`. Its secret is in this answer only.
    ///
    /// # Errors
    /// `Denied` without the verb `admin`; else see [`ErrorKind`].
    pub async fn issue_token(&self, settings: &TokenSettings) -> Result<IssuedToken, ClientError> {
        let path = self.path(Resource::Tokens)?;
        // A second time would issue another one, whose secret nobody saw.
        let call = Call::with_json(Method::POST, path, settings)?.once();
        self.transport.ask(call).await
    }

    /// Gives every credential that was issued, without secrets.
    ///
    /// # Errors
    /// `Denied` without the verb `admin`; else see [`ErrorKind`].
    pub async fn tokens(&self) -> Result<TokenList, ClientError> {
        self.get(Resource::Tokens).await
    }

    /// Issues a credential in the place of another one, which ends after so many seconds, or at once.
    ///
    /// # Errors
    /// `NotFound` when there is none of that id.
    pub async fn rotate_token(
        &self,
        id: &str,
        grace_seconds: Option<u32>,
    ) -> Result<IssuedToken, ClientError> {
        let path = self.path(Resource::Rotation(id))?;
        let body = RotationBody { grace_seconds };
        // A second time would rotate what is no longer there.
        let call = Call::with_json(Method::POST, path, &body)?.once();
        self.transport.ask(call).await
    }

    /// Gives a page of the journal: accepted changes, refused requests, changes of health. Only a page without `next` is the
    /// last one, however few lines it has.
    ///
    /// # Errors
    /// `Denied` without the verb `admin`; else see [`ErrorKind`].
    pub async fn audit(&self, filter: &AuditFilter) -> Result<AuditPage, ClientError> {
        self.get(Resource::Audit(filter)).await
    }

    /// Gives a page of the changes of an instance's health, newest first, also of one that is gone. Of the filter only
    /// `before` and `limit` count.
    ///
    /// # Errors
    /// `Denied` where the service may not be read; else see [`ErrorKind`].
    pub async fn history(
        &self,
        instance: &InstanceRef,
        filter: &AuditFilter,
    ) -> Result<AuditPage, ClientError> {
        let filter = AuditFilter {
            before: filter.before,
            limit: filter.limit,
            ..AuditFilter::default()
        };
        self.get(Resource::History(instance, &filter)).await
    }

    /// Revokes a credential; it ends at once.
    ///
    /// # Errors
    /// `NotFound` when there is none of that id.
    pub async fn revoke_token(&self, id: &str) -> Result<(), ClientError> {
        self.delete(self.path(Resource::Token(id))?).await
    }
}
