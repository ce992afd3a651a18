//! Both ends of a transfer: a server that sends as many bytes as its path asks for and swallows
//! what it is sent, and a client for it or for a registry.

use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

const BUFFER: usize = 256 * 1024;
const ZEROS: &[u8; BUFFER] = &[0; BUFFER];

/// Starts the server; it ends with the process.
pub fn serve() -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // It ends when the other side does.
            std::thread::spawn(move || answer(stream));
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let head = read_head(&mut stream)?;
        let path = head.split(' ').nth(1).context("no path")?;
        let bytes: u64 = path.trim_start_matches('/').parse()?;
        swallow(&mut stream, length(&head)?, |_| {})?;
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n")?;
        send(&mut stream, bytes)?;
    }
}

/// Starts the least that a program in between can be which takes each byte into its memory: it
/// copies both ways, knows nothing of HTTP, and ends with the process.
pub fn relay(to: SocketAddr) -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // It ends when one of its sides does.
            std::thread::spawn(move || -> Result<()> {
                let server = TcpStream::connect(to)?;
                let (from, into) = (client.try_clone()?, server.try_clone()?);
                std::thread::spawn(move || copy(from, into));
                copy(server, client)
            });
        }
    });
    Ok(address)
}

fn copy(mut from: TcpStream, mut to: TcpStream) -> Result<()> {
    to.set_nodelay(true)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let bytes = from.read(&mut buffer)?;
        if bytes == 0 {
            return Ok(to.shutdown(Shutdown::Write)?);
        }
        to.write_all(&buffer[..bytes])?;
    }
}

/// A client's connection.
pub struct Client {
    stream: TcpStream,
}

/// An answer's head; its body has been handled.
pub struct Answer {
    head: String,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// Asks for this many bytes while sending that many.
    pub fn exchange(&mut self, down: u64, up: u64) -> Result<()> {
        self.begin("POST", &format!("/{down}"), up)?;
        send(&mut self.stream, up)?;
        self.finish(|_| {}).map(drop)
    }

    /// Sends a request without its body.
    pub fn begin(&mut self, method: &str, path: &str, length: u64) -> Result<()> {
        let host = self.stream.peer_addr()?;
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n");
        Ok(self.stream.write_all(head.as_bytes())?)
    }

    pub fn send(&mut self, body: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(body)?)
    }

    /// Reads the answer, showing the parts of its body.
    pub fn finish(&mut self, show: impl FnMut(&[u8])) -> Result<Answer> {
        let head = read_head(&mut self.stream)?;
        swallow(&mut self.stream, length(&head)?, show)?;
        if !head.starts_with("HTTP/1.1 2") {
            bail!("unexpected answer: {head}");
        }
        Ok(Answer { head })
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = head.lines().filter_map(|line| line.split_once(": "));
    pairs.find(|pair| pair.0.eq_ignore_ascii_case(name)).map(|pair| pair.1)
}

fn length(head: &str) -> Result<u64> {
    Ok(header(head, "content-length").unwrap_or("0").parse()?)
}

/// Byte by byte, so that nothing of the body is taken along.
fn read_head(stream: &mut TcpStream) -> Result<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8(head)?)
}

fn swallow(stream: &mut TcpStream, mut left: u64, mut show: impl FnMut(&[u8])) -> Result<()> {
    let mut buffer = vec![0; BUFFER];
    while left > 0 {
        let most = usize::try_from(left).map_or(BUFFER, |left| left.min(BUFFER));
        let bytes = stream.read(&mut buffer[..most])?;
        if bytes == 0 {
            bail!("{left} bytes are missing");
        }
        show(&buffer[..bytes]);
        left -= bytes as u64;
    }
    Ok(())
}

fn send(stream: &mut TcpStream, mut left: u64) -> Result<()> {
    while left > 0 {
        let bytes = usize::try_from(left).map_or(BUFFER, |left| left.min(BUFFER));
        stream.write_all(&ZEROS[..bytes])?;
        left -= bytes as u64;
    }
    Ok(())
}
