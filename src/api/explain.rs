//! The JSON of explanations.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::time::TimeSpan;

/// Answer to `GET /v1/explain`: what is answered to a question, and why.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Explanation {
    /// The name asked for.
    pub name: String,
    /// The type asked for.
    #[serde(rename = "type")]
    pub rtype: String,
    /// How the name was read, and by which zone it's answered.
    pub reading: String,
    /// The response code.
    pub rcode: String,
    /// Whether this server has the say.
    pub authoritative: bool,
    /// Records of the answer section, as master files have them.
    pub answer: Vec<String>,
    /// Of the authority section.
    pub authority: Vec<String>,
    /// Of the additional section.
    pub additional: Vec<String>,
    /// The extended error, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Octets of the whole response, as over TCP.
    pub size: usize,
    /// For how long it may be cached, and why no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<BoundTtl>,
    /// Every instance of the services that the name is about.
    pub instances: Vec<ExplainedInstance>,
    /// How many more there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A TTL and what it's bounded by.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct BoundTtl {
    /// Seconds.
    pub seconds: u32,
    /// What makes it that.
    pub bound: String,
}

/// An instance, in the answer or not.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ExplainedInstance {
    /// Its id.
    pub id: String,
    /// Its service.
    pub service: String,
    /// Whether the answer has records of it.
    #[serde(rename = "in")]
    pub is_in: bool,
    /// Why it hasn't, or why it has in spite of something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Its addresses.
    pub addresses: BTreeSet<String>,
    /// Its host name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What is known of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Resolved>,
    /// Its port.
    pub port: u16,
    /// SRV weight.
    pub weight: u16,
    /// SRV priority.
    pub priority: u16,
    /// What its check says.
    pub health: String,
    /// What the check said when it last changed its mind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The last probe, if it's checked and there was one since it registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_probe: Option<ExplainedProbe>,
    /// What it says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<String>,
    /// The note with that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What is left of its lease; left out when it needs no heartbeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_left: Option<TimeSpan>,
    /// The lease's length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<TimeSpan>,
    /// Whether the lease is held, because too many ran out together.
    pub held: bool,
    /// When it was renewed last.
    pub last_heartbeat: DateTime<Utc>,
    /// From when on no cache has it, when it leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drained_at: Option<DateTime<Utc>>,
}

/// A probe of an instance, and what follows from it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ExplainedProbe {
    /// When its result was there.
    pub at: DateTime<Utc>,
    /// How long it took.
    pub took: TimeSpan,
    /// `passed`, `warned` or `failed`.
    pub result: String,
    /// Why.
    pub output: String,
    /// How many in a row, this one included, have gone the same way.
    pub in_a_row: u16,
    /// When the next one is due.
    pub next_at: DateTime<Utc>,
    /// It has begun to fail, and this is the earliest moment at which that could
    /// withdraw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fails_at: Option<DateTime<Utc>>,
    /// How often in a row it has failed again soon after it came back.
    #[serde(default)]
    pub flaps: u32,
    /// It passes and isn't listed until then, for it flaps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damped_until: Option<DateTime<Utc>>,
}

/// What is known of an instance's host name.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Resolved {
    /// Its addresses.
    pub addresses: Vec<String>,
    /// When it was last told what addresses it has, or that it has none; left out when never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_up: Option<DateTime<Utc>>,
    /// Until when they are good; then it's looked up again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good_until: Option<DateTime<Utc>>,
    /// When the last look-up failed; left out when it didn't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<DateTime<Utc>>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
