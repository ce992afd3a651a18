//! What takes bytes from outside, one entry per kind, for the fuzzers in `fuzz/` and for the test
//! that feeds their minimal cases to the same functions.
//!
//! An entry takes anything. It panics where the program would, and where a promise is broken.

use crate::config::dockerfile::Dockerfile;
use crate::config::{self, Overrides};
use crate::engine::records;
use crate::model::plan::Plan;
use crate::report::Model;
use crate::run::proof::arguments::differing;
use crate::run::{self, image, journal};
use crate::storage::{Address, pack};
use crate::{link, report, workspace};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// One kind of input.
#[derive(Debug)]
pub struct Target {
    /// Its name: that of the fuzz target and of the folder with its cases.
    pub name: &'static str,
    /// Takes an input.
    pub run: fn(&[u8]),
}

/// Every kind.
pub static TARGETS: &[Target] = &[
    Target { name: "archive", run: archive },
    Target { name: "config", run: config },
    Target { name: "dockerfile", run: dockerfile },
    Target { name: "ignore", run: ignore },
    Target { name: "journal", run: journal },
    Target { name: "proxy", run: proxy },
    Target { name: "rawjson", run: rawjson },
    Target { name: "texts", run: texts },
];

const DOCKERFILE: &str = "FROM base AS builder\nCOPY a ./\nRUN make\nFROM base\nCOPY . /app\n";

/// A folder that is gone afterwards. Where there is none the machine is at fault, not the input.
fn folder() -> tempfile::TempDir {
    let made = tempfile::tempdir();
    made.unwrap_or_else(|error| panic!("a temporary folder: {error}"))
}

fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::write(path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// `breakeven.toml`: a plan that reads back as it was written, or problems with something to say.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // Only files of our own folder are looked at, so that a case is the same on every machine.
    let leads_away = |text: &str| text.contains("..") || text.trim_start().starts_with('/');
    let table = text.parse::<toml::Table>().map(toml::Value::Table);
    if table.is_ok_and(|table| any_text(&table, &leads_away)) {
        return;
    }
    let dir = folder();
    write(&dir.path().join("Dockerfile"), DOCKERFILE);
    write(&dir.path().join("a"), "1\n");
    let file = dir.path().join("breakeven.toml");
    write(&file, text);
    let plan = config::load(&file).and_then(|config| {
        let plan = config.resolve(&Overrides::default())?;
        config.notes(&plan);
        Ok(plan)
    });
    match plan {
        Ok(plan) => {
            let json = serde_json::to_string(&plan).unwrap_or_else(|error| panic!("{error}"));
            let back: Plan = serde_json::from_str(&json).unwrap_or_else(|e| panic!("{e}: {json}"));
            assert!(back == plan, "the plan is not what it was: {json}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn any_text(value: &toml::Value, test: &dyn Fn(&str) -> bool) -> bool {
    match value {
        toml::Value::String(text) => test(text),
        toml::Value::Array(items) => items.iter().any(|item| any_text(item, test)),
        toml::Value::Table(table) => table.values().any(|item| any_text(item, test)),
        _ => false,
    }
}

/// `events.jsonl`: a report whose text escapes what it shows, or an error.
pub fn journal(data: &[u8]) {
    const PLAN: &str = include_str!("../fixtures/runs/one-round/plan.json");
    let dir = folder();
    write(&dir.path().join(journal::PLAN), PLAN);
    write(&dir.path().join(journal::JOURNAL), data);
    let Ok(published) = run::recorded(dir.path()) else { return };
    let model = Model::new(&published.plan, &published.events, &published.decision);
    let Ok(files) = model.and_then(|model| report::render_model(&model)) else { return };
    for file in files.iter().filter(|file| file.path.extension().is_some_and(|e| e == "html")) {
        let page = String::from_utf8_lossy(&file.bytes);
        assert!(!page.contains("<script>alert"), "a name got into the page as it is");
    }
}

/// Progress records of buildx: the same, however they come in pieces.
pub fn rawjson(data: &[u8]) {
    let whole = records::parse(data);
    let mut parser = records::Parser::default();
    let fed = data.chunks(3).try_for_each(|piece| parser.feed(piece));
    match (whole, fed.and_then(|()| parser.finish())) {
        (Ok(one), Ok(other)) => assert!(one == other, "pieces make another record"),
        (one, other) => assert!(one.is_err() == other.is_err(), "pieces are read differently"),
    }
}

/// A Dockerfile, and the same held against another.
pub fn dockerfile(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let args = BTreeMap::from([("V".to_owned(), "1".to_owned())]);
    if let Ok(parsed) = Dockerfile::parse(&text, &args) {
        for target in [None, Some("0"), Some("builder")] {
            let Some(last) = parsed.final_stage(target) else { continue };
            parsed.carried_stages(last);
            parsed.bases(last);
            for stage in parsed.layout(last) {
                for step in stage.steps {
                    step.taken().holds("app/a");
                }
            }
        }
    }
    assert!(differing(&text, &text).is_some(), "a Dockerfile differs from itself");
    differing(&text, DOCKERFILE);
}

/// `.dockerignore`.
pub fn ignore(data: &[u8]) {
    let dir = folder();
    write(&dir.path().join(".dockerignore"), data);
    let dockerfile = dir.path().join("Dockerfile");
    for builder in crate::model::Builder::ALL {
        if let Ok(rules) = workspace::Ignore::load(dir.path(), &dockerfile, builder) {
            assert!(!rules.excludes(Path::new("Dockerfile")), "the builder needs it");
            for path in ["a", "a/b/c.txt", ".git", "\n", "*"] {
                rules.excludes(Path::new(path));
                rules.must_enter(Path::new(path));
            }
        }
    }
}

/// An archive: unpacked as a build cache, and read as a saved image. Nothing gets out of its
/// folder.
pub fn archive(data: &[u8]) {
    let dir = folder();
    let file = dir.path().join("archive.tar");
    write(&file, data);
    if let Err(error) = image::archive::read(&file) {
        assert!(!error.to_string().is_empty());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("a runtime: {error}"));
    let unpacked = runtime.block_on(pack::unpack(&file, &dir.path().join("unpacked")));
    let left = fs::read_dir(dir.path()).map(Iterator::count).unwrap_or_default();
    assert_eq!(left, if unpacked.is_ok() { 2 } else { 1 }, "{unpacked:?}");
}

/// Short texts of a configuration: rates, times, sizes, addresses, filters.
pub fn texts(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(Some(bps)) = link::rate(text) {
        assert!(bps.is_finite() && bps >= 1e3, "{bps}");
    }
    if let Ok(rtt) = link::round_trip(text) {
        assert!(rtt.as_secs() <= 10, "{rtt:?}");
    }
    if let Ok(duration) = config::duration(text) {
        assert!(!duration.is_zero());
    }
    if let Ok(address) = Address::parse(text) {
        assert_eq!(Address::parse(&address.to_string()), Ok(address));
    }
    let _ = config::Filter::parse_list(text);
    let typed = crate::strategy::shell::quote(text);
    let words = shlex::split(&typed).unwrap_or_default();
    assert_eq!(words, [text.replace('\0', "")], "{typed}");
}

/// An answer of a registry as the link's proxy passes it on: a path, and lines of headers.
pub fn proxy(data: &[u8]) {
    link::fuzz::answer(data);
}
