//! Reading an image out of an archive as `docker save` writes it.

use super::{Hash, Tree};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;
use tar::{Entry, EntryType};

/// What of a configuration decides how the image runs.
const CONFIG: [&str; 13] = [
    "Cmd",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Healthcheck",
    "Labels",
    "OnBuild",
    "Shell",
    "StopSignal",
    "User",
    "Volumes",
    "WorkingDir",
    "ArgsEscaped",
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    layers: Vec<String>,
}

/// Reads the only image of an archive.
pub fn read(archive: &Path) -> io::Result<Tree> {
    let mut file = File::open(archive)?;
    let manifest = find(&mut file, "manifest.json")?;
    let saved: Vec<Saved> = serde_json::from_slice(&manifest)?;
    let [saved] = saved.as_slice() else {
        return Err(malformed(format!("{} images where one was expected", saved.len())));
    };
    let config: Value = serde_json::from_slice(&find(&mut file, &saved.config)?)?;
    let mut found = layers(&mut file, &saved.layers)?;
    let mut tree = Tree { config: settings(&config), made_by: made_by(&config), ..Tree::default() };
    for (at, name) in saved.layers.iter().enumerate() {
        // The same layer may stand in an image several times.
        let layer = match saved.layers[at + 1..].contains(name) {
            true => found.get(name).cloned(),
            false => found.remove(name),
        };
        let layer = layer.ok_or_else(|| malformed(format!("there is no layer {name}")))?;
        tree.layers.push(layer.hash());
        layer.put_upon(&mut tree.paths, at);
    }
    Ok(tree)
}

fn malformed(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn find(file: &mut File, name: &str) -> io::Result<Vec<u8>> {
    file.rewind()?;
    let mut archive = tar::Archive::new(file);
    for entry in archive.entries_with_seek()? {
        let mut entry = entry?;
        if entry.path()?.to_string_lossy() == name {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            return Ok(content);
        }
    }
    Err(malformed(format!("there is no {name} in the archive")))
}

fn layers(file: &mut File, names: &[String]) -> io::Result<BTreeMap<String, Layer>> {
    let mut found = BTreeMap::new();
    let mut links = Vec::new();
    file.rewind()?;
    let mut archive = tar::Archive::new(file);
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        if !names.contains(&name) {
            continue;
        }
        // Engines before 25 write a layer that several images have once, and link to it.
        match entry.link_name()? {
            Some(target) => links.push((name, target.to_string_lossy().into_owned())),
            None => drop(found.insert(name, Layer::read(unpacked(entry)?)?)),
        }
    }
    for (name, target) in links {
        let target = target.trim_start_matches("../");
        if let Some(layer) = found.get(target).cloned() {
            found.insert(name, layer);
        }
    }
    Ok(found)
}

/// A layer as it is, or as gzip or zstd packed it.
fn unpacked<'a>(layer: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut reader = BufReader::with_capacity(64 << 10, layer);
    let head = io::BufRead::fill_buf(&mut reader)?;
    Ok(match head {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(reader)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(reader)?),
        _ => Box::new(reader),
    })
}

fn settings(config: &Value) -> BTreeMap<String, Value> {
    let inner = |key: &&str| Some(((*key).to_owned(), config.get("config")?.get(*key)?.clone()));
    let outer = |key: &str| Some((key.to_owned(), config.get(key)?.clone()));
    // A builder may write an empty value where another time it writes none.
    let said = |(_, value): &(String, Value)| match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Bool(yes) => *yes,
        Value::Number(_) => true,
    };
    let platform = ["architecture", "os"].into_iter().filter_map(outer);
    CONFIG.iter().filter_map(inner).chain(platform).filter(said).collect()
}

fn made_by(config: &Value) -> Vec<String> {
    let history = config.get("history").and_then(Value::as_array);
    history
        .into_iter()
        .flatten()
        .filter(|entry| entry.get("empty_layer").and_then(Value::as_bool) != Some(true))
        .map(|entry| entry.get("created_by").and_then(Value::as_str).unwrap_or_default().to_owned())
        .collect()
}

/// What a layer says of one path.
#[derive(Debug, Clone)]
enum Said {
    Is(Hash),
    /// The same file as another path.
    LinkTo(String),
    /// It is gone.
    Gone,
    /// What lower layers have in this folder is gone.
    Emptied,
}

#[derive(Debug, Clone, Default)]
struct Layer(BTreeMap<String, Said>);

impl Layer {
    fn read(layer: impl Read) -> io::Result<Self> {
        let mut said = BTreeMap::new();
        let mut archive = tar::Archive::new(layer);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = normal(&entry.path_bytes());
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            if name == ".wh..wh..opq" {
                said.insert(format!("{folder}/"), Said::Emptied);
            } else if let Some(gone) = name.strip_prefix(".wh.") {
                let gone =
                    if folder.is_empty() { gone.to_owned() } else { format!("{folder}/{gone}") };
                said.insert(gone, Said::Gone);
            } else if entry.header().entry_type() == EntryType::Link {
                let target = entry.link_name_bytes().unwrap_or_default();
                said.insert(path, Said::LinkTo(normal(&target)));
            } else {
                let hash = hash(&mut entry)?;
                said.insert(path, Said::Is(hash));
            }
        }
        Ok(Self(said))
    }

    fn hash(&self) -> Hash {
        let mut whole = Sha256::new();
        for (path, said) in &self.0 {
            field(&mut whole, path.as_bytes());
            match said {
                Said::Is(hash) => field(&mut whole, hash),
                Said::LinkTo(target) => field(&mut whole, target.as_bytes()),
                Said::Gone => field(&mut whole, b"gone"),
                Said::Emptied => field(&mut whole, b"emptied"),
            }
        }
        whole.finalize().into()
    }

    /// Lower layers first, as a union file system shows them.
    fn put_upon(self, paths: &mut BTreeMap<String, (usize, Hash)>, at: usize) {
        for (path, said) in &self.0 {
            match said {
                Said::Gone => {
                    paths.remove(path);
                    below(paths, &format!("{path}/"));
                }
                Said::Emptied => below(paths, path.trim_start_matches('/')),
                Said::Is(_) | Said::LinkTo(_) => {}
            }
        }
        let mut links = Vec::new();
        for (path, said) in self.0 {
            match said {
                Said::Is(hash) => drop(paths.insert(path, (at, hash))),
                Said::LinkTo(target) => links.push((path, target)),
                Said::Gone | Said::Emptied => {}
            }
        }
        for (path, target) in links {
            let hash = paths.get(&target).map_or([0; 32], |(_, hash)| *hash);
            paths.insert(path, (at, hash));
        }
    }
}

fn below(paths: &mut BTreeMap<String, (usize, Hash)>, folder: &str) {
    paths.retain(|path, _| !path.starts_with(folder));
}

fn normal(path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    path.trim_start_matches("./").trim_matches('/').to_owned()
}

fn field(hash: &mut Sha256, value: &[u8]) {
    hash.update((value.len() as u64).to_le_bytes());
    hash.update(value);
}

/// Kind, mode, owner, extended attributes, and content or target. Not the time.
fn hash(entry: &mut Entry<'_, impl Read>) -> io::Result<Hash> {
    let mut hash = Sha256::new();
    if let Some(extensions) = entry.pax_extensions()? {
        let mut attributes = Vec::new();
        for extension in extensions {
            let extension = extension?;
            if extension.key_bytes().starts_with(b"SCHILY.xattr.") {
                let value = extension.value_bytes().to_vec();
                attributes.push((extension.key_bytes().to_vec(), value));
            }
        }
        attributes.sort();
        for (key, value) in attributes {
            field(&mut hash, &key);
            field(&mut hash, &value);
        }
    }
    let header = entry.header();
    let kind = match header.entry_type() {
        EntryType::Continuous | EntryType::GNUSparse => EntryType::Regular,
        kind => kind,
    };
    // Builders write the kind of a file into its mode's upper bits, or do not.
    let mode = header.mode()? & 0o7777;
    let facts = [u64::from(kind.as_byte()), u64::from(mode), header.uid()?, header.gid()?];
    for fact in facts {
        hash.update(fact.to_le_bytes());
    }
    if matches!(kind, EntryType::Char | EntryType::Block) {
        for device in [header.device_major()?, header.device_minor()?] {
            hash.update(device.unwrap_or_default().to_le_bytes());
        }
    }
    field(&mut hash, &entry.link_name_bytes().unwrap_or_default());
    let mut buffer = vec![0; 64 << 10];
    loop {
        match entry.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Path, kind, content or target, mtime.
    type File<'a> = (&'a str, EntryType, &'a str, u64);

    fn pack(files: &[File<'_>]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, kind, text, mtime) in files {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(*mtime);
            header.set_size(0);
            match kind {
                EntryType::Link | EntryType::Symlink => {
                    tar.append_link(&mut header, path, text).unwrap();
                }
                _ => {
                    header.set_size(text.len() as u64);
                    tar.append_data(&mut header, path, text.as_bytes()).unwrap();
                }
            }
        }
        tar.into_inner().unwrap()
    }

    fn image(layers: &[&[u8]], config: &str) -> Tree {
        let names: Vec<String> = (0..layers.len()).map(|at| format!("{at}/layer.tar")).collect();
        let manifest = serde_json::json!([{ "Config": "c.json", "Layers": names }]).to_string();
        let mut tar = tar::Builder::new(Vec::new());
        let mut add = |name: &str, content: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, content).unwrap();
        };
        for (name, layer) in names.iter().zip(layers) {
            add(name, layer);
        }
        add("c.json", config.as_bytes());
        add("manifest.json", manifest.as_bytes());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image.tar");
        std::fs::write(&path, tar.into_inner().unwrap()).unwrap();
        read(&path).unwrap()
    }

    const FILE: EntryType = EntryType::Regular;

    #[test]
    fn times_and_packing_do_not_count_and_everything_else_does() {
        let one = pack(&[("./a", FILE, "1", 1), ("s", EntryType::Symlink, "a", 1)]);
        let tree = image(&[&one], "{}");
        let later = pack(&[("a", FILE, "1", 2), ("s", EntryType::Symlink, "a", 2)]);
        assert_eq!(image(&[&later], "{}"), tree);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&one).unwrap();
        assert_eq!(image(&[&gzip.finish().unwrap()], "{}"), tree);
        assert_eq!(image(&[&zstd::encode_all(&one[..], 1).unwrap()], "{}"), tree);
        for other in [
            [("a", FILE, "2", 1), ("s", EntryType::Symlink, "a", 1)],
            [("a", FILE, "1", 1), ("s", EntryType::Symlink, "b", 1)],
            [("a", EntryType::Symlink, "1", 1), ("s", EntryType::Symlink, "a", 1)],
        ] {
            assert_ne!(image(&[&pack(&other)], "{}").paths, tree.paths, "{other:?}");
        }
    }

    #[test]
    fn layers_hide_what_lies_below_them() {
        let low = pack(&[
            ("d/", EntryType::Directory, "", 1),
            ("d/a", FILE, "1", 1),
            ("d/b/c", FILE, "1", 1),
            ("e/f", FILE, "1", 1),
            ("k", FILE, "1", 1),
        ]);
        let high = pack(&[
            ("d/.wh.b", FILE, "", 1),
            ("e/.wh..wh..opq", FILE, "", 1),
            ("e/g", FILE, "1", 1),
            ("k2", EntryType::Link, "k", 1),
        ]);
        let tree = image(&[&low, &high], "{}");
        let paths: Vec<&str> = tree.paths.keys().map(String::as_str).collect();
        assert_eq!(paths, ["d", "d/a", "e/g", "k", "k2"]);
        assert_eq!(tree.paths["k"].1, tree.paths["k2"].1);
        assert_eq!(tree.paths["k2"].0, 1);
    }

    #[test]
    fn of_the_configuration_what_decides_how_it_runs() {
        let config = r#"{"architecture":"amd64","created":"now","moby.buildkit.cache.v0":"x",
            "config":{"Env":["A=1"],"Labels":{},"Cmd":null,"Image":"sha256:1","User":"u"},
            "history":[{"created_by":"RUN a"},{"created_by":"ENV A=1","empty_layer":true}]}"#;
        let tree = image(&[], config);
        let keys: Vec<&str> = tree.config.keys().map(String::as_str).collect();
        assert_eq!(keys, ["Env", "User", "architecture"]);
        assert_eq!(tree.made_by, ["RUN a"]);
    }

    #[test]
    fn what_is_no_image_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image.tar");
        std::fs::write(&path, pack(&[("x", FILE, "1", 1)])).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("manifest.json"));
    }
}
