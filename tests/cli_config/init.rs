//! `init`: what it writes for Dockerfiles as they are in the wild.

use super::{TWO_STAGES, article, breakeven, folder, refusal, success};
use std::fs;

/// Name, Dockerfile and files.
type Wild = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// Dockerfiles as they are in the wild, each with the files that it copies.
const WILD: &[Wild] = &[
    ("ruby", TWO_STAGES, &[("Gemfile", "gem 'rack'"), ("app/main.rb", "puts 1\n")]),
    (
        "node",
        "FROM node:22 AS build\nWORKDIR /app\nCOPY package*.json ./\nRUN npm ci\nCOPY . .\n\
         RUN npm run build\nFROM nginx:1\nCOPY nginx.conf /etc/nginx/\n\
         COPY --from=build /app/dist /usr/share/nginx/html\n",
        &[
            ("package.json", "{\n  \"name\": \"web\",\n  \"version\": \"1.2.3\"\n}\n"),
            ("package-lock.json", "{}\n"),
            ("nginx.conf", "events {}\n"),
            ("src/pages/[id].js", "export default 1"),
            ("src/app.test.js", "test()"),
            ("node_modules/x/index.js", "x"),
            (".dockerignore", "node_modules\n"),
        ],
    ),
    (
        "go",
        "# syntax=docker/dockerfile:1\nARG GO=1.23\nFROM golang:${GO} AS build\n\
         RUN --mount=type=bind,source=go.mod,target=go.mod --mount=type=bind,source=go.sum,target=go.sum \
         go mod download\nCOPY . .\nRUN go build ./cmd/web\nFROM scratch\nCOPY --from=build /web /\n",
        &[
            ("go.mod", "module web\n"),
            ("go.sum", "x\n"),
            ("cmd/web/main.go", "package main\n"),
            ("cmd/web/main_test.go", "package main\n"),
        ],
    ),
    (
        "python",
        "FROM python:3.13-slim\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\n\
         COPY src/ ./src/\nCMD [\"python\", \"-m\", \"src\"]\n",
        &[("requirements.txt", "flask==3\n"), ("src/__main__.py", "print(1)\n")],
    ),
    (
        "everything",
        "FROM gcc:14\nCOPY . .\nRUN make\n",
        &[("main.c", "int main;\n"), ("Makefile", "all:\n")],
    ),
    ("nothing", "FROM alpine:3\nRUN date\n", &[("README.md", "x\n")]),
    ("binary", "FROM alpine:3\nCOPY data /data\n", &[("data/table.bin", "\u{0}\u{1}")]),
];

#[test]
fn what_init_writes_is_a_good_configuration() {
    for (name, dockerfile, files) in WILD {
        let mut all = vec![("Dockerfile", *dockerfile)];
        all.extend_from_slice(files);
        let dir = folder(&all);
        let root = dir.path().join("web");
        fs::create_dir(&root).unwrap();
        for (file, _) in &all {
            let to = root.join(file);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::rename(dir.path().join(file), to).unwrap();
        }
        let output = breakeven(&root, &["init"]);
        assert_eq!(output.status.code(), Some(0), "{name}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("breakeven plan"), "{name}: {said}");
        success(&root, &["plan"]);
        let text = fs::read_to_string(root.join("breakeven.toml")).unwrap();
        let mixed =
            text.split_once("# Stages of").unwrap().1.split_once("# Images that").unwrap().0;
        insta::assert_snapshot!(format!("init_{name}"), mixed);
    }
}

#[test]
fn init_never_overwrites_without_being_told() {
    let dir = article("mine");
    let path = dir.path().join("breakeven.toml");
    insta::assert_snapshot!(refusal(dir.path(), &["init"]));
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    let printed = success(dir.path(), &["init", "--stdout"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    assert_eq!(success(dir.path(), &["init", "--force"]), "");
    assert_eq!(fs::read_to_string(&path).unwrap(), printed);
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "no temporary file is left: {left:?}");
}

#[test]
fn init_leaves_out_a_builder_that_would_refuse_the_dockerfile() {
    let lines =
        "FROM a\nCOPY go.mod ./\nRUN --mount=type=cache,target=/go go mod download\nCOPY . .\n";
    for (dockerfile, expected) in [
        (lines.to_owned(), "# The Dockerfile has RUN --mount in line 3, "),
        (
            lines.replace(" --mount=type=cache,target=/go", ""),
            "# builders = [\"classic\", \"buildkit\"]",
        ),
    ] {
        let dir = folder(&[("Dockerfile", &dockerfile), ("go.mod", "module a\n")]);
        let text = success(dir.path(), &["init", "--stdout"]);
        assert!(text.contains(expected), "{text}");
        assert_eq!(text.contains("\nbuilders = [\"buildkit\"]\n"), expected.contains("--mount"));
    }
}

#[test]
fn init_says_which_dockerfiles_there_are() {
    let dir = folder(&[("Dockerfile.web", "FROM a\n"), ("docker/x", "")]);
    insta::assert_snapshot!(refusal(dir.path(), &["init"]));
    let text = success(dir.path(), &["init", "--dockerfile", "Dockerfile.web", "--stdout"]);
    assert!(text.contains("\ndockerfile = \"Dockerfile.web\"\n"), "{text}");
}
