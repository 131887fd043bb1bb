//! The environment of the process, and the variables in it that are not the operator's configuration.
//!
//! Orchestrators describe neighbouring services to every container in variables named after them: a service called
//! `hxa-connect` sets `HXA_CONNECT_PORT=tcp://10.0.0.1:4800` and similar variables. These are not settings.

use std::collections::HashMap;
use std::ffi::OsString;

use super::table::SETTINGS;

/// The variables of this process, and a complaint about each of the hub's that is no text.
pub fn of_process() -> (HashMap<String, String>, Vec<String>) {
    let (mut variables, mut problems) = (HashMap::new(), Vec::new());
    for (name, value) in std::env::vars_os() {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => {
                variables.insert(name, value);
            }
            (Ok(name), Err(value)) if is_setting(&name) => problems.push(no_text(&name, &value)),
            _ => {}
        }
    }
    problems.sort();
    (variables, problems)
}

fn no_text(name: &str, value: &OsString) -> String {
    let is_secret = SETTINGS.iter().any(|setting| setting.is_secret && setting.env.contains(&name));
    let shown = if is_secret { "the value (not shown)".to_owned() } else { format!("\"{}\"", value.to_string_lossy()) };
    format!("{name}: {shown} is not text in UTF-8")
}

fn is_setting(name: &str) -> bool {
    let bare = name.strip_suffix("_FILE").unwrap_or(name);
    SETTINGS.iter().any(|setting| setting.env.iter().any(|&known| known == name || known == bare))
}

/// Complaints about variables of the original coordination service that mean nothing here.
#[must_use]
pub fn foreign(environment: &HashMap<String, String>) -> Option<String> {
    let path = environment.get("HCP_DB_PATH").filter(|path| !path.trim().is_empty())?;
    Some(format!(
        "HCP_DB_PATH={path} has no effect: the hub keeps its data in data_dir (HXA_CONNECT_DATA_DIR); `hxa-connect import` takes an \
         existing hcp.db"
    ))
}

/// Whether a value is what an orchestrator says of a service, in a variable that may be a setting of the hub.
#[must_use]
pub fn is_service_link(name: &str, text: &str) -> bool {
    name.ends_with("_PORT") && ["tcp://", "udp://", "sctp://"].iter().any(|scheme| text.trim().starts_with(scheme))
}

/// Whether a variable is one that orchestrators make for a service: `…_SERVICE_HOST`, `…_PORT_4800_TCP_ADDR` and the like.
#[must_use]
pub fn is_of_orchestrator(name: &str) -> bool {
    if name.ends_with("_SERVICE_HOST") || name.ends_with("_SERVICE_PORT") || name.contains("_SERVICE_PORT_") {
        return true;
    }
    let Some((_, rest)) = name.rsplit_once("_PORT_") else {
        return name.ends_with("_PORT") || name.contains("_ENV_");
    };
    // `_PORT_4800_TCP_PORT` ends in the word itself.
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = rest.split('_');
    parts.next().is_some_and(is_number) && parts.next().is_some_and(|kind| ["TCP", "UDP", "SCTP"].contains(&kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_not_settings() {
        for name in [
            "HXA_CONNECT_SERVICE_HOST",
            "HXA_CONNECT_SERVICE_PORT",
            "HXA_CONNECT_SERVICE_PORT_HTTP",
            "HXA_CONNECT_PORT_4800_TCP",
            "HXA_CONNECT_PORT_4800_TCP_ADDR",
            "HXA_CONNECT_PORT_4800_TCP_PORT",
            "HXA_CONNECT_PORT_4800_TCP_PROTO",
            "HXA_CONNECT_REDIS_PORT_6379_UDP",
        ] {
            assert!(is_of_orchestrator(name), "{name}");
        }
        for name in ["HXA_CONNECT_PROT", "HXA_CONNECT_PORT_X", "HXA_CONNECT_SERVICE"] {
            assert!(!is_of_orchestrator(name), "{name}");
        }
        assert!(
            is_service_link("HXA_CONNECT_PORT", "tcp://10.0.0.1:4800") && !is_service_link("HXA_CONNECT_PORT", "4800")
        );
        assert!(!is_service_link("HXA_CONNECT_HOST", "tcp://10.0.0.1"));
    }
}
