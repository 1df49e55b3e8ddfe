use waypost_core::{BoxFuture, Store};
use waypost_testkit::conformance::Engine;

use super::Home;
use crate::SqliteStore;

/// A store that is closed in order, or killed, when it is opened again.
struct Subject {
    home: Home,
    store: Option<SqliteStore>,
    killed: bool,
}

impl Subject {
    async fn new(killed: bool) -> Self {
        let home = Home::new();
        let store = Some(home.open());
        Self {
            home,
            store,
            killed,
        }
    }
}

impl Engine for Subject {
    fn store(&self) -> &dyn Store {
        self.store.as_ref().unwrap()
    }

    fn reopen(&mut self) -> BoxFuture<'_, ()> {
        if self.killed {
            self.home = self.home.crash();
        }
        drop(self.store.take());
        self.store = Some(self.home.open());
        Box::pin(std::future::ready(()))
    }
}

mod closed_in_order {
    waypost_testkit::store_conformance!(|| super::Subject::new(false));
}

mod killed {
    waypost_testkit::store_conformance!(|| super::Subject::new(true));
}
