//! One object out of a snapshot, as it was put in.

use std::sync::Arc;

use super::Snapshot;
use crate::batch::Object;
use crate::name::ObjectKey;

impl Snapshot {
    /// Returns an object as it is stored; a verdict that says only what the registration implies is given too.
    pub fn object(&self, key: &ObjectKey) -> Option<Object> {
        match key {
            ObjectKey::Namespace(name) => {
                let state = self.namespaces.get(name)?;
                Some(Object::Namespace(Arc::clone(&state.namespace)))
            }
            ObjectKey::Service(key) => {
                Some(Object::Service(Arc::clone(&self.service(key)?.service)))
            }
            ObjectKey::Registration(key) => {
                let instance = self.instance(key)?;
                let registration = Arc::clone(&instance.registration);
                Some(Object::Registration(instance.key().clone(), registration))
            }
            ObjectKey::Verdict(key) => {
                let instance = self.instance(key)?;
                Some(Object::Verdict(
                    instance.key().clone(),
                    instance.verdict().clone(),
                ))
            }
            ObjectKey::Mode(key) => {
                let (setting, _) = self.mode(key)?;
                Some(Object::Mode(key.clone(), Arc::clone(setting)))
            }
            ObjectKey::Document(key) => {
                let (document, _) = self.document(key)?;
                Some(Object::Document(Arc::clone(document)))
            }
        }
    }
}
