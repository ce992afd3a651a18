//! JUnit XML, which most CI systems show: a test case for each rule. It holds what `junit-10.xsd` allows,
//! by which Jenkins' xUnit plugin accepts or refuses a file, and what the parsers of Jenkins' JUnit plugin
//! and of GitLab read (junit-plugin's `CaseResult.java`, GitLab's `lib/gitlab/ci/parsers/test/junit.rb`).

use super::{Gate, Output, ReportError, State, Target, reasons, unfinished};
use crate::report::text::visible;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::time::Duration;

/// The row of `OUTPUTS`.
pub(super) const OUTPUT: Output = Output {
    option: "junit",
    summary: "JUnit XML: a test case for each rule",
    target: Target::File,
    render,
};

fn render(gate: &Gate) -> Result<String, ReportError> {
    let mut suite = TestSuite::new(visible(&format!("breakeven check {}", gate.run)));
    for rule in &gate.rules {
        let mut status = match rule.state {
            State::Pass => TestCaseStatus::success(),
            State::Skip => TestCaseStatus::skipped(),
            State::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
            State::Misconfigured => TestCaseStatus::non_success(NonSuccessKind::Error),
        };
        let reasons: Vec<String> =
            reasons(rule).lines().map(|line| visible(line).into_owned()).collect();
        status.set_message(reasons.first().cloned().unwrap_or_default());
        status.set_type(rule.state.as_str());
        status.set_description(reasons.join("\n"));
        // CI systems know a test by its name from one run to the next, so that it holds no line.
        let shared = gate.rules.iter().filter(|other| other.title == rule.title).count() > 1;
        let name =
            if shared { format!("{} ({})", rule.title, rule.keys) } else { rule.title.clone() };
        let mut case = test_case(&visible(&name), rule.kind, status);
        case.set_system_out(visible(&format!("{}: {}", rule.origin(), rule.effective)));
        suite.add_test_case(case);
    }
    if let Some(said) = unfinished(gate) {
        let mut status = match gate.is_cut_short() {
            true => TestCaseStatus::non_success(NonSuccessKind::Error),
            false => TestCaseStatus::skipped(),
        };
        // GitLab shows the text of the element, Jenkins the attribute.
        status.set_message(said.as_str());
        status.set_type("not whole");
        status.set_description(said);
        suite.add_test_case(test_case("the run is whole", "run", status));
    }
    let mut report = Report::new("breakeven check");
    report.add_test_suite(suite);
    let text =
        report.to_string().map_err(|error| ReportError::format("the JUnit report", error))?;
    // The schema has that count for a suite, not for all of them, and Jenkins' xUnit plugin refuses the
    // file over it. The root is what comes first, under a name of ours.
    Ok(text.replacen(&format!(r#" skipped="{}""#, report.skipped), "", 1))
}

/// Asking a rule takes no time worth a figure; Surefire's schema wants one of every test case.
fn test_case(name: &str, class: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(format!("breakeven.{class}"));
    case.set_time(Duration::ZERO);
    case
}
