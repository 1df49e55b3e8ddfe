//! Closed sets of words that a later server may widen.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Defines an enum that is one word on the wire, with `Other` for words of a later server.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, default $default:ident { $($(#[$word_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$word_doc])* $variant,)+
            /// A word that this version of the client does not know.
            Other(String),
        }

        impl $name {
            /// Gives the word as it is on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($word => Self::$variant,)+
                    _ => Self::Other(word),
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::$default
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::from)
            }
        }
    };
}

words! {
    /// The verdict on an instance in one word.
    Health, default Unknown {
        /// Passing.
        Healthy = "Healthy",
        /// Working with reservations; still in rotation.
        Warning = "Warning",
        /// Nothing is known yet.
        Unknown = "Unknown",
        /// Failing, or its lease ended.
        Unhealthy = "Unhealthy",
    }
}

words! {
    /// What an operator, or the process itself, says about an instance.
    Mode, default Active {
        /// Takes part.
        Active = "Active",
        /// Finishes what it has and takes nothing new.
        Draining = "Draining",
        /// Taken out by an operator.
        Maintenance = "Maintenance",
    }
}

words! {
    /// How a check finds out.
    CheckKind, default Http {
        /// The server asks a URL of the instance.
        Http = "http",
        /// The same inside of TLS.
        Https = "https",
        /// The server calls gRPC's health service of the instance.
        Grpc = "grpc",
        /// The server opens a connection to a port of the instance.
        Tcp = "tcp",
        /// The instance has to be heard of within a time.
        Heartbeat = "heartbeat",
        /// Somebody reports the result.
        Reported = "reported",
    }
}

words! {
    /// What a check says now.
    CheckState, default Unknown {
        /// The latest results pass.
        Passing = "passing",
        /// The latest results pass with reservations.
        Warning = "warning",
        /// The latest results fail.
        Failing = "failing",
        /// There is no result yet.
        Unknown = "unknown",
    }
}

words! {
    /// Where a lease stands.
    LeaseState, default NotStarted {
        /// It starts with the first heartbeat.
        NotStarted = "not_started",
        /// The instance was heard of in time.
        Running = "running",
        /// It would be over, but protection holds the instance for one more lease.
        Suspect = "suspect",
        /// The instance was not heard of in time.
        Over = "over",
    }
}

/// The place of an instance in its rotation, in order of preference.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tier {
    /// 0 is preferred to 1 and 1 to 2; only the first that is not empty is served.
    Number(u8),
    /// Served only when every numbered tier is empty and the service says `fail_open`.
    FailOpen,
    /// Not served.
    Out,
    /// A word that this version of the client does not know.
    Other(String),
}

impl fmt::Display for Tier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(formatter, "{number}"),
            Self::FailOpen => formatter.write_str("fail_open"),
            Self::Out => formatter.write_str("out"),
            Self::Other(word) => formatter.write_str(word),
        }
    }
}

impl Serialize for Tier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_u8(*number),
            Self::FailOpen | Self::Out | Self::Other(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Tier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum NumberOrWord {
            Number(u8),
            Word(String),
        }
        Ok(match NumberOrWord::deserialize(deserializer)? {
            NumberOrWord::Number(number) => Self::Number(number),
            NumberOrWord::Word(word) if word == "fail_open" => Self::FailOpen,
            NumberOrWord::Word(word) if word == "out" => Self::Out,
            NumberOrWord::Word(word) => Self::Other(word),
        })
    }
}
