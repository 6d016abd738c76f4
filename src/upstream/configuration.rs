//! The configuration that the Client System hands out, in both forms that deployed versions use.

use std::collections::HashSet;

use serde_json::Value;

use crate::domain::meter::{MeterConfiguration, SiteConfiguration};

/// Reads a configuration answer: under `config`, or at the top level as an older version has it.
///
/// # Errors
/// In words, when it is no configuration; then nothing of it may be applied.
pub fn parse_configuration(body: &[u8]) -> Result<SiteConfiguration, String> {
    let json: Value = serde_json::from_slice(body).map_err(|error| format!("no JSON: {error}"))?;
    if json.get("success").and_then(Value::as_bool) == Some(false) {
        return Err(format!("the answer says that it is no success: {json}"));
    }
    let config = json.get("config").unwrap_or(&json);
    let meters = config
        .get("meters")
        .and_then(Value::as_array)
        .ok_or("the answer holds no list of meters")?;
    let meters = meters
        .iter()
        .enumerate()
        .map(|(index, meter)| parse_meter(index, meter))
        .collect::<Result<Vec<_>, _>>()?;
    refuse_doubles(&meters)?;
    Ok(SiteConfiguration {
        site_name: config
            .pointer("/site/name")
            .and_then(Value::as_str)
            .map(ToOwned::to_owned),
        meters,
        sync_interval_minutes: number_within(config, "sync_interval_minutes", 1..=1440)?
            .and_then(|minutes| u32::try_from(minutes).ok()),
        batch_size: number_within(config, "batch_size", 1..=100_000)?
            .and_then(|size| usize::try_from(size).ok()),
    })
}

fn parse_meter(index: usize, meter: &Value) -> Result<MeterConfiguration, String> {
    let external_id = meter
        .get("external_id")
        .and_then(Value::as_str)
        .filter(|id| !id.is_empty() && id.chars().count() <= 255);
    let external_id = external_id.ok_or_else(|| {
        format!("meters[{index}].external_id: a text of 1 to 255 characters is expected")
    })?;
    let name = meter
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or(external_id);
    let device = match meter.get("bacnet_device_id") {
        None | Some(Value::Null) => None,
        Some(number) => Some(number.as_i64().ok_or_else(|| {
            format!("meters[{index}].bacnet_device_id: a whole number is expected")
        })?),
    };
    Ok(MeterConfiguration {
        external_id: external_id.to_owned(),
        name: name.chars().take(255).collect(),
        bacnet_device_id: device,
        bacnet_ip: meter
            .get("bacnet_ip")
            .and_then(Value::as_str)
            .map(|ip| ip.chars().take(45).collect()),
        config: meter
            .get("config")
            .filter(|config| !config.is_null())
            .map(Value::to_string),
    })
}

fn refuse_doubles(meters: &[MeterConfiguration]) -> Result<(), String> {
    let mut seen = HashSet::new();
    match meters
        .iter()
        .find(|meter| !seen.insert(meter.external_id.as_str()))
    {
        Some(double) => Err(format!("meter {:?} is named twice", double.external_id)),
        None => Ok(()),
    }
}

fn number_within(
    config: &Value,
    field: &str,
    allowed: std::ops::RangeInclusive<u64>,
) -> Result<Option<u64>, String> {
    match config.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64().filter(|number| allowed.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(format!(
                "{field}: a whole number from {} to {} is expected, not {value}",
                allowed.start(),
                allowed.end()
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let new = br#"{"success":true,"config":{"site":{"id":1,"name":"Site A"},"meters":[{"external_id":"M-1","name":"Main","bacnet_device_id":7,"bacnet_ip":"10.0.0.7","config":{"a":1}}],"sync_interval_minutes":10,"batch_size":500}}"#;
        let site = parse_configuration(new).expect("a configuration");
        assert_eq!(
            (
                site.site_name.as_deref(),
                site.sync_interval_minutes,
                site.batch_size
            ),
            (Some("Site A"), Some(10), Some(500))
        );
        assert_eq!(site.meters[0].config.as_deref(), Some(r#"{"a":1}"#));
        let old = parse_configuration(br#"{"meters":[{"external_id":"M-1","name":"Main","bacnet_device_id":null,"bacnet_ip":null}]}"#).expect("a configuration");
        assert_eq!((old.meters.len(), old.batch_size), (1, None));
    }

    #[test]
    fn a_bad_configuration_is_refused_as_a_whole() {
        for (body, word) in [
            ("<html>", "JSON"),
            ("{}", "meters"),
            (r#"{"success":false,"meters":[]}"#, "success"),
            (r#"{"meters":[{"name":"x"}]}"#, "external_id"),
            (
                r#"{"meters":[{"external_id":"a"},{"external_id":"a"}]}"#,
                "twice",
            ),
            (r#"{"meters":[],"batch_size":0}"#, "batch_size"),
            (
                r#"{"meters":[],"sync_interval_minutes":"5"}"#,
                "sync_interval_minutes",
            ),
        ] {
            let words = parse_configuration(body.as_bytes()).expect_err(body);
            assert!(words.contains(word), "{words}");
        }
    }
}
