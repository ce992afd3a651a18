//! A front before the server that spoils what a rule says.

use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What happens to one request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Nothing.
    None,
    /// It is answered with this status and body instead of being passed on.
    Answer(u16, &'static str),
    /// The connection ends while the request is still being sent.
    Reset,
    /// It is never answered; the connection ends once the rule says something else.
    Silence,
    /// The answer's body ends after so many bytes.
    Cut(usize),
    /// The answer states a length that differs by so much, and the connection ends after the body.
    Length(i64),
    /// The answer comes in small pieces with pauses.
    Slow,
}

/// Decides by the first line of a request.
pub type Rule = dyn Fn(&str) -> Fault + Send + Sync;

/// Starts a front before the server at this address, for as long as the test's runtime lives.
/// Returns its address.
pub async fn start(server: &str, rule: impl Fn(&str) -> Fault + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (server, rule): (String, Arc<Rule>) = (server.to_owned(), Arc::new(rule));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (server, rule) = (server.clone(), Arc::clone(&rule));
            // Broken connections are what this is for.
            tokio::spawn(async move { drop(serve(socket, &server, rule.as_ref()).await) });
        }
    });
    address
}

/// One request; the connection ends with its answer.
async fn serve(mut client: TcpStream, server: &str, rule: &Rule) -> io::Result<()> {
    let (head, rest) = head(&mut client).await?;
    let (first, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
    let fault = rule(first);
    match fault {
        Fault::Answer(status, body) => {
            let length: usize = fields
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, value)| value.trim().parse().unwrap());
            let mut body_of_request = (&mut client).take(length.saturating_sub(rest.len()) as u64);
            tokio::io::copy(&mut body_of_request, &mut tokio::io::sink()).await?;
            let length = body.len();
            let text = format!(
                "HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            return client.write_all(text.as_bytes()).await;
        }
        Fault::Reset => {
            // Closing with unread bytes resets the connection.
            return Ok(());
        }
        Fault::Silence => {
            while matches!(rule(first), Fault::Silence) {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            return Ok(());
        }
        Fault::None | Fault::Cut(_) | Fault::Length(_) | Fault::Slow => {}
    }
    let mut upstream = TcpStream::connect(server).await?;
    let asked = format!("{first}\r\nconnection: close\r\n{fields}\r\n\r\n");
    upstream.write_all(asked.as_bytes()).await?;
    upstream.write_all(&rest).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = upstream.split();
    let up = async {
        tokio::io::copy(&mut from_client, &mut to_server).await?;
        io::Result::Ok(())
    };
    let down = async {
        let (head, rest) = head_of(&mut from_server).await?;
        to_client.write_all(lengthened(&head, &fault).as_bytes()).await?;
        match fault {
            Fault::Cut(bytes) => {
                let mut body = rest;
                (&mut from_server).take(bytes as u64).read_to_end(&mut body).await?;
                body.truncate(bytes);
                to_client.write_all(&body).await?;
            }
            Fault::Slow => {
                let mut body = rest;
                from_server.read_to_end(&mut body).await?;
                for piece in body.chunks(body.len() / 20 + 1) {
                    to_client.write_all(piece).await?;
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
            }
            _ => {
                to_client.write_all(&rest).await?;
                tokio::io::copy(&mut from_server, &mut to_client).await?;
            }
        }
        to_client.shutdown().await
    };
    tokio::select! {
        done = down => done,
        // A client that has sent everything still waits for its answer.
        Err(error) = up => Err(error),
    }
}

fn lengthened(head: &str, fault: &Fault) -> String {
    let more = match fault {
        Fault::Length(more) => *more,
        _ => 0,
    };
    let lines = head.split("\r\n").map(|line| match line.split_once(':') {
        Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
            format!("{name}: {}", value.trim().parse::<i64>().unwrap() + more)
        }
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\r\n") + "\r\n\r\n"
}

async fn head(client: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    head_of(client).await
}

/// The head without its empty line, and what came of the body with it.
async fn head_of(from: &mut (impl AsyncReadExt + Unpin)) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            bytes.truncate(end);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
        // A client that tries TLS first is let go, and comes again without.
        if bytes.first() == Some(&0x16) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if from.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
