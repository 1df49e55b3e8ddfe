use std::borrow::Cow;

use serde::{Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A place in the rotation: `0`, `1`, `2`, `fail_open` or `out`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tier(pub(crate) waypost_core::Tier);

impl Serialize for Tier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            waypost_core::Tier::Fit => serializer.serialize_u8(0),
            waypost_core::Tier::Peer => serializer.serialize_u8(1),
            waypost_core::Tier::Suspect => serializer.serialize_u8(2),
            named => serializer.serialize_str(named.as_str()),
        }
    }
}

impl PartialSchema for Tier {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .enum_values(Some([0, 1, 2]));
        let word = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(["fail_open", "out"]));
        let either = OneOfBuilder::new().item(number).item(word);
        RefOr::T(Schema::OneOf(either.build()))
    }
}

impl ToSchema for Tier {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Tier")
    }
}
