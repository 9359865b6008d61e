//! A health check as flags describe it, for `register` and `exec`.

use namebeat::api::HealthCheck;

use super::CommandError;
use super::instance::{over, pair};

/// What the server probes. Each of these flags but the first implies it.
#[derive(Debug, Default, clap::Args)]
pub(super) struct CheckArguments {
    /// Have the server probe the instance
    #[arg(long)]
    pub(super) check: bool,
    /// http, https, grpc, tcp, udp, dns or none [default: by the protocol]
    #[arg(long, value_name = "KIND")]
    check_kind: Option<String>,
    /// Path of a probe over HTTP [default: /health]
    #[arg(long, value_name = "PATH")]
    check_endpoint: Option<String>,
    /// Time between probes [default: 10s]
    #[arg(long, value_name = "SPAN")]
    check_interval: Option<String>,
    /// Longest time that a probe may take [default: 2s]
    #[arg(long, value_name = "SPAN")]
    check_timeout: Option<String>,
    /// Failures in a row until it's failing [default: 3]
    #[arg(long, value_name = "NUMBER")]
    check_retries: Option<i64>,
    /// Successes in a row until it's passing [default: 2]
    #[arg(long, value_name = "NUMBER")]
    check_rise: Option<i64>,
    /// starting, or passing: listed before the first probe [default: starting]
    #[arg(long, value_name = "HEALTH")]
    check_initial: Option<String>,
    /// Any other field of a check, such as expected_status=200,204; repeat it
    #[arg(long = "check-field", value_name = "FIELD=VALUE", value_parser = pair)]
    check_fields: Vec<(String, String)>,
}

impl CheckArguments {
    /// Puts what flags say over what the file does; without a flag nothing changes.
    pub(super) fn lay_over(&self, check: &mut Option<HealthCheck>) -> Result<(), CommandError> {
        let mut fields = check.clone().unwrap_or_default();
        let texts = over(&mut fields.kind, &self.check_kind)
            | over(&mut fields.endpoint, &self.check_endpoint)
            | over(&mut fields.interval, &self.check_interval)
            | over(&mut fields.timeout, &self.check_timeout)
            | over(&mut fields.initial, &self.check_initial);
        let numbers = over(&mut fields.retries, &self.check_retries)
            | over(&mut fields.rise, &self.check_rise);
        if self.check || texts || numbers || !self.check_fields.is_empty() {
            *check = Some(with_fields(fields, &self.check_fields)?);
        }
        Ok(())
    }
}

/// Sets fields by their names. Which there are, the type itself says.
fn with_fields(
    check: HealthCheck,
    fields: &[(String, String)],
) -> Result<HealthCheck, CommandError> {
    let wrong = |error: serde_json::Error| CommandError::Refused(format!("--check-field: {error}"));
    let mut json = serde_json::to_value(check).map_err(wrong)?;
    for (field, value) in fields {
        // Texts such as status codes may look like numbers.
        let parsed = match &**field {
            "port" | "retries" | "rise" | "tls" | "tls_verify" | "headers" => {
                serde_json::from_str(value).ok()
            }
            _ => None,
        };
        json[field] = parsed.unwrap_or_else(|| value.clone().into());
    }
    serde_json::from_value(json).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_fields_are_of_their_types() {
        let fields = [
            ("expected_status", "200"),
            ("port", "admin"),
            ("headers", "{\"x\": \"y\"}"),
            ("tls_verify", "true"),
        ];
        let flags = CheckArguments {
            check_rise: Some(1),
            check_fields: fields
                .map(|(field, value)| (field.to_owned(), value.to_owned()))
                .to_vec(),
            ..CheckArguments::default()
        };
        let mut check = None;
        CheckArguments::default().lay_over(&mut check).unwrap();
        assert!(check.is_none());
        flags.lay_over(&mut check).unwrap();
        let check = serde_json::to_value(check).unwrap();
        let expected = serde_json::json!({
            "rise": 1,
            "expected_status": "200",
            "port": "admin",
            "headers": {"x": "y"},
            "tls_verify": true,
        });
        assert_eq!(check, expected);
        let wrong = with_fields(
            HealthCheck::default(),
            &[("statuss".to_owned(), "1".to_owned())],
        );
        let error = wrong.unwrap_err().to_string();
        assert!(error.contains("unknown field `statuss`"), "{error}");
        assert!(error.contains("expected_status"), "{error}");
    }
}
