//! Configuration from named values, which usually are environment variables.

use std::{env, fs, time::Duration};

use crate::config::{
    Config, ConfigBuilder, ConfigError, ConfigProblem, InstanceName, Problem,
    parse::{self, Connection},
};

impl Config {
    /// Reads the default instance from `REDIS_*` of the environment.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with everything that is wrong.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(InstanceName::default(), environment)
    }

    /// Reads a named instance from `REDIS_<NAME>_*` of the environment.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with everything that is wrong, the name included.
    pub fn from_env_named(name: &str) -> Result<Self, ConfigError> {
        let name = InstanceName::new(name).map_err(|problem| {
            let variable = "the name of the instance".to_owned();
            ConfigError::new(vec![ConfigProblem::new(
                "",
                variable,
                Problem::Name(problem),
            )])
        })?;
        Self::from_lookup(name, environment)
    }

    /// Reads an instance from anything that has values by name. Blank values count as unset.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with everything that is wrong.
    ///
    /// # Examples
    ///
    /// ```
    /// use redis_client::{Config, InstanceName};
    ///
    /// let config = Config::from_lookup(InstanceName::new("jobs")?, |variable| {
    ///     Ok((variable == "REDIS_JOBS_ADDR").then(|| "localhost:6379".to_owned()))
    /// })?;
    /// assert_eq!(config.pool_size(), 16);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_lookup<F>(name: InstanceName, lookup: F) -> Result<Self, ConfigError>
    where
        F: FnMut(&str) -> Result<Option<String>, NotUnicode>,
    {
        let mut reader = Reader {
            builder: Self::builder().named(name),
            lookup,
        };
        reader.read();
        reader.builder.build()
    }
}

/// A value that is not valid Unicode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the value is not valid Unicode")]
pub struct NotUnicode;

fn environment(variable: &str) -> Result<Option<String>, NotUnicode> {
    match env::var(variable) {
        Ok(value) => Ok(Some(value)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(NotUnicode),
    }
}

struct Reader<F> {
    builder: ConfigBuilder,
    lookup: F,
}

type Set<T> = fn(ConfigBuilder, T) -> ConfigBuilder;

impl<F: FnMut(&str) -> Result<Option<String>, NotUnicode>> Reader<F> {
    fn read(&mut self) {
        use ConfigBuilder as B;
        if let Some(addresses) = self.value("ADDR") {
            for address in addresses.split(',').map(str::trim) {
                self.apply(address.to_owned(), B::address::<String>);
            }
        }
        self.text("USERNAME", B::username);
        self.text("PASSWORD", |b, text| b.password(text));
        self.file("PASSWORD_FILE", |b, bytes| match String::from_utf8(bytes) {
            Ok(text) => b.password_from_file(text.trim_end()),
            Err(_) => b.problem("PASSWORD_FILE", Problem::NotUnicode),
        });
        self.parsed("DB", parse::database, B::database);
        self.parsed("TLS", parse::boolean, B::tls);
        self.file("TLS_CA_FILE", B::tls_ca_pem);
        self.text("SENTINEL_MASTER", B::sentinel_master);
        self.text("SENTINEL_USERNAME", B::sentinel_username);
        self.text("SENTINEL_PASSWORD", |b, text| b.sentinel_password(text));
        self.parsed(
            "CLUSTER",
            parse::boolean,
            |b, on| if on { b.cluster() } else { b },
        );
        self.parsed("PROTOCOL", parse::protocol, B::protocol);
        self.text("CLIENT_NAME", B::client_name);
        for (setting, set) in DURATIONS {
            self.parsed(setting, parse::duration, *set);
        }
        self.parsed("POOL_SIZE", parse::number, B::pool_size);
        self.parsed("POOL_RECYCLE", parse::recycle, B::recycle);
        self.parsed("CONNECTION", parse::connection, |b, how| match how {
            Connection::Pool => b.shared_connections(0),
            Connection::Shared(Some(count)) => b.shared_connections(count),
            Connection::Shared(None) => b.shared(),
        });
        self.parsed("PING_ON_BUILD", parse::boolean, B::ping_on_build);
        self.text("KEY_PREFIX", B::key_prefix);
    }

    fn value(&mut self, setting: &'static str) -> Option<String> {
        let variable = self.builder.instance().variable(setting);
        match (self.lookup)(&variable) {
            Ok(value) => value
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty()),
            Err(NotUnicode) => {
                self.report(setting, Problem::NotUnicode);
                None
            }
        }
    }

    fn apply<T>(&mut self, value: T, set: impl FnOnce(ConfigBuilder, T) -> ConfigBuilder) {
        self.builder = set(std::mem::take(&mut self.builder), value);
    }

    fn report(&mut self, setting: &'static str, problem: Problem) {
        self.apply(problem, |builder, problem| {
            builder.problem(setting, problem)
        });
    }

    fn text(&mut self, setting: &'static str, set: Set<String>) {
        if let Some(value) = self.value(setting) {
            self.apply(value, set);
        }
    }

    fn parsed<T>(
        &mut self,
        setting: &'static str,
        parse: fn(&str) -> Result<T, Problem>,
        set: Set<T>,
    ) {
        if let Some(value) = self.value(setting) {
            match parse(&value) {
                Ok(value) => self.apply(value, set),
                Err(problem) => self.report(setting, problem),
            }
        }
    }

    fn file(&mut self, setting: &'static str, set: Set<Vec<u8>>) {
        if let Some(path) = self.value(setting) {
            match fs::read(path) {
                Ok(bytes) => self.apply(bytes, set),
                Err(_) => self.report(setting, Problem::UnreadableFile),
            }
        }
    }
}

const DURATIONS: &[(&str, Set<Duration>)] = &[
    ("DIAL_TIMEOUT", ConfigBuilder::dial_timeout),
    ("READ_TIMEOUT", ConfigBuilder::read_timeout),
    ("WRITE_TIMEOUT", ConfigBuilder::write_timeout),
    ("RETRY_TIMEOUT", ConfigBuilder::retry_timeout),
    ("POOL_WAIT_TIMEOUT", ConfigBuilder::pool_wait_timeout),
    ("PING_TIMEOUT", ConfigBuilder::ping_timeout),
    ("CLOSE_TIMEOUT", ConfigBuilder::close_timeout),
    ("HEALTH_TIMEOUT", ConfigBuilder::health_timeout),
    ("HEALTH_CACHE_FOR", ConfigBuilder::health_cache_for),
    ("HEALTH_SLOW", ConfigBuilder::health_slow),
];
