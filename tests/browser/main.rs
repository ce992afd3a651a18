//! The page in a real browser: it fits, it asks for nothing, it says nothing on the console, it
//! can be sorted, printed and read without its script. Pictures are left in
//! `target/tmp/browser/` for whoever wants to look.

mod chrome;
#[path = "../report_support/mod.rs"]
mod report_support;

use breakeven::report;
use chrome::Chrome;
use report_support::Run;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Writes a run's report into a folder of its own.
fn written(run: &Run, name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser").join(name);
    report::write(&run.files(), &dir).expect("room for a report");
    dir
}

/// Whatever reaches beyond the window and is not within something that scrolls by itself.
const OVERFLOWING: &str = "[...document.querySelectorAll('body *')]
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5 && !one.closest('.wide, pre'))
    .map((one) => one.outerHTML.slice(0, 120))";

/// Things that a screen reader needs and that are missing.
const UNLABELLED: &str = "[
    ...[...document.querySelectorAll('svg')].filter((one) => one.getAttribute('role') !== 'img'
        || !one.querySelector('title')?.textContent || !one.querySelector('desc')?.textContent),
    ...[...document.querySelectorAll('table')].filter((one) => !one.caption?.textContent.trim()),
    ...document.querySelectorAll('thead th:not([scope=col])'),
    ...[...document.querySelectorAll('section')].filter((one) =>
        !document.getElementById(one.getAttribute('aria-labelledby'))?.textContent),
    ...[...document.querySelectorAll('.wide')].filter((one) =>
        one.tabIndex !== 0 || !one.getAttribute('aria-label')),
  ].map((one) => one.outerHTML.slice(0, 120))";

fn check(chrome: &mut Chrome, dir: &Path, width: u32, scheme: &str) {
    let page = dir.join("report.html");
    chrome.open(&page, width, scheme);
    let place = format!("{} at {width} in {scheme}", page.display());
    let folded = "[...document.querySelectorAll('details:not([open])')]";
    chrome.eval(&format!("window.folded = {folded}; folded.forEach((one) => (one.open = true))"));
    let widths = chrome.eval("[document.documentElement.scrollWidth, innerWidth]");
    assert_eq!(widths, json!([width, width]), "{place} scrolls sideways");
    assert_eq!(chrome.eval(OVERFLOWING), json!([]), "{place}");
    assert_eq!(chrome.eval(UNLABELLED), json!([]), "{place}");
    let dark =
        chrome.eval("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)";
    assert_eq!(dark, scheme == "dark", "{place}");
    let paper = chrome.eval("getComputedStyle(document.querySelector('svg rect')).fill");
    let body = chrome.eval("getComputedStyle(document.body).backgroundColor");
    assert_eq!(paper, body, "{place}: figures lie on the page's own ground");
    chrome.eval("folded.forEach((one) => (one.open = false))");
    chrome.screenshot(&dir.join(format!("{width}-{scheme}.png")));
    assert_eq!(chrome.console, [""; 0], "{place}");
    assert_eq!(chrome.requests, [format!("file://{}", page.display())], "{place}");
}

#[test]
fn the_page_fits_both_widths_in_both_schemes() {
    let mut chrome = Chrome::start();
    for (run, name) in [(Run::usual(), "usual"), (Run::wide(), "wide"), (Run::twice(0.9), "twice")]
    {
        let dir = written(&run, name);
        for width in [380, 1280] {
            for scheme in ["light", "dark"] {
                check(&mut chrome, &dir, width, scheme);
            }
        }
    }
}

#[test]
fn a_name_from_outside_runs_nothing() {
    let script =
        "<script>document.title = 'broken'</script><img src=x onerror='document.title = 1'>";
    let long = "a-name-without-any-place-where-a-line-could-be-broken-".repeat(4);
    let mut chrome = Chrome::start();
    for (name, text) in [("script", script), ("long", &long)] {
        let dir = written(&Run::hostile(text), name);
        check(&mut chrome, &dir, 380, "light");
        let title = chrome.eval("document.title");
        assert!(title.as_str().is_some_and(|title| title.starts_with("Breakeven ")), "{title}");
        let scripts = chrome.eval("document.scripts.length + document.images.length");
        assert_eq!(scripts, 1, "{name}");
    }
}

#[test]
fn samples_are_sorted_by_the_column_that_is_clicked() {
    let mut chrome = Chrome::start();
    let dir = written(&Run::killed(), "killed");
    chrome.open(&dir.join("report.html"), 1280, "light");
    let column = |chrome: &mut Chrome, name: &str| -> (Vec<String>, Value) {
        let at = format!(
            "[...document.querySelectorAll('#all-samples thead th')]
                .findIndex((head) => head.textContent === '{name}')"
        );
        chrome
            .eval(&format!("document.querySelectorAll('#all-samples thead button')[{at}].click()"));
        let cells = chrome.eval(&format!(
            "[...document.getElementById('all-samples').tBodies[0].rows]
                .map((row) => row.cells[{at}].textContent)"
        ));
        let cells = serde_json::from_value(cells).expect("texts");
        let sorted = chrome.eval(&format!(
            "document.querySelectorAll('#all-samples thead th')[{at}].getAttribute('aria-sort')"
        ));
        (cells, sorted)
    };
    let numbers = |cells: &[String]| -> Vec<f64> {
        cells.iter().filter_map(|cell| cell.parse().ok()).collect()
    };
    let (up, sorted) = column(&mut chrome, "total s");
    assert_eq!((up.len(), sorted), (78, json!("ascending")));
    assert!(numbers(&up).is_sorted());
    let (down, sorted) = column(&mut chrome, "total s");
    assert_eq!(sorted, "descending");
    assert!(numbers(&down).is_sorted_by(|a, b| a >= b) && down != up);
    let (words, _) = column(&mut chrome, "strategy");
    assert!(words.is_sorted());
    let marks = chrome.eval("document.querySelectorAll('[aria-sort]').length");
    assert_eq!(marks, 1, "one column at a time");
    assert_eq!(chrome.console, [""; 0]);
}

#[test]
fn the_page_is_printed_on_paper_with_everything_but_the_samples() {
    let mut chrome = Chrome::start();
    let dir = written(&Run::usual(), "printed");
    chrome.open(&dir.join("report.html"), 1280, "dark");
    assert!(chrome.print(&dir.join("report.pdf")) > 10_000);
    assert_eq!(chrome.console, [""; 0]);
}

#[test]
fn every_figure_is_a_picture_of_its_own() {
    let mut chrome = Chrome::start();
    let dir = written(&Run::usual(), "figures");
    for file in std::fs::read_dir(dir.join("charts")).expect("charts") {
        let path = file.expect("an entry").path();
        for (scheme, paper) in [("light", "rgb(255, 255, 255)"), ("dark", "rgb(21, 25, 29)")] {
            chrome.open(&path, 1280, scheme);
            let drawn = chrome.eval("getComputedStyle(document.querySelector('rect')).fill");
            assert_eq!(drawn, paper, "{}", path.display());
            assert_eq!(chrome.console, [""; 0], "{}", path.display());
        }
    }
}
