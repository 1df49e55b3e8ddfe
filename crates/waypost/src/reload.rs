//! SIGHUP: the configuration is read again, what can follow it follows, and what cannot is named.

use std::fmt;

use waypost_config::Loaded;

use crate::config::{Config, SettingArguments};
use crate::wire;

/// Makes a part follow a new configuration; says what it took over, if that is something new, or why the old stays.
type Apply = Box<dyn Fn(&Config) -> Result<Option<String>, String> + Send + Sync>;

/// A part that can follow the configuration while it runs.
pub(crate) struct Reload {
    /// The settings, or sections, that it follows.
    settings: &'static [&'static str],
    apply: Apply,
}

impl Reload {
    pub(crate) fn new(
        settings: &'static [&'static str],
        apply: impl Fn(&Config) -> Result<Option<String>, String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            settings,
            apply: Box::new(apply),
        }
    }

    fn follows(&self, changed: &str) -> bool {
        self.settings.iter().any(|setting| {
            let rest = changed.strip_prefix(setting);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reload").field(&self.settings).finish()
    }
}

/// Reads the configuration again and hands it to the parts.
#[derive(Debug)]
pub(crate) struct Reloader {
    arguments: SettingArguments,
    started: Loaded<Config>,
    parts: Vec<Reload>,
}

impl Reloader {
    pub(crate) fn new(
        arguments: SettingArguments,
        started: Loaded<Config>,
        parts: Vec<Reload>,
    ) -> Self {
        Self {
            arguments,
            started,
            parts,
        }
    }

    /// Reloads once and logs what became of it. With anything wrong in the configuration nothing changes at all.
    pub(crate) fn reload(&self) {
        let loaded = self.arguments.load().map_err(|errors| errors.to_string());
        let checked = loaded.and_then(|loaded| match wire::check(&loaded) {
            Ok(_) => Ok(loaded),
            Err(error) => Err(error.to_string()),
        });
        let loaded = match checked {
            Ok(loaded) => loaded,
            Err(why) => {
                let why = why.trim_end();
                tracing::error!("the configuration was not reloaded, the old one stays: {why}");
                return;
            }
        };
        for part in &self.parts {
            match (part.apply)(&loaded.value) {
                Ok(None) => {}
                Ok(Some(what)) => tracing::info!("reloaded: {what}"),
                Err(why) => tracing::error!("not reloaded, the old one stays: {why}"),
            }
        }
        for setting in self.started.differences(&loaded) {
            if !self.parts.iter().any(|part| part.follows(&setting)) {
                tracing::warn!(%setting, "the setting has changed and needs a restart");
            }
        }
        tracing::info!("the configuration was read again");
    }
}

#[cfg(test)]
mod tests {
    use super::Reload;

    #[test]
    fn a_part_follows_a_setting_a_section_and_what_is_in_a_list() {
        let part = Reload::new(&["telemetry.log_filter", "http.tls"], |_| Ok(None));
        for setting in ["telemetry.log_filter", "http.tls.key", "http.tls[0].key"] {
            assert!(part.follows(setting), "{setting}");
        }
        for setting in [
            "telemetry.log_format",
            "http.tls_versions",
            "http",
            "telemetry",
        ] {
            assert!(!part.follows(setting), "{setting}");
        }
    }
}
