//! What answers: one entry for each service, compiled when the registry changes and read without waiting.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use papaya::LocalGuard;
use waypost_core::{
    BoxFuture, NamespaceKind, NamespaceName, NamespaceState, Projection, Revision, ServiceKey,
    ServiceState, Snapshot, Touched, check_dns_service,
};

use crate::name::{labels, split_label, to_lower_wire};
use crate::reverse::{Replacement, Reverse, contribution};
use crate::service::Service;
use crate::settings::DnsConfig;
use crate::zone::Zone;

type Map<V> = papaya::HashMap<Box<[u8]>, V, foldhash::quality::RandomState>;

/// The compiled names of every namespace of DNS kind.
///
/// Readers never wait. Changes are brought in by one writer at a time, service by service: a name is never absent
/// while its answer changes.
pub struct Table {
    services: papaya::HashMap<Arc<[u8]>, Service, foldhash::quality::RandomState>,
    zones: Map<Arc<Zone>>,
    /// Names that have nothing of their own, but names below them: how many of those.
    above: Map<u32>,
    reverse: Reverse,
    /// Names that are this server itself.
    own: Vec<Zone>,
    /// The most labels that a service or zone has.
    labels_max: AtomicUsize,
    is_loaded: AtomicBool,
    config: DnsConfig,
    /// Held by whoever changes the maps.
    writing: Mutex<()>,
    /// Large services that changed while nobody asked for them, by name: they are compiled for the next asker.
    pending: Mutex<HashMap<Arc<[u8]>, Pending>>,
    has_pending: AtomicBool,
    defer_from: usize,
}

/// What a large service is now, and since when.
struct Pending {
    state: Arc<ServiceState>,
    zone: Arc<Zone>,
    revision: Revision,
}

/// What is taken in with a namespace that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bring {
    /// Its own settings.
    Itself,
    /// Every service too.
    All,
}

/// Services of so many instances are compiled when somebody asks for them: one that grows by thousands would be compiled
/// in whole for each.
const DEFER_FROM: usize = 1_000;

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("services", &self.services.len())
            .field("zones", &self.zones.len())
            .finish_non_exhaustive()
    }
}

/// Keeps what was found alive.
pub(crate) struct Guards<'a> {
    services: LocalGuard<'a>,
    zones: LocalGuard<'a>,
    above: LocalGuard<'a>,
}

/// Where a name lies. `own` are the labels before the name that was found, as on the wire without an end.
pub(crate) enum Place<'g, 'n> {
    /// It is a service, or lies below one.
    Service {
        service: &'g Service,
        /// The service's name.
        name: &'n [u8],
        own: &'n [u8],
    },
    /// It is a zone, or lies below one and not below any of its services.
    Zone { zone: &'g Arc<Zone>, own: &'n [u8] },
    /// It lies in no zone.
    Nowhere,
}

impl Table {
    /// Makes the table that has seen no snapshot yet: it answers SERVFAIL.
    pub fn new(config: &DnsConfig) -> Self {
        Self {
            services: papaya::HashMap::default(),
            zones: Map::default(),
            above: Map::default(),
            reverse: Reverse::new(config),
            own: Vec::new(),
            labels_max: AtomicUsize::new(0),
            is_loaded: AtomicBool::new(false),
            config: config.clone(),
            writing: Mutex::new(()),
            pending: Mutex::default(),
            has_pending: AtomicBool::new(false),
            defer_from: DEFER_FROM,
        }
    }

    /// Defers services of so many instances.
    #[cfg(test)]
    pub(crate) fn deferring(mut self, from: usize) -> Self {
        self.defer_from = from;
        self
    }

    /// Answers for a name with the address at which this server was asked, whatever the registry has. A name that is no
    /// DNS name is passed over.
    #[must_use]
    pub fn with_own_name(mut self, name: &str) -> Self {
        if let Some(apex) = to_lower_wire(name) {
            self.own
                .push(Zone::of_no_namespace(&apex, Revision(1), &self.config));
        }
        self
    }

    /// Returns the zone of a name (lower case) that is this server itself.
    pub(crate) fn own(&self, name: &[u8]) -> Option<&Zone> {
        self.own.iter().find(|zone| zone.apex() == name)
    }

    /// Returns how many services it answers for.
    pub fn services_len(&self) -> usize {
        self.services.len()
    }

    /// Lists the names of the zones of addresses.
    pub fn reverse_zones(&self) -> Vec<String> {
        let apexes = self.reverse.zones();
        apexes.filter_map(|zone| dotted(zone.apex())).collect()
    }

    /// Says whether it has seen a whole snapshot: before that nothing is known not to be there.
    pub(crate) fn is_loaded(&self) -> bool {
        self.is_loaded.load(Ordering::Acquire)
    }

    pub(crate) fn reverse(&self) -> &Reverse {
        &self.reverse
    }

    pub(crate) fn guards(&self) -> Guards<'_> {
        Guards {
            services: self.services.guard(),
            zones: self.zones.guard(),
            above: self.above.guard(),
        }
    }

    /// Finds the service of a whole name: what most questions ask for.
    pub(crate) fn service<'g>(&self, name: &[u8], guards: &'g Guards<'_>) -> Option<&'g Service> {
        let found = self.services.get(name, &guards.services)?;
        let found = if found.is_stale() {
            self.settle(name);
            self.services.get(name, &guards.services)?
        } else {
            found
        };
        found.note_asker();
        Some(found)
    }

    /// Compiles a service that was deferred.
    fn settle(&self, name: &[u8]) {
        let writing = self.writing.lock();
        let _writing = writing.unwrap_or_else(PoisonError::into_inner);
        self.settle_one(name);
    }

    /// Compiles every service that was deferred: names of addresses, and those of protocols, depend on all of them.
    pub(crate) fn settle_all(&self) {
        if !self.has_pending.load(Ordering::Acquire) {
            return;
        }
        let writing = self.writing.lock();
        let _writing = writing.unwrap_or_else(PoisonError::into_inner);
        let names: Vec<Arc<[u8]>> = self.lock_pending().keys().cloned().collect();
        for name in names {
            self.settle_one(&name);
        }
    }

    fn settle_one(&self, name: &[u8]) {
        let Some(pending) = self.take_pending(name) else {
            return;
        };
        let Pending {
            state,
            zone,
            revision,
        } = pending;
        self.put_service(&state, &zone);
        self.reverse.publish(revision);
    }

    fn lock_pending(&self) -> MutexGuard<'_, HashMap<Arc<[u8]>, Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_pending(&self, name: &[u8]) -> Option<Pending> {
        if !self.has_pending.load(Ordering::Acquire) {
            return None;
        }
        let mut pending = self.lock_pending();
        let taken = pending.remove(name);
        self.has_pending
            .store(!pending.is_empty(), Ordering::Release);
        taken
    }

    /// Puts a large service off that nobody has asked for since it was compiled; says whether it did.
    fn defers(&self, state: &Arc<ServiceState>, zone: &Arc<Zone>, revision: Revision) -> bool {
        if state.instances().len() < self.defer_from {
            return false;
        }
        let Some(name) = to_lower_wire(&state.service().key.to_string()) else {
            return false;
        };
        if self.is_occluded(&name, zone) {
            return false;
        }
        let pinned = self.services.pin();
        let known = pinned.get_key_value(&*name);
        let Some((name, known)) = known.filter(|(_, known)| Arc::ptr_eq(&known.zone, zone)) else {
            return false;
        };
        if known.was_asked() {
            return false;
        }
        let put_off = Pending {
            state: Arc::clone(state),
            zone: Arc::clone(zone),
            revision,
        };
        self.lock_pending().insert(Arc::clone(name), put_off);
        self.has_pending.store(true, Ordering::Release);
        // Whoever finds it old finds it among those that are put off.
        known.age();
        true
    }

    /// Finds the longest name at or above `name` (lower case) that is a service or a zone.
    pub(crate) fn find<'g, 'n>(&self, name: &'n [u8], guards: &'g Guards<'_>) -> Place<'g, 'n> {
        let count = labels(name).count();
        let mut skip = count.saturating_sub(self.labels_max.load(Ordering::Relaxed));
        let mut rest = name;
        loop {
            if skip == 0 {
                let own = name.get(..name.len() - rest.len()).unwrap_or_default();
                if let Some(service) = self.service(rest, guards) {
                    return Place::Service {
                        service,
                        name: rest,
                        own,
                    };
                }
                if let Some(zone) = self.zones.get(rest, &guards.zones) {
                    return Place::Zone { zone, own };
                }
            }
            skip = skip.saturating_sub(1);
            match split_label(rest) {
                Some((_, after)) => rest = after,
                None => return Place::Nowhere,
            }
        }
    }

    /// Says whether names lie below a name that has nothing of its own (RFC 8020).
    pub(crate) fn is_above_others(&self, name: &[u8], guards: &Guards<'_>) -> bool {
        !self.above.is_empty() && self.above.contains_key(name, &guards.above)
    }

    /// Takes everything in anew: at the start, and after the history was lost sight of.
    fn load(&self, snapshot: &Snapshot) {
        self.lock_pending().clear();
        self.has_pending.store(false, Ordering::Release);
        // What is gone leaves last, so that nothing that stays is absent in between.
        let gone: Vec<Box<[u8]>> = {
            let pinned = self.zones.pin();
            let known = pinned.keys().filter(|apex| !has_zone(snapshot, apex));
            known.cloned().collect()
        };
        for state in snapshot.namespaces() {
            self.bring_namespace(state, snapshot, Bring::All);
        }
        for apex in gone {
            self.drop_zone(&apex, snapshot);
        }
        let stale: Vec<Arc<[u8]>> = {
            let pinned = self.services.pin();
            let known = pinned.keys().filter(|name| !has_service(snapshot, name));
            known.cloned().collect()
        };
        for name in stale {
            self.drop_service(&name);
        }
        self.is_loaded.store(true, Ordering::Release);
    }

    fn change(&self, snapshot: &Snapshot, touched: &[Touched]) {
        let mut services: Vec<&ServiceKey> = Vec::new();
        for thing in touched {
            match thing {
                Touched::Namespace(name) => match snapshot.namespace(name) {
                    Some(state) => self.bring_namespace(state, snapshot, Bring::Itself),
                    None => {
                        if let Some(apex) = to_lower_wire(name.as_str()) {
                            self.drop_zone(&apex, snapshot);
                        }
                    }
                },
                Touched::Service(key) => services.push(key),
                Touched::Instance(key) => services.push(&key.service),
            }
        }
        services.sort_unstable();
        services.dedup();
        for key in services {
            self.bring_service(key, snapshot);
        }
    }

    /// Takes a namespace in; the services of a new zone with it.
    fn bring_namespace(&self, state: &NamespaceState, snapshot: &Snapshot, bring: Bring) {
        let namespace = state.namespace();
        let Some(apex) = to_lower_wire(namespace.name.as_str()) else {
            return;
        };
        if namespace.kind == NamespaceKind::Http {
            // It may have been made anew under the name of one that was a zone.
            self.drop_zone(&apex, snapshot);
            return;
        }
        let known = self.zones.pin().get(&*apex).cloned();
        let is_new = known.is_none();
        let Some(zone) = known.or_else(|| Zone::new(namespace, &self.config).map(Arc::new)) else {
            return;
        };
        if is_new || bring == Bring::All {
            self.note_labels(&apex);
            // The services first: a zone without them would say that they are not there.
            for service in state.services() {
                self.put_service(service, &zone);
            }
        }
        // The data before the serial that speaks of it.
        zone.update(state, &self.config);
        if is_new {
            self.count_above(&apex, true);
            self.zones.pin().insert(apex.clone().into(), zone);
            self.occlude(&apex, snapshot);
        }
    }

    fn drop_zone(&self, apex: &[u8], snapshot: &Snapshot) {
        let Some(zone) = self.zones.pin().remove(apex).cloned() else {
            return;
        };
        self.count_above(apex, false);
        // Names that an outer zone has too become its own, without being absent in between.
        self.occlude(apex, snapshot);
        let gone: Vec<Arc<[u8]>> = {
            let pinned = self.services.pin();
            let of_zone = pinned
                .iter()
                .filter(|(_, service)| Arc::ptr_eq(&service.zone, &zone));
            of_zone.map(|(name, _)| name.clone()).collect()
        };
        for name in gone {
            self.drop_service(&name);
        }
    }

    /// Looks again at the services of other zones whose names lie at or below a zone that came or went.
    fn occlude(&self, apex: &[u8], snapshot: &Snapshot) {
        let mut above = apex;
        while let Some((_, parent)) = split_label(above) {
            above = parent;
            let Some(state) = dotted(parent)
                .and_then(|name| NamespaceName::new(&name).ok())
                .and_then(|name| snapshot.namespace(&name))
            else {
                continue;
            };
            for service in state.services() {
                let key = &service.service().key;
                let name = to_lower_wire(&key.to_string());
                if name.is_some_and(|name| is_at_or_below(&name, apex)) {
                    self.bring_service(key, snapshot);
                }
            }
        }
    }

    fn bring_service(&self, key: &ServiceKey, snapshot: &Snapshot) {
        let Some(apex) = to_lower_wire(key.namespace.as_str()) else {
            return;
        };
        let Some(zone) = self.zones.pin().get(&*apex).cloned() else {
            return;
        };
        match snapshot.service(key) {
            Some(state) if self.defers(state, &zone, snapshot.revision()) => {}
            Some(state) => {
                if let Some(name) = to_lower_wire(&key.to_string()) {
                    drop(self.take_pending(&name));
                }
                self.put_service(state, &zone);
            }
            None => {
                if let Some(name) = to_lower_wire(&key.to_string()) {
                    let is_ours = {
                        let pinned = self.services.pin();
                        let known = pinned.get(&*name);
                        known.is_some_and(|service| Arc::ptr_eq(&service.zone, &zone))
                    };
                    if is_ours {
                        self.drop_service(&name);
                    }
                }
            }
        }
        // The data before the serial that speaks of it.
        if let Some(state) = snapshot.namespace(&key.namespace) {
            zone.update(state, &self.config);
        }
    }

    fn put_service(&self, state: &ServiceState, zone: &Arc<Zone>) {
        let key = &state.service().key;
        // Older data may hold services that could not be registered today; they have no name.
        if check_dns_service(key).is_err() {
            return;
        }
        let Some(name) = to_lower_wire(&key.to_string()) else {
            return;
        };
        if self.is_occluded(&name, zone) {
            let pinned = self.services.pin();
            let known = pinned.get(&*name);
            if known.is_some_and(|service| Arc::ptr_eq(&service.zone, zone)) {
                self.drop_service(&name);
            }
            return;
        }
        let service = Service::compile(state, zone, &self.config);
        let protocols = service.protocols();
        self.note_labels(&name);
        let pinned = self.services.pin();
        let after = contribution(&service);
        let known = pinned.get_key_value(&*name);
        let ours = known.filter(|(_, known)| Arc::ptr_eq(&known.zone, zone));
        zone.recount(ours.map_or(0, |(_, known)| known.protocols()), protocols);
        if ours.is_none() {
            self.count_between(&name, zone, true);
        }
        if let (Some((key, known)), None) = (known, ours) {
            // Another zone's until now, outer or inner: it changes hands without being absent in between.
            drop(self.take_pending(key));
            known.zone.recount(known.protocols(), 0);
            self.count_between(key, &known.zone, false);
        }
        let before = known.map_or_else(Vec::new, |(_, known)| contribution(known));
        let replacement = Replacement::of(&before, &after);
        let name = known.map_or_else(|| name.into(), |(key, _)| Arc::clone(key));
        pinned.insert(Arc::clone(&name), service);
        // The names of an address are read out of the services, which come first.
        if let Some(replacement) = replacement {
            self.reverse.replace(&name, &replacement);
        }
    }

    fn drop_service(&self, name: &[u8]) {
        drop(self.take_pending(name));
        let pinned = self.services.pin();
        let Some((key, service)) = pinned.remove_entry(name) else {
            return;
        };
        service.zone.recount(service.protocols(), 0);
        self.count_between(name, &service.zone, false);
        if let Some(replacement) = Replacement::of(&contribution(service), &[]) {
            self.reverse.replace(key, &replacement);
        }
    }

    /// Says whether a zone within the service's own has the name: as with a delegation, the inner one answers.
    fn is_occluded(&self, name: &[u8], zone: &Zone) -> bool {
        let pinned = self.zones.pin();
        let mut rest = name;
        while rest.len() > zone.apex().len() {
            if pinned.contains_key(rest) {
                return true;
            }
            match split_label(rest) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        false
    }

    /// Counts the names above a zone.
    fn count_above(&self, apex: &[u8], has_come: bool) {
        let mut rest = apex;
        while let Some((_, parent)) = split_label(rest) {
            rest = parent;
            self.count(parent, has_come);
        }
    }

    /// Counts the names between a service of several labels and its zone.
    fn count_between(&self, name: &[u8], zone: &Zone, has_come: bool) {
        let mut rest = name;
        while let Some((_, parent)) = split_label(rest) {
            rest = parent;
            if parent.len() <= zone.apex().len() {
                return;
            }
            self.count(parent, has_come);
        }
    }

    fn count(&self, name: &[u8], has_come: bool) {
        let pinned = self.above.pin();
        let known = pinned.get(name).copied().unwrap_or(0);
        match (known, has_come) {
            (known, true) => drop(pinned.insert(name.into(), known + 1)),
            (0 | 1, false) => drop(pinned.remove(name)),
            (known, false) => drop(pinned.insert(name.into(), known - 1)),
        }
    }

    fn note_labels(&self, name: &[u8]) {
        self.labels_max
            .fetch_max(labels(name).count(), Ordering::Relaxed);
    }
}

impl Projection for Table {
    fn name(&self) -> &'static str {
        "dns"
    }

    fn project<'a>(
        &'a self,
        snapshot: &'a Arc<Snapshot>,
        touched: Option<&'a [Touched]>,
    ) -> BoxFuture<'a, ()> {
        let writing = self.writing.lock();
        let _writing = writing.unwrap_or_else(PoisonError::into_inner);
        match touched {
            None => self.load(snapshot),
            Some(touched) => self.change(snapshot, touched),
        }
        self.reverse.publish(snapshot.revision());
        Box::pin(std::future::ready(()))
    }
}

fn is_at_or_below(name: &[u8], apex: &[u8]) -> bool {
    let mut rest = name;
    loop {
        if rest == apex {
            return true;
        }
        match split_label(rest) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
}

/// Writes a wire name as labels joined by dots; `None` for the root and for bytes that no namespace can have.
fn dotted(wire: &[u8]) -> Option<String> {
    let parts: Option<Vec<&str>> = labels(wire)
        .map(|label| std::str::from_utf8(label).ok())
        .collect();
    parts
        .filter(|parts| !parts.is_empty())
        .map(|parts| parts.join("."))
}

fn has_zone(snapshot: &Snapshot, apex: &[u8]) -> bool {
    dotted(apex)
        .and_then(|name| NamespaceName::new(&name).ok())
        .and_then(|name| snapshot.namespace(&name))
        .is_some_and(|state| state.namespace().kind != NamespaceKind::Http)
}

/// Says whether any way of parting the name gives a service that is there.
fn has_service(snapshot: &Snapshot, name: &[u8]) -> bool {
    let Some(whole) = dotted(name) else {
        return false;
    };
    let dots = whole.match_indices('.');
    dots.filter_map(|(at, _)| Some((whole.get(..at)?, whole.get(at + 1..)?)))
        .any(|(service, namespace)| snapshot.service_named(namespace, service).is_some())
}
