//! A workflow of GitHub Actions.

use super::{ExportError, Format, Snippet, TAG_OF_BRANCH, only_own_archives, yaml};
use crate::strategy::shell::quote;
use std::fmt::Write;

pub(super) static FORMAT: Format =
    Format { id: "github-actions", summary: "a workflow of GitHub Actions", write };

/// Outside of the checkout, which may be the build context.
const STORAGE: &str = "/tmp/image-storage";

fn write(snippet: &Snippet<'_>) -> Result<String, ExportError> {
    let job = snippet.job_name();
    let mut head = snippet.head();
    head.push(
        "Secrets of the repository: REGISTRY_USER, REGISTRY_PASSWORD.".to_owned()
            + if snippet.registry.is_some() {
                ""
            } else {
                " Variable: REPOSITORY, such as registry.example/team/name."
            },
    );
    let mut out = yaml::comments(&head);
    let image =
        snippet.image().map_or("${{ vars.REPOSITORY }}".to_owned(), |image| literal(&image));
    let _ = write!(
        out,
        "name: {name}\non: push\npermissions:\n  contents: read\njobs:\n  {job}:\n    runs-on: \
         ubuntu-latest\n    env:\n      REPOSITORY: {image}\n",
        name = yaml::quoted(&job),
        image = yaml::quoted(&image),
    );
    if snippet.has_branches() {
        out.push_str("      BRANCH: ${{ github.head_ref || github.ref_name }}\n");
    }
    out.push_str("    steps:\n      - uses: actions/checkout@v4\n");
    if snippet.exports_cache() {
        out.push_str("      - uses: docker/setup-buildx-action@v3\n");
    }
    if snippet.uses_storage() {
        out.push_str(&cache(snippet));
    }
    let login = format!(
        "printf '%s' \"$REGISTRY_PASSWORD\" |\n  {} login --username \"$REGISTRY_USER\" \
         --password-stdin \"${{REPOSITORY%%/*}}\"",
        snippet.client()
    );
    let _ = write!(
        out,
        "      - name: Log in\n        env:\n          REGISTRY_USER: ${{{{ secrets.REGISTRY_USER \
         }}}}\n          REGISTRY_PASSWORD: ${{{{ secrets.REGISTRY_PASSWORD }}}}\n        run: {}\n",
        yaml::block(&login, 10)
    );
    out.push_str("      - name: Build and push\n        shell: bash\n");
    if !snippet.workload.secret_args.is_empty() {
        out.push_str("        env:\n");
        for name in snippet.secrets() {
            let _ = writeln!(out, "          {name}: ${{{{ secrets.{name} }}}}");
        }
    }
    if !snippet.folder.is_empty() {
        let folder = yaml::quoted(&literal(&snippet.folder));
        let _ = writeln!(out, "        working-directory: {folder}");
    }
    let mut preamble = vec!["repository=$REPOSITORY".to_owned()];
    if snippet.has_branches() {
        preamble.push(format!("branch=$BRANCH\n{TAG_OF_BRANCH}"));
    }
    let mut after = String::new();
    if snippet.uses_storage() {
        preamble.push(format!("storage={}\nmkdir -p \"$storage\"", quote(STORAGE)));
        after = only_own_archives(snippet);
    }
    let script = literal(&(snippet.script(&preamble) + &after));
    let _ = writeln!(out, "        run: {}", yaml::block(&script, 10));
    Ok(out)
}

/// The shared storage: a cache is never overwritten, so each run saves its own, and takes up the
/// newest of the best candidate that has one.
fn cache(snippet: &Snippet<'_>) -> String {
    let job = snippet.job_name();
    let own = if snippet.has_branches() { "${{ env.BRANCH }}" } else { &snippet.job.own };
    let mut keys = format!("{job}-{own}-");
    for other in snippet.others() {
        let _ = write!(keys, "\n{job}-{other}-");
    }
    format!(
        "      - uses: actions/cache@v4\n        with:\n          path: {STORAGE}\n          key: \
         {}\n          restore-keys: {}\n",
        yaml::quoted(&format!("{job}-{own}-${{{{ github.run_id }}}}")),
        yaml::block(&keys, 12),
    )
}

/// A text in which the runner finds no expression of its own.
fn literal(text: &str) -> String {
    text.replace("${{", "${{ '${{' }}")
}
