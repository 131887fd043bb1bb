//! The crates of the workspace and what they depend on, as cargo sees them.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// The workspace.
pub struct Workspace {
    /// Its crates.
    pub packages: Vec<Package>,
}

/// A crate.
pub struct Package {
    /// Its name.
    pub name: String,
    /// Names of the crates that its programs and its library depend on; not those of its tests.
    pub dependencies: Vec<String>,
    /// The first file of its library and of each of its programs.
    pub roots: Vec<PathBuf>,
}

impl Workspace {
    /// Asks cargo.
    pub fn read() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        Self { packages: metadata["packages"].as_array().unwrap().iter().map(Package::new).collect() }
    }

    /// True for the name of one of its crates.
    pub fn has(&self, name: &str) -> bool {
        self.packages.iter().any(|package| package.name == name)
    }
}

impl Package {
    fn new(package: &Value) -> Self {
        let list = |field: &str| package[field].as_array().unwrap().clone();
        let is_code = |target: &Value| ["lib", "bin"].iter().any(|kind| target["kind"] == Value::from(vec![*kind]));
        Self {
            name: package["name"].as_str().unwrap().to_owned(),
            dependencies: list("dependencies")
                .iter()
                .filter(|dependency| dependency["kind"].is_null())
                .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
                .collect(),
            roots: list("targets")
                .iter()
                .filter(|target| is_code(target))
                .map(|target| PathBuf::from(target["src_path"].as_str().unwrap()))
                .collect(),
        }
    }
}
