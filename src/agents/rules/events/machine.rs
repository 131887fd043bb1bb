//! The events of machines.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rules::faults::Fault;
use crate::rules::fields::{Fields, Given};

/// How a machine is. The object is strict: with an unknown key, or a value that is no plain number, there is no health.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Health {
    /// The client's time of the measurement, ms.
    pub collected_at: f64,
    /// Processors.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub cpu_count: Option<f64>,
    /// Average load of a minute.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub load1m: Option<f64>,
    /// Use of the processors, 0–100.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f64>,
    /// Use of memory, 0–100.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub memory_percent: Option<f64>,
    /// Time since the machine started.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub uptime_seconds: Option<f64>,
}

/// A number that may be absent, but not null.
fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    f64::deserialize(deserializer).map(Some)
}

impl Health {
    /// The health of a value, if it is one.
    #[must_use]
    pub fn read(value: Value) -> Option<Self> {
        let health: Self = serde_json::from_value(value).ok()?;
        let numbers =
            [health.cpu_count, health.load1m, health.cpu_percent, health.memory_percent, health.uptime_seconds];
        let is_plain = |number: f64| number.is_finite() && number >= 0.0;
        numbers.into_iter().flatten().chain([health.collected_at]).all(is_plain).then_some(health)
    }

    /// The health as JSON; whole numbers are written as such, as the client wrote them.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Value::Object(map) = &mut value {
            for number in map.values_mut() {
                if let Some(whole) = crate::rules::fields::whole(number) {
                    *number = Value::from(whole);
                }
            }
        }
        value
    }
}

/// A heartbeat of a machine.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineAlive {
    /// The machine.
    pub machine_id: String,
    /// The client's time, for people alone.
    pub time: i64,
    /// How it is; what is no health makes null of what was known.
    pub health: Given<Health>,
}

impl MachineAlive {
    pub(super) fn read(payload: Value) -> Result<Self, Fault> {
        let mut fields = Fields::of(payload)?;
        let (machine_id, time) = (fields.id("machineId")?, fields.time("time")?);
        let health = match fields.given("health") {
            Given::Absent => Given::Absent,
            Given::Null => Given::Null,
            Given::Value(value) => Health::read(value).map_or(Given::Null, Given::Value),
        };
        Ok(Self { machine_id, time, health })
    }
}
