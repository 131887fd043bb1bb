//! Printing the configuration: the commented file of defaults, and the effective values.
//!
//! Both are generated from the table, so they are always up to date; secrets appear as `***`.

use super::table::{AREAS, Area, Config, SETTINGS, Setting};
use super::{Loaded, Origin};

/// The file of every setting with its default, all commented out: what is not set follows the program's own default.
#[must_use]
pub fn default_file() -> String {
    let defaults = Config::default();
    let mut out = String::from(
        "# Configuration of HXA Connect: every setting with its default.\n\
         # Precedence: flags, then environment variables, then this file.\n\
         # The hub reads config/hxa-connect.toml of its working directory, or the file named by --config.\n\
         # Unknown keys are an error. `hxa-connect config check` validates a file without starting the hub.\n\
         # A secret can also be read from a file: name that file in the variable with _FILE appended.\n",
    );
    for area in AREAS {
        push_area(&mut out, area);
        for setting in in_area(area) {
            for line in setting.doc {
                out.push_str(&format!("\n#{line}"));
            }
            let value = (setting.show)(&defaults).unwrap_or_else(|| "\"\"".to_owned());
            let flag = if setting.is_secret { setting.file_flag } else { setting.flag };
            out.push_str(&format!("\n# Flag --{flag}, environment {}.", setting.env.join(", then ")));
            out.push_str(&format!("\n# {} = {value}\n", setting.key));
        }
    }
    out
}

/// What a hub would run with: every setting with its value and where that came from.
#[must_use]
pub fn effective(loaded: &Loaded) -> String {
    let mut out = String::from("# Settings in effect and where each comes from; secrets are masked.\n");
    for area in AREAS {
        out.push_str(&format!("\n[{}]\n", area.name));
        for setting in in_area(area) {
            let origin = loaded.origin(setting);
            let line = match (setting.show)(&loaded.config) {
                Some(value) => format!("{} = {value}", setting.key),
                None => format!("# {} is not set", setting.key),
            };
            let origin = if matches!(origin, Origin::Default) { String::new() } else { format!("  # {origin}") };
            out.push_str(&format!("{line}{origin}\n"));
        }
    }
    out
}

fn push_area(out: &mut String, area: &Area) {
    out.push('\n');
    for line in area.doc {
        out.push_str(&format!("#{line}\n"));
    }
    out.push_str(&format!("[{}]\n", area.name));
}

fn in_area(area: &'static Area) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(|setting| setting.area == area.name)
}
