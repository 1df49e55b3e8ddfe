use serde::Serialize;
use utoipa::ToSchema;

/// A namespace.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Namespace {
    /// Its name.
    pub(crate) name: String,
    /// Its id, `ns-...`.
    pub(crate) id: String,
    /// Who can look it up: `PrivateDns`, `PublicDns` or `Http`.
    pub(crate) kind: &'static str,
    /// Free text.
    pub(crate) description: String,
    /// Number of its services.
    pub(crate) services: usize,
    /// Position of the latest change in it, `epoch.revision`.
    pub(crate) revision: String,
}
