//! A server of a test's own, over plain HTTP: a request a connection.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
};

/// A request.
pub(super) struct Asked {
    pub(super) method: String,
    /// The path, and what stands behind the question mark.
    pub(super) target: String,
    /// By their names in lower case.
    pub(super) headers: HashMap<String, String>,
    pub(super) body: String,
}

/// Answers requests one after another; where there is no answer, the connection breaks off. Returns its address.
pub(super) fn serve(mut answer: impl FnMut(Asked) -> Option<String> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // A connection that was opened and not used asks nothing.
            if let Some(asked) = read(&stream)
                && let Some(answer) = answer(asked)
            {
                stream.write_all(answer.as_bytes()).unwrap();
            }
        }
    });
    url
}

/// An answer with these headers (`Name: value`, a line each) and this body.
pub(super) fn response(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let (method, rest) = line.split_once(' ')?;
    let target = rest.split(' ').next()?.to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked {
        method: method.to_owned(),
        target,
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}
