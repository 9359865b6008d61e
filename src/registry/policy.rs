//! What an operator set of a service: its policy and its configuration values.
//!
//! All of it is one immutable value, [`ServiceSettings`], which the table swaps
//! whole and the views carry. It's plain data, so that it can be kept anywhere.
//! It doesn't depend on instances: it's there before the first one registers and
//! stays when the last one has left.
//!
//! Each part has a revision of its own, which moves whenever that part is set. Who
//! changes something may name the one it knows, in a
//! [`Condition`](super::condition::Condition), so that no change of another goes
//! under unseen. Pure: nothing here knows the table.

use std::collections::BTreeMap;
use std::time::Duration;

use super::guard::{GuardPolicy, MAX_HOLD};
use super::registration::InvalidField;
use crate::api::policy::{GuardFields, PolicyFields};
use crate::name::Label;
use crate::time::TimeSpan;

/// Longest TTL that may be set: what a client holds that long can't be withdrawn sooner.
pub const MAX_TTL: Duration = Duration::from_secs(3600);
/// Most `max_answers` of a policy; more would seldom fit a message.
pub const MAX_ANSWERS: u16 = 1000;
/// Most fixed TXT strings of a policy.
pub const MAX_STRINGS: usize = 16;
/// Most octets of each ([RFC 1035](https://www.rfc-editor.org/rfc/rfc1035) §3.3).
pub const MAX_STRING_LEN: usize = 255;
/// Most configuration values of a service.
pub const MAX_VALUES: usize = 64;
/// Most octets of one value.
pub const MAX_VALUE_LEN: usize = 4096;
/// Most octets of a service's configuration, keys and values together.
pub const MAX_CONFIG_LEN: usize = 16 * 1024;
/// The key whose value is gRPC's service config, answered at `_grpc_config.S.Z`.
pub const GRPC_CONFIG: &str = "grpc-config";

/// Everything that an operator set of one service. One without any of it has none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServiceSettings {
    /// How it's answered.
    pub policy: Option<Revised<Policy>>,
    /// Its configuration values, at most [`MAX_VALUES`] and [`MAX_CONFIG_LEN`].
    pub config: BTreeMap<Label, Revised<Box<str>>>,
}

/// A value and when it was set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Revised<T> {
    /// The value.
    pub value: T,
    /// Higher than that of everything that was set before.
    pub revision: u64,
}

/// How a service is answered, as far as it isn't as the server's settings say.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Policy {
    /// TTL of its answers, before leases bound it; whole seconds up to [`MAX_TTL`].
    pub ttl: Option<Duration>,
    /// TTL of its negative answers; likewise.
    pub negative_ttl: Option<Duration>,
    /// Most records of an answer, 1 to [`MAX_ANSWERS`]; any number when left out.
    pub max_answers: Option<u16>,
    /// What is answered while nobody is listed.
    pub when_none_healthy: WhenNoneHealthy,
    /// What TXT at the service's name says.
    pub txt: ServiceTxt,
    /// When its leases are held that run out together.
    pub guard: GuardPolicy,
}

/// What is answered of a service of which nobody is listed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum WhenNoneHealthy {
    /// Nothing, with the reason why.
    #[default]
    NoData,
    /// Those that fail or are starting, as if they were listed.
    All,
    /// That the service doesn't exist.
    NxDomain,
}

impl WhenNoneHealthy {
    const ALL: [Self; 3] = [Self::NoData, Self::All, Self::NxDomain];

    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoData => "nodata",
            Self::All => "all",
            Self::NxDomain => "nxdomain",
        }
    }
}

/// What TXT at a service's name says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum ServiceTxt {
    /// A record for each listed instance.
    #[default]
    Instances,
    /// Nothing.
    Nothing,
    /// One record of these strings, 1 to [`MAX_STRINGS`] of up to [`MAX_STRING_LEN`] octets.
    Strings(Box<[Box<str>]>),
}

impl ServiceSettings {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.policy.is_none() && self.config.is_empty()
    }

    /// The policy, if one is set.
    pub fn policy(&self) -> Option<&Policy> {
        self.policy.as_ref().map(|policy| &policy.value)
    }

    /// What is answered while nobody is listed.
    pub fn when_none_healthy(&self) -> WhenNoneHealthy {
        self.policy()
            .map(|policy| policy.when_none_healthy)
            .unwrap_or_default()
    }

    /// The configuration values that are answered one by one.
    pub fn plain_config(&self) -> impl Iterator<Item = (&str, &str)> {
        self.config
            .iter()
            .map(|(key, value)| (key.as_str(), &*value.value))
            .filter(|(key, _)| *key != GRPC_CONFIG)
    }

    /// gRPC's service config, if it's set.
    pub fn grpc_config(&self) -> Option<&str> {
        self.config.get(GRPC_CONFIG).map(|value| &*value.value)
    }

    /// The highest revision of all that is set; 0 when nothing is.
    pub fn newest(&self) -> u64 {
        let policy = self.policy.as_ref().map(|policy| policy.revision);
        let values = self.config.values().map(|value| value.revision);
        policy.into_iter().chain(values).max().unwrap_or(0)
    }

    /// Octets of all keys and values.
    pub fn config_len(&self) -> usize {
        let octets =
            |(key, value): (&Label, &Revised<Box<str>>)| key.as_str().len() + value.value.len();
        self.config.iter().map(octets).sum()
    }
}

impl TryFrom<PolicyFields> for Policy {
    type Error = InvalidField;

    fn try_from(from: PolicyFields) -> Result<Self, InvalidField> {
        Ok(Self {
            ttl: ttl("ttl", from.ttl)?,
            negative_ttl: ttl("negative_ttl", from.negative_ttl)?,
            max_answers: max_answers(from.max_answers)?,
            when_none_healthy: when_none_healthy(from.when_none_healthy.as_deref())?,
            txt: txt(from.txt)?,
            guard: guard(from.guard.unwrap_or_default())?,
        })
    }
}

fn ttl(field: &str, text: Option<String>) -> Result<Option<Duration>, InvalidField> {
    let Some(text) = text else {
        return Ok(None);
    };
    let TimeSpan(span) = text
        .parse()
        .map_err(|error| InvalidField::new(field, format!("{text:?} {error}")))?;
    if span > MAX_TTL || span.subsec_nanos() != 0 {
        let detail = format!("is {text:?}; allowed is whole seconds up to 1h");
        return Err(InvalidField::new(field, detail));
    }
    Ok(Some(span))
}

fn guard(from: GuardFields) -> Result<GuardPolicy, InvalidField> {
    let hold = from
        .hold
        .map(|text| super::registration::span("guard.hold", &text, Duration::ZERO, MAX_HOLD));
    let number = |field: &str, value: Option<i64>, most: i64| match value {
        Some(value) if !(1..=most).contains(&value) => {
            let detail = format!("{value} is out of range; allowed are 1 to {most}");
            Err(InvalidField::new(format!("guard.{field}"), detail))
        }
        value => Ok(value),
    };
    let share = number("share", from.share, 100)?;
    let least = number("least", from.least, u32::MAX.into())?;
    Ok(GuardPolicy {
        hold: hold.transpose()?,
        share: share.and_then(|share| u8::try_from(share).ok()),
        least: least.and_then(|least| u32::try_from(least).ok()),
    })
}

fn max_answers(value: Option<i64>) -> Result<Option<u16>, InvalidField> {
    let Some(value) = value else {
        return Ok(None);
    };
    let fits = u16::try_from(value).ok();
    fits.filter(|most| (1..=MAX_ANSWERS).contains(most))
        .map(Some)
        .ok_or_else(|| {
            let detail = format!("{value} is out of range; allowed are 1 to {MAX_ANSWERS}");
            InvalidField::new("max_answers", detail)
        })
}

fn when_none_healthy(text: Option<&str>) -> Result<WhenNoneHealthy, InvalidField> {
    let Some(text) = text else {
        return Ok(WhenNoneHealthy::default());
    };
    let mut all = WhenNoneHealthy::ALL.into_iter();
    all.find(|known| known.as_str() == text).ok_or_else(|| {
        let detail =
            format!("{text:?} is unknown; allowed are \"nodata\", \"all\" and \"nxdomain\"");
        InvalidField::new("when_none_healthy", detail)
    })
}

/// Reads `"instances"`, `"none"` or `{"strings": [...]}`.
fn txt(value: Option<serde_json::Value>) -> Result<ServiceTxt, InvalidField> {
    use serde_json::Value;

    let allowed = "allowed are \"instances\", \"none\" and {\"strings\": [...]}";
    match value {
        None => Ok(ServiceTxt::default()),
        Some(Value::String(text)) => match text.as_str() {
            "instances" => Ok(ServiceTxt::Instances),
            "none" => Ok(ServiceTxt::Nothing),
            _ => Err(InvalidField::new(
                "txt",
                format!("{text:?} is unknown; {allowed}"),
            )),
        },
        Some(Value::Object(mut object)) => {
            let strings = object.remove("strings");
            if let Some(odd) = object.keys().next() {
                let detail = format!("is unknown; {allowed}");
                return Err(InvalidField::new(format!("txt.{odd}"), detail));
            }
            match strings {
                Some(Value::Array(strings)) => fixed_strings(strings).map(ServiceTxt::Strings),
                _ => Err(InvalidField::new("txt.strings", "is no array of strings")),
            }
        }
        Some(_) => Err(InvalidField::new(
            "txt",
            format!("is of another kind; {allowed}"),
        )),
    }
}

fn fixed_strings(values: Vec<serde_json::Value>) -> Result<Box<[Box<str>]>, InvalidField> {
    if values.is_empty() || values.len() > MAX_STRINGS {
        let detail = format!(
            "has {} strings; allowed are 1 to {MAX_STRINGS}",
            values.len()
        );
        return Err(InvalidField::new("txt.strings", detail));
    }
    let strings = values.into_iter().enumerate().map(|(index, value)| {
        let field = format!("txt.strings.{index}");
        let serde_json::Value::String(text) = value else {
            return Err(InvalidField::new(field, "is no string"));
        };
        match text.len() {
            0..=MAX_STRING_LEN => Ok(text.into_boxed_str()),
            len => {
                let detail = format!("has {len} octets; a TXT string holds {MAX_STRING_LEN}");
                Err(InvalidField::new(field, detail))
            }
        }
    });
    strings.collect()
}

/// Lets through what may be the value of the key `key`.
pub fn config_value(key: &Label, value: Option<String>) -> Result<Box<str>, InvalidField> {
    let wrong = |detail: String| InvalidField::new("value", detail);
    let value = value.ok_or_else(|| wrong("is missing; it is required".to_owned()))?;
    if value.len() > MAX_VALUE_LEN {
        let len = value.len();
        return Err(wrong(format!(
            "has {len} octets; at most {MAX_VALUE_LEN} are allowed"
        )));
    }
    if key.as_str() == GRPC_CONFIG {
        grpc_config(&value).map_err(wrong)?;
    }
    Ok(value.into())
}

/// Says what is wrong with gRPC's service config in DNS: a JSON array of choices, each
/// an object with the object `serviceConfig` ([gRFC A2](https://github.com/grpc/proposal/blob/master/A2-service-configs-in-dns.md)).
fn grpc_config(text: &str) -> Result<(), String> {
    let wanted = "allowed is a JSON array of choices, each with a serviceConfig: gRFC A2";
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("is no JSON ({error}); {wanted}"))?;
    let choices = value
        .as_array()
        .ok_or_else(|| format!("is no JSON array; {wanted}"))?;
    let is_choice = |choice: &serde_json::Value| {
        choice
            .get("serviceConfig")
            .is_some_and(|config| config.is_object())
    };
    match choices.iter().position(|choice| !is_choice(choice)) {
        Some(odd) => Err(format!(
            "has a choice, number {odd}, without a serviceConfig object; {wanted}"
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
