//! What an adapter keeps with a connection, from one request to the next.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// One value of an adapter's, as long as the connection lasts. Cloning shares it.
#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<OnceLock<Box<dyn Any + Send + Sync>>>);

impl Kept {
    /// Returns the value, which begins as its default; none where another type is kept.
    pub(crate) fn of<T: Any + Default + Send + Sync>(&self) -> Option<&T> {
        let kept = self.0.get_or_init(|| Box::new(T::default()));
        kept.downcast_ref()
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Kept").finish_non_exhaustive()
    }
}
