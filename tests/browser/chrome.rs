//! Debian's chromium without a window, spoken to in its DevTools protocol.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;
use tungstenite::{Message, WebSocket};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(120);

const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
];

/// A running browser with one page. Dropping it ends the browser and removes its profile.
pub struct Chrome {
    process: Process,
    socket: WebSocket<TcpStream>,
    /// The page within the browser.
    session: Option<String>,
    last: u64,
    /// What the page wrote to its console, errors that nobody caught included.
    pub console: Vec<String>,
    /// Addresses that the page asked for.
    pub requests: Vec<String>,
    _profile: tempfile::TempDir,
}

impl Chrome {
    /// Starts it with a profile of its own.
    pub fn start() -> Self {
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let mut process = Command::new("chromium")
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "chromium: {error}. Run scripts/test-tools.sh, or install the package chromium"
                )
            });
        let said = process.stderr.take().expect("it is piped");
        let process = Process(process);
        let socket = connect(&address(said));
        let mut chrome = Self {
            process,
            socket,
            session: None,
            last: 0,
            console: Vec::new(),
            requests: Vec::new(),
            _profile: profile,
        };
        let target = chrome.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = chrome.call("Target.attachToTarget", attach);
        chrome.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            chrome.call(&format!("{domain}.enable"), json!({}));
        }
        chrome
    }

    /// Opens a file in a window so wide, in the light or the dark scheme, and waits until it is
    /// loaded.
    pub fn open(&mut self, file: &Path, width: u32, scheme: &str) {
        self.console.clear();
        self.requests.clear();
        self.width(width, 900);
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.call("Emulation.setEmulatedMedia", json!({"features": [feature]}));
        self.call("Page.navigate", json!({"url": format!("file://{}", file.display())}));
        while self.eval("document.readyState") != "complete" {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn width(&mut self, width: u32, height: u32) {
        let size = json!(
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 720}
        );
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// The value of an expression in the page.
    pub fn eval(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", asked);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Writes a picture of the whole page.
    pub fn screenshot(&mut self, to: &Path) {
        let asked = json!({"format": "png", "captureBeyondViewport": true});
        let answer = self.call("Page.captureScreenshot", asked);
        let data = answer["data"].as_str().expect("a picture");
        fs::write(to, BASE64_STANDARD.decode(data).expect("base64")).expect("room for a picture");
    }

    /// Writes the page as it is printed, and returns how large the file is.
    pub fn print(&mut self, to: &Path) -> usize {
        let answer = self.call("Page.printToPDF", json!({"printBackground": false}));
        let data = answer["data"].as_str().expect("a document");
        let bytes = BASE64_STANDARD.decode(data).expect("base64");
        fs::write(to, &bytes).expect("room for a document");
        bytes.len()
    }

    /// One call, and what happened in the page until its answer.
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let id = self.last;
        let mut call = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            call["sessionId"] = session.as_str().into();
        }
        self.socket.send(Message::text(call.to_string())).expect("the browser listens");
        loop {
            let message = self.socket.read().expect("the browser answers within its time");
            let Ok(text) = message.into_text() else { continue };
            let Ok(mut message) = serde_json::from_str::<Value>(&text) else { continue };
            if message["id"] == id {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].take();
            }
            self.note(&message);
        }
    }

    fn note(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str() {
            Some("Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded") => {
                self.console.push(params.to_string());
            }
            Some("Network.requestWillBeSent") => {
                let url = params["request"]["url"].as_str().unwrap_or_default();
                self.requests.push(url.to_owned());
            }
            _ => {}
        }
    }
}

impl Drop for Chrome {
    fn drop(&mut self) {
        // Asked to end, it ends its children too.
        self.session = None;
        let close = json!({"id": 0, "method": "Browser.close"}).to_string();
        if self.socket.send(Message::text(close)).is_ok() {
            let _ = self.process.0.wait();
        }
    }
}

/// A process that does not outlive its test, whatever becomes of that.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The address that the browser says it listens at.
fn address(said: ChildStderr) -> String {
    let mut lines = BufReader::new(said).lines();
    let mut all = String::new();
    let address = loop {
        let Some(Ok(line)) = lines.next() else { panic!("chromium did not start:\n{all}") };
        if let Some(address) = line.strip_prefix("DevTools listening on ") {
            break address.to_owned();
        }
        all += &(line + "\n");
    };
    // Read on, so that it never waits for somebody to listen.
    std::thread::spawn(move || lines.for_each(drop));
    address
}

fn connect(address: &str) -> WebSocket<TcpStream> {
    let host = address.trim_start_matches("ws://").split('/').next().unwrap_or_default();
    let stream = TcpStream::connect(host).expect("the browser listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    let (socket, _) = tungstenite::client(address, stream).expect("a web socket");
    socket
}
