//! What an operator set of a service, as it's kept on disk.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::record::Malformed;
use crate::name::ServiceName;
use crate::registry::guard::GuardPolicy;
use crate::registry::policy::{Policy, Revised, ServiceSettings, ServiceTxt, WhenNoneHealthy};

/// The settings of a service; without any of them it has none.
#[derive(Debug, Deserialize, Serialize)]
pub(in crate::registry) struct StoredSettings<'a> {
    service: &'a str,
    #[serde(borrow)]
    policy: Option<(u64, StoredPolicy<'a>)>,
    /// Key, revision, value.
    config: Vec<(&'a str, u64, Cow<'a, str>)>,
}

#[derive(Debug, Deserialize, Serialize)]
struct StoredPolicy<'a> {
    ttl: Option<Duration>,
    negative_ttl: Option<Duration>,
    max_answers: Option<u16>,
    when_none_healthy: StoredWhenNone,
    #[serde(borrow)]
    txt: StoredTxt<'a>,
    guard: StoredGuard,
}

#[derive(Debug, Deserialize, Serialize)]
struct StoredGuard {
    hold: Option<Duration>,
    share: Option<u8>,
    least: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum StoredWhenNone {
    NoData,
    All,
    NxDomain,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum StoredTxt<'a> {
    Instances,
    Nothing,
    #[serde(borrow)]
    Strings(Vec<&'a str>),
}

impl<'a> StoredSettings<'a> {
    /// What is kept of a service's settings.
    pub(in crate::registry) fn of(service: &'a ServiceName, settings: &'a ServiceSettings) -> Self {
        let policy = settings.policy.as_ref();
        let config = settings.config.iter();
        Self {
            service: service.as_str(),
            policy: policy.map(|policy| (policy.revision, StoredPolicy::of(&policy.value))),
            config: config
                .map(|(key, value)| (key.as_str(), value.revision, Cow::from(&*value.value)))
                .collect(),
        }
    }

    /// The service and its settings.
    pub(super) fn restore(self) -> Result<(ServiceName, ServiceSettings), Malformed> {
        let mut config = BTreeMap::new();
        for (key, revision, value) in self.config {
            let value = value.into_owned().into_boxed_str();
            config.insert(key.parse()?, Revised { value, revision });
        }
        let policy = self.policy.map(|(revision, policy)| Revised {
            value: policy.restore(),
            revision,
        });
        Ok((self.service.parse()?, ServiceSettings { policy, config }))
    }
}

impl<'a> StoredPolicy<'a> {
    fn of(policy: &'a Policy) -> Self {
        Self {
            ttl: policy.ttl,
            negative_ttl: policy.negative_ttl,
            max_answers: policy.max_answers,
            when_none_healthy: match policy.when_none_healthy {
                WhenNoneHealthy::NoData => StoredWhenNone::NoData,
                WhenNoneHealthy::All => StoredWhenNone::All,
                WhenNoneHealthy::NxDomain => StoredWhenNone::NxDomain,
            },
            txt: match &policy.txt {
                ServiceTxt::Instances => StoredTxt::Instances,
                ServiceTxt::Nothing => StoredTxt::Nothing,
                ServiceTxt::Strings(strings) => {
                    StoredTxt::Strings(strings.iter().map(|text| &**text).collect())
                }
            },
            guard: StoredGuard {
                hold: policy.guard.hold,
                share: policy.guard.share,
                least: policy.guard.least,
            },
        }
    }

    fn restore(self) -> Policy {
        Policy {
            ttl: self.ttl,
            negative_ttl: self.negative_ttl,
            max_answers: self.max_answers,
            when_none_healthy: match self.when_none_healthy {
                StoredWhenNone::NoData => WhenNoneHealthy::NoData,
                StoredWhenNone::All => WhenNoneHealthy::All,
                StoredWhenNone::NxDomain => WhenNoneHealthy::NxDomain,
            },
            txt: match self.txt {
                StoredTxt::Instances => ServiceTxt::Instances,
                StoredTxt::Nothing => ServiceTxt::Nothing,
                StoredTxt::Strings(strings) => {
                    ServiceTxt::Strings(strings.into_iter().map(Into::into).collect())
                }
            },
            guard: GuardPolicy {
                hold: self.guard.hold,
                share: self.guard.share,
                least: self.guard.least,
            },
        }
    }
}
