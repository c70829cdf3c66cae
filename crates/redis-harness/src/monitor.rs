//! What a server is told, line by line, and a check of what scripts touch.

use std::collections::BTreeSet;

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::TcpStream,
};

use crate::Server;

/// Records every command of a server, those of scripts too.
#[derive(Debug)]
pub struct Monitor {
    lines: Lines<BufReader<TcpStream>>,
}

impl Monitor {
    /// Starts to record.
    ///
    /// # Panics
    ///
    /// When the server cannot be reached or has a password.
    pub async fn start(server: &Server) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server.port())).await;
        let mut stream = stream.unwrap_or_else(|error| panic!("no connection: {error}"));
        let sent = stream.write_all(b"MONITOR\r\n").await;
        sent.unwrap_or_else(|error| panic!("not sent: {error}"));
        let mut monitor = Self {
            lines: BufReader::new(stream).lines(),
        };
        assert_eq!(monitor.line().await, "+OK");
        monitor
    }

    /// Ends the record: everything the server was told until now.
    ///
    /// # Panics
    ///
    /// When the server went away.
    pub async fn finish(mut self, server: &Server) -> Recording {
        let end = crate::unique_prefix("the end of the record");
        let mut connection = server.connection().await;
        let echo = redis::cmd("ECHO").arg(&end).to_owned();
        let echoed = echo.exec_async(&mut connection).await;
        echoed.unwrap_or_else(|error| panic!("no echo: {error}"));
        let mut commands = Vec::new();
        loop {
            let line = self.line().await;
            if line.contains(&end) {
                return Recording(commands);
            }
            commands.extend(Command::parse(&line));
        }
    }

    async fn line(&mut self) -> String {
        match self.lines.next_line().await {
            Ok(Some(line)) => line,
            Ok(None) => panic!("the server ended the record"),
            Err(error) => panic!("the record broke off: {error}"),
        }
    }
}

/// A recorded command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Whether a script sent it.
    pub by_script: bool,
    /// The command in capitals and its arguments, as the server wrote them down.
    pub words: Vec<String>,
}

impl Command {
    fn parse(line: &str) -> Option<Self> {
        let (head, rest) = line.split_once("] ")?;
        let mut words: Vec<String> = Vec::new();
        let mut chars = rest.chars();
        while let Some(quote) = chars.next() {
            if quote != '"' {
                continue;
            }
            let mut word = String::new();
            while let Some(c) = chars.next() {
                match c {
                    '"' => break,
                    '\\' => {
                        word.push(c);
                        word.extend(chars.next());
                    }
                    c => word.push(c),
                }
            }
            words.push(word);
        }
        words.first_mut()?.make_ascii_uppercase();
        Some(Self {
            by_script: head.ends_with("lua"),
            words,
        })
    }

    /// The keys a command touches.
    ///
    /// # Panics
    ///
    /// When the command is not known here: a new one has to be looked at.
    fn keys(&self) -> &[String] {
        match self.words[0].as_str() {
            "TIME" | "INFO" | "PUBLISH" | "SPUBLISH" => &[],
            "XINFO" => &self.words[2..3],
            "DEL" | "UNLINK" | "EXISTS" | "MGET" => &self.words[1..],
            "RENAME" => &self.words[1..3],
            "ZINTER" => {
                let keys: usize = self.words[1].parse().unwrap_or_default();
                &self.words[2..2 + keys]
            }
            "GET" | "SET" | "GETRANGE" | "SETRANGE" | "APPEND" | "STRLEN" | "INCR" | "INCRBY"
            | "SETBIT" | "BITPOS" | "PEXPIRE" | "PEXPIREAT" | "PTTL" | "PERSIST"
            | "PEXPIRETIME" | "HGET" | "HMGET" | "HSET" | "HDEL" | "HINCRBY" | "HGETALL"
            | "HLEN" | "LPUSH" | "RPUSH" | "LTRIM" | "LLEN" | "HEXISTS" | "SADD" | "SREM"
            | "SMEMBERS" | "SMISMEMBER" | "SCARD" | "ZADD" | "ZREM" | "ZCARD" | "ZCOUNT"
            | "ZSCORE" | "ZMSCORE" | "ZRANGE" | "ZRANGEBYSCORE" | "ZRANGEBYLEX"
            | "ZREMRANGEBYSCORE" | "ZREMRANGEBYRANK" | "ZPOPMIN" | "XADD" | "XDEL" | "XLEN"
            | "XSETID" | "XTRIM" | "XRANGE" | "XREVRANGE" => &self.words[1..2],
            other => panic!("a script sent {other}, which this check does not know"),
        }
    }
}

/// Everything a server was told, in order.
#[derive(Debug)]
pub struct Recording(Vec<Command>);

/// What the check of a recording saw.
#[derive(Debug, Default)]
pub struct ScriptsSeen {
    /// How many calls of scripts there were.
    pub calls: usize,
    /// Which commands scripts sent.
    pub commands: BTreeSet<String>,
}

impl Recording {
    /// The commands.
    #[must_use]
    pub fn commands(&self) -> &[Command] {
        &self.0
    }

    /// Checks that every call of a script declares keys of one slot, and that the script touches no
    /// other.
    ///
    /// # Panics
    ///
    /// When one does not.
    #[must_use]
    pub fn check_scripts(&self, slot: impl Fn(&str) -> u16) -> ScriptsSeen {
        let mut declared: &[String] = &[];
        let mut seen = ScriptsSeen::default();
        for command in &self.0 {
            let words = &command.words;
            if !command.by_script {
                if words[0].starts_with("EVAL") {
                    let count: usize = words[2].parse().unwrap_or_else(|_| panic!("{words:?}"));
                    declared = &words[3..3 + count];
                    let slots: BTreeSet<u16> = declared.iter().map(|key| slot(key)).collect();
                    assert!(
                        slots.len() <= 1,
                        "a call has keys of several slots: {declared:?}"
                    );
                    seen.calls += 1;
                }
                continue;
            }
            for key in command.keys() {
                assert!(
                    declared.contains(key),
                    "a script sent {} {key}, which was not declared",
                    words[0]
                );
            }
            seen.commands.insert(words[0].clone());
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let line = r#"1700000000.123456 [0 lua] "zadd" "a \"b\"" "1""#;
        let command = Command::parse(line).unwrap();
        assert!(command.by_script);
        assert_eq!(command.words, ["ZADD", r#"a \"b\""#, "1"]);
        assert_eq!(command.keys(), [r#"a \"b\""#]);
        assert_eq!(Command::parse("+OK"), None);
    }

    fn recording(commands: &[(bool, &[&str])]) -> Recording {
        let commands = commands.iter().map(|(by_script, words)| Command {
            by_script: *by_script,
            words: words.iter().map(|word| (*word).to_owned()).collect(),
        });
        Recording(commands.collect())
    }

    #[test]
    fn declared_keys_are_fine() {
        let seen = recording(&[
            (false, &["EVALSHA", "sha", "1", "a", "b"]),
            (true, &["GET", "a"]),
        ])
        .check_scripts(|_| 1);
        assert_eq!((seen.calls, seen.commands.len()), (1, 1));
    }

    #[test]
    #[should_panic(expected = "not declared")]
    fn other_keys_are_found() {
        let commands: [(bool, &[&str]); 2] = [
            (false, &["EVALSHA", "sha", "1", "a", "b"]),
            (true, &["GET", "b"]),
        ];
        let _ = recording(&commands).check_scripts(|_| 1);
    }

    #[test]
    #[should_panic(expected = "several slots")]
    fn several_slots_are_found() {
        let commands: [(bool, &[&str]); 1] = [(false, &["EVALSHA", "sha", "2", "a", "bb"])];
        let _ = recording(&commands).check_scripts(|key| u16::try_from(key.len()).unwrap());
    }
}
