//! Puts the built files of `web/dist` into the program: each as it is and compressed, with the hash of its bytes.
//!
//! The page that loads the others names them with their hashes, so that browsers keep them for good and an upgrade of the
//! hub is seen at once.

use std::fmt::Write as _;
use std::io::{Error, Write as _};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};

/// What a page writes where the hash and the place of a file belong.
const OPENING: &str = "{{asset:";

fn main() -> Result<(), Error> {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(variable("OUT_DIR")?);
    let dist = here.join("../../web/dist").canonicalize()?;
    rerun_if_changed(&dist);
    let mut paths = std::fs::read_dir(&dist)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, Error>>()?;
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        files.push(File::read(&path)?);
    }
    let mut table = String::from("/// The files of `web/dist`.\npub const ASSETS: &[Asset] = &[\n");
    for file in files.iter().filter(|file| !file.name.ends_with(".html")) {
        let compressed = out.join(format!("{}.gz", file.name));
        std::fs::write(&compressed, gzip(&file.bytes)?)?;
        let (plain, compressed) = (dist.join(&file.name), compressed);
        writeln!(
            table,
            "    Asset {{ name: {:?}, hash: {:?}, plain: include_bytes!({plain:?}), gzip: include_bytes!({compressed:?}) }},",
            file.name, file.hash,
        )
        .map_err(Error::other)?;
    }
    table.push_str("];\n");
    std::fs::write(out.join("assets.rs"), table)?;
    let page = files.iter().find(|file| file.name == "portal.html").ok_or_else(|| Error::other("no portal.html"))?;
    std::fs::write(out.join("portal.html"), with_places(&String::from_utf8_lossy(&page.bytes), &files)?)
}

fn rerun_if_changed(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}

fn variable(name: &str) -> Result<String, Error> {
    std::env::var(name).map_err(|error| Error::other(format!("{name}: {error}")))
}

/// One file of the build.
struct File {
    name: String,
    bytes: Vec<u8>,
    /// The first half of the SHA-256 of its bytes.
    hash: String,
}

impl File {
    fn read(path: &Path) -> Result<Self, Error> {
        rerun_if_changed(path);
        let name =
            path.file_name().and_then(|name| name.to_str()).ok_or_else(|| Error::other("a name that is no text"))?;
        let bytes = std::fs::read(path)?;
        let hash = Sha256::digest(&bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { name: name.to_owned(), bytes, hash })
    }
}

/// The same bytes for the same file, whenever it is compressed.
fn gzip(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// The page with the place of each file that it names; the base path is filled in when the hub starts.
fn with_places(page: &str, files: &[File]) -> Result<String, Error> {
    let mut parts = page.split(OPENING);
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").ok_or_else(|| Error::other("a place that does not end"))?;
        let file = files.iter().find(|file| file.name == name);
        let file = file.ok_or_else(|| Error::other(format!("the page names {name}, which is not in web/dist")))?;
        filled.push_str(&format!("{{{{base}}}}/portal/a/{name}?h={}{rest}", file.hash));
    }
    Ok(filled)
}
