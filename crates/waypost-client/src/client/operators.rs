//! What operators do to an instance without asking its process.

use super::Client;
use crate::{
    Block, CheckWord, CheckWordAnswer, ClientError, Instance, InstanceRef, ModeChange, ModeReport,
    Resource,
};

impl Client {
    /// Changes the mode of an instance, its weight or its health: `PUT .../mode`.
    ///
    /// # Errors
    /// `NotFound` when it is not there; `Conflict` under a [condition](Self::only_if) that does not hold.
    pub async fn change_mode(
        &self,
        instance: &InstanceRef,
        change: &ModeChange,
    ) -> Result<Instance, ClientError> {
        self.put(self.path(Resource::Mode(instance))?, change).await
    }

    /// Gives what operators said of an instance, also of one that is gone.
    ///
    /// # Errors
    /// `NotFound` when it is not there and nothing was said of it.
    pub async fn mode(&self, instance: &InstanceRef) -> Result<ModeReport, ClientError> {
        self.get(Resource::Mode(instance)).await
    }

    /// Removes an instance and keeps everybody from registering it again for a while.
    ///
    /// # Errors
    /// As [`deregister`](Self::deregister).
    pub async fn deregister_and_block(
        &self,
        instance: &InstanceRef,
        block: &Block,
    ) -> Result<(), ClientError> {
        let path = Resource::Instance(instance)
            .path(self.namespace())?
            .query("block_seconds", Some(&block.seconds.to_string()))
            .query("reason", Some(&block.reason))
            .query("author", block.author.as_deref())
            .build();
        self.delete(path).await
    }

    /// Reports what a check of the kind `reported` says.
    ///
    /// # Errors
    /// `NotFound` when the instance or the check is not there; `Usage` for a check of another kind.
    pub async fn report_check(
        &self,
        instance: &InstanceRef,
        check: &str,
        word: &CheckWord,
    ) -> Result<CheckWordAnswer, ClientError> {
        let path = self.path(Resource::Check(instance, check))?;
        self.put(path, word).await
    }
}
