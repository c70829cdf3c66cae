//! Settings of capabilities from named values, which usually are environment variables.

use std::{cell::RefCell, collections::BTreeSet, env::VarError, fmt, time::Duration};

use redis_client::{Config, ConfigError, InstanceName, NotUnicode};
use state_core::{
    cache::{CacheOptions, Consistency, OnError as CacheOnError},
    event::EventOptions,
    lock::{LeaderOptions, LockOptions},
    process::ProcessOptions,
    rate_limit::{Algorithm, InvalidLimit, Limit, LimiterOptions, OnError, Rule},
    session::{OnError as SessionOnError, SessionKeys, SessionOptions},
};
use state_redis::lock::RedisLockOptions;

use crate::backend::{Backend, Kind};

/// Where named values come from.
pub trait Environment {
    /// The value of a variable, if it is set.
    ///
    /// # Errors
    ///
    /// [`NotUnicode`] for one that is set to something that is no text.
    fn value(&self, variable: &str) -> Result<Option<String>, NotUnicode>;
}

impl<F: Fn(&str) -> Option<String>> Environment for F {
    fn value(&self, variable: &str) -> Result<Option<String>, NotUnicode> {
        Ok(self(variable))
    }
}

/// The environment of the process.
struct OfProcess;

impl Environment for OfProcess {
    fn value(&self, variable: &str) -> Result<Option<String>, NotUnicode> {
        match std::env::var(variable) {
            Ok(value) => Ok(Some(value)),
            Err(VarError::NotPresent) => Ok(None),
            Err(VarError::NotUnicode(_)) => Err(NotUnicode),
        }
    }
}

/// A setting that cannot work. Values are never shown: some are secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {problem}")]
pub struct InvalidSetting {
    /// The variable.
    pub variable: String,
    /// What is wrong.
    pub problem: String,
}

/// Everything that is wrong with the settings of an instance, all at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSettings(Vec<InvalidSetting>);

impl InvalidSettings {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "settings.invalid"
    }

    /// What is wrong.
    #[must_use]
    pub fn settings(&self) -> &[InvalidSetting] {
        &self.0
    }
}

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, setting) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{setting}")?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidSettings {}

/// The settings of an instance: the backend and every capability.
///
/// Variables are those of [`redis_client::Config`], and the ones of the table in the guide; those of
/// a named instance have its name after `REDIS_`. Blank counts as unset.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct Settings {
    /// The instance.
    pub instance: InstanceName,
    /// `REDIS_BACKEND`, and the configuration if it is `redis`.
    pub backend: Backend,
    /// `REDIS_CACHE_*`
    pub cache: CacheOptions,
    /// `REDIS_SESSION_*`
    pub session: SessionOptions,
    /// `REDIS_SESSION_HASH_KEY` and `REDIS_SESSION_HASH_KEY_PREVIOUS`, if they are set.
    pub session_keys: Option<SessionKeys>,
    /// `REDIS_BUS_*`
    pub events: EventOptions,
    /// `REDIS_RATELIMIT_*`
    pub limiter: LimiterOptions,
    /// The rule of `REDIS_RATELIMIT_LIMIT`, if that is set.
    pub rule: Option<Rule>,
    /// `REDIS_PROCESS_*`
    pub process: ProcessOptions,
    /// `REDIS_PROCESS_SHARDS`
    pub process_shards: u32,
    /// `REDIS_LOCK_*`
    pub locks: LockOptions,
    /// The part of `REDIS_LOCK_*` that only Redis has.
    pub redis_locks: RedisLockOptions,
    /// `REDIS_LEADER_*`
    pub leader: LeaderOptions,
}

impl Settings {
    /// Reads the settings of an instance from the environment of the process.
    ///
    /// # Errors
    ///
    /// [`InvalidSettings`] with everything that is wrong.
    pub fn from_env(instance: InstanceName) -> Result<Self, InvalidSettings> {
        Self::read(instance, &OfProcess)
    }

    /// Reads the settings of an instance from anywhere.
    ///
    /// # Errors
    ///
    /// [`InvalidSettings`] with everything that is wrong.
    pub fn read(
        instance: InstanceName,
        environment: &dyn Environment,
    ) -> Result<Self, InvalidSettings> {
        let mut reader = Reader {
            instance: &instance,
            environment,
            problems: Vec::new(),
        };
        let backend = reader.backend();
        let cache = reader.cache();
        let session = reader.session();
        let session_keys = reader.session_keys();
        let events = reader.events();
        let limiter = reader.limiter();
        let rule = reader.rule();
        let (process, process_shards) = reader.process();
        let (locks, redis_locks) = reader.locks();
        let leader = reader.leader();
        let problems = reader.problems;
        match backend {
            Some(backend) if problems.is_empty() => Ok(Self {
                instance,
                backend,
                cache,
                session,
                session_keys,
                events,
                limiter,
                rule,
                process,
                process_shards,
                locks,
                redis_locks,
                leader,
            }),
            _ => Err(InvalidSettings(problems)),
        }
    }

    /// Which of these variables begin with `REDIS_` and are read by none of the instances: a name
    /// that is misspelt, or one that is somebody else's. Nothing else notices the former; a
    /// program that has the variables of its environment to itself tells them at its start.
    ///
    /// ```
    /// use state_modules::{NamedTokens, Settings};
    ///
    /// let instances = [NamedTokens::default().instance, NamedTokens::new("jobs")?.instance];
    /// let set = ["PATH", "REDIS_ADDR", "REDIS_JOBS_LOCK_TTL", "REDIS_KEY_PREFX"];
    /// assert_eq!(Settings::unread(&instances, set), ["REDIS_KEY_PREFX"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn unread<I>(instances: &[InstanceName], variables: I) -> Vec<String>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let asked = RefCell::new(BTreeSet::new());
        for instance in instances {
            let note = |variable: &str| {
                asked.borrow_mut().insert(variable.to_owned());
                None
            };
            // What is missing is no matter here, only what is asked for.
            let _ = Self::read(instance.clone(), &note);
        }
        let asked = asked.into_inner();
        let of_redis = variables.into_iter().map(Into::into);
        let of_redis = of_redis.filter(|name: &String| name.starts_with("REDIS_"));
        of_redis.filter(|name| !asked.contains(name)).collect()
    }
}

struct Reader<'a> {
    instance: &'a InstanceName,
    environment: &'a dyn Environment,
    problems: Vec<InvalidSetting>,
}

impl Reader<'_> {
    fn text(&mut self, setting: &str) -> Option<String> {
        match self.environment.value(&self.instance.variable(setting)) {
            Ok(value) => value
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty()),
            Err(error) => {
                self.report(setting, error);
                None
            }
        }
    }

    fn report(&mut self, setting: &str, problem: impl fmt::Display) {
        self.problems.push(InvalidSetting {
            variable: self.instance.variable(setting),
            problem: problem.to_string(),
        });
    }

    /// Puts a value in its place, if it is set.
    fn set<T>(
        &mut self,
        place: &mut T,
        setting: &str,
        parse: impl Fn(&str) -> Option<T>,
        is: &str,
    ) {
        if let Some(text) = self.text(setting) {
            match parse(&text) {
                Some(value) => *place = value,
                None => self.report(setting, is),
            }
        }
    }

    fn duration(&mut self, place: &mut Duration, setting: &str) {
        self.set(
            place,
            setting,
            duration,
            "a number and a unit of ms, s, m, h or d",
        );
    }

    fn number<T: std::str::FromStr>(&mut self, place: &mut T, setting: &str) {
        self.set(
            place,
            setting,
            |text| text.parse().ok(),
            "a number that is not negative",
        );
    }

    /// What the options themselves say about their values.
    fn check(&mut self, capability: &str, option: &str, rule: &str) {
        // Where the variable has another name than the option.
        let name = match (capability, option) {
            ("SESSION", "idle") => "IDLE_TTL".to_owned(),
            ("PROCESS", "lease") => "LEASE_TTL".to_owned(),
            ("PROCESS", "events_kept") => "EVENTS_MAXLEN".to_owned(),
            ("BUS", "max_len") => "MAXLEN".to_owned(),
            _ => option.to_ascii_uppercase(),
        };
        let setting = format!("{capability}_{name}");
        let variable = self.instance.variable(&setting);
        let mut problems = self.problems.iter();
        let is_known = problems.any(|problem| problem.variable == variable);
        if !is_known {
            self.report(&setting, rule);
        }
    }

    fn backend(&mut self) -> Option<Backend> {
        let mut kind = Kind::Redis;
        self.set(
            &mut kind,
            "BACKEND",
            |text| text.parse().ok(),
            "`redis` or `memory`",
        );
        if kind == Kind::Memory {
            return Some(Backend::Memory);
        }
        let read = Config::from_lookup(self.instance.clone(), |variable| {
            self.environment.value(variable)
        });
        match read {
            Ok(config) => Some(Backend::redis(config)),
            Err(error) => {
                self.config_problems(&error);
                None
            }
        }
    }

    fn config_problems(&mut self, error: &ConfigError) {
        for problem in error.problems() {
            self.problems.push(InvalidSetting {
                variable: problem.variable().to_owned(),
                problem: problem.problem().to_string(),
            });
        }
    }

    fn cache(&mut self) -> CacheOptions {
        let mut cache = CacheOptions::default();
        self.duration(&mut cache.default_ttl, "CACHE_DEFAULT_TTL");
        self.duration(&mut cache.stale_window, "CACHE_STALE_WINDOW");
        self.duration(&mut cache.negative_ttl, "CACHE_NEGATIVE_TTL");
        self.number(&mut cache.jitter_percent, "CACHE_JITTER_PERCENT");
        self.number(&mut cache.beta, "CACHE_BETA");
        self.duration(&mut cache.lease_ttl, "CACHE_LEASE_TTL");
        self.duration(&mut cache.lease_wait, "CACHE_LEASE_WAIT");
        self.number(&mut cache.max_value_bytes, "CACHE_MAX_VALUE_BYTES");
        self.number(&mut cache.l1_capacity, "CACHE_L1_CAPACITY");
        self.duration(&mut cache.l1_ttl, "CACHE_L1_TTL");
        self.duration(&mut cache.short_ttl, "CACHE_SHORT_TTL");
        let consistency = |text: &str| match text {
            "strict" => Some(Consistency::Strict),
            "eventual" => Some(Consistency::Eventual),
            "short_ttl" => Some(Consistency::ShortTtl),
            _ => None,
        };
        let is = "`strict`, `eventual` or `short_ttl`";
        self.set(
            &mut cache.consistency,
            "CACHE_INVALIDATION",
            consistency,
            is,
        );
        let on_error = |text: &str| match text {
            "load" => Some(CacheOnError::Load),
            "stale" => Some(CacheOnError::Stale),
            "error" => Some(CacheOnError::Error),
            _ => None,
        };
        let is = "`load`, `stale` or `error`";
        self.set(&mut cache.on_error, "CACHE_ON_ERROR", on_error, is);
        if let Err(error) = cache.validate() {
            self.check("CACHE", error.option, error.rule);
        }
        cache
    }

    fn session(&mut self) -> SessionOptions {
        let mut session = SessionOptions::default();
        self.duration(&mut session.lifetime.idle, "SESSION_IDLE_TTL");
        self.duration(&mut session.lifetime.max_age, "SESSION_MAX_AGE");
        self.number(&mut session.lifetime.touch_percent, "SESSION_TOUCH_PERCENT");
        self.number(&mut session.max_bytes, "SESSION_MAX_BYTES");
        self.number(&mut session.max_per_user, "SESSION_MAX_PER_USER");
        self.duration(&mut session.regenerate_grace, "SESSION_REGENERATE_GRACE");
        let on_error = |text: &str| match text {
            "closed" => Some(SessionOnError::Closed),
            "open_anonymous" => Some(SessionOnError::OpenAnonymous),
            _ => None,
        };
        let is = "`closed` or `open_anonymous`";
        self.set(&mut session.on_error, "SESSION_ON_ERROR", on_error, is);
        if let Err(error) = session.validate() {
            self.check("SESSION", error.option, error.rule);
        }
        session
    }

    fn session_keys(&mut self) -> Option<SessionKeys> {
        let secret = self.text("SESSION_HASH_KEY");
        let previous = self.text("SESSION_HASH_KEY_PREVIOUS");
        let Some(secret) = secret else {
            if previous.is_some() {
                self.report("SESSION_HASH_KEY", "needed with the previous one");
            }
            return None;
        };
        let keys = match SessionKeys::new(secret.as_bytes()) {
            Ok(keys) => keys,
            Err(error) => {
                self.report("SESSION_HASH_KEY", error);
                return None;
            }
        };
        let Some(previous) = previous else {
            return Some(keys);
        };
        match keys.previous(previous.as_bytes()) {
            Ok(keys) => Some(keys),
            Err(error) => {
                self.report("SESSION_HASH_KEY_PREVIOUS", error);
                None
            }
        }
    }

    fn events(&mut self) -> EventOptions {
        let mut events = EventOptions::default();
        self.number(&mut events.max_len, "BUS_MAXLEN");
        self.duration(&mut events.retention, "BUS_RETENTION");
        self.duration(&mut events.poll_interval, "BUS_POLL_INTERVAL");
        self.number(&mut events.queue, "BUS_QUEUE");
        self.number(&mut events.max_message_bytes, "BUS_MAX_MESSAGE_BYTES");
        if let Err(error) = events.validate() {
            self.check("BUS", error.option, error.rule);
        }
        events
    }

    fn limiter(&mut self) -> LimiterOptions {
        let mut limiter = LimiterOptions::default();
        self.duration(&mut limiter.timeout, "RATELIMIT_TIMEOUT");
        self.number(&mut limiter.deny_cache, "RATELIMIT_DENY_CACHE_SIZE");
        let mut nodes = 0;
        self.number(&mut nodes, "RATELIMIT_EXPECTED_NODES");
        match self.text("RATELIMIT_ON_ERROR").as_deref() {
            None | Some("open") => {}
            Some("closed") => {
                let retry_after = Duration::from_secs(1);
                limiter.on_error = OnError::Closed { retry_after };
            }
            Some("local") if nodes > 0 => limiter.on_error = OnError::Local { nodes },
            Some("local") => self.report("RATELIMIT_EXPECTED_NODES", "needed for `local`"),
            Some(_) => self.report("RATELIMIT_ON_ERROR", "`open`, `closed` or `local`"),
        }
        if let Err(error) = limiter.validate() {
            self.check("RATELIMIT", error.option, error.rule);
        }
        limiter
    }

    fn rule(&mut self) -> Option<Rule> {
        let mut quantity: Option<u64> = None;
        self.set(
            &mut quantity,
            "RATELIMIT_LIMIT",
            |text| text.parse().ok().map(Some),
            "a number that is not negative",
        );
        let mut window = Duration::from_secs(1);
        self.duration(&mut window, "RATELIMIT_WINDOW");
        let mut burst: Option<u64> = None;
        self.set(
            &mut burst,
            "RATELIMIT_BURST",
            |text| text.parse().ok().map(Some),
            "a number that is not negative",
        );
        let mut algorithm = Algorithm::Gcra;
        let parse = |text: &str| match text {
            "gcra" => Some(Algorithm::Gcra),
            "sliding" => Some(Algorithm::SlidingWindow),
            "fixed" => Some(Algorithm::FixedWindow),
            _ => None,
        };
        let is = "`gcra`, `sliding` or `fixed`";
        self.set(&mut algorithm, "RATELIMIT_ALGORITHM", parse, is);
        let limit = match Limit::new(quantity?, window) {
            Ok(limit) => limit,
            Err(error) => {
                let is_window = window.is_zero() || error == InvalidLimit::Period;
                let setting = if is_window { "WINDOW" } else { "LIMIT" };
                self.report(&format!("RATELIMIT_{setting}"), error);
                return None;
            }
        };
        let limit = match burst.map_or(Ok(limit), |burst| limit.burst(burst)) {
            Ok(limit) => limit,
            Err(error) => {
                self.report("RATELIMIT_BURST", error);
                return None;
            }
        };
        match Rule::new("default", limit) {
            Ok(rule) => Some(rule.algorithm(algorithm)),
            Err(error) => {
                self.report("RATELIMIT_LIMIT", error);
                None
            }
        }
    }

    fn process(&mut self) -> (ProcessOptions, u32) {
        let mut process = ProcessOptions::default();
        self.duration(&mut process.retention, "PROCESS_RETENTION");
        if self.text("PROCESS_LEASE_TTL").is_some() {
            let mut lease = process.lease;
            self.duration(&mut lease, "PROCESS_LEASE_TTL");
            process = process.lease(lease);
        }
        self.duration(&mut process.heartbeat, "PROCESS_HEARTBEAT");
        self.number(&mut process.max_payload_bytes, "PROCESS_MAX_PAYLOAD_BYTES");
        self.number(&mut process.page_size, "PROCESS_PAGE_SIZE");
        self.number(&mut process.events_kept, "PROCESS_EVENTS_MAXLEN");
        self.duration(&mut process.events_retention, "PROCESS_EVENTS_RETENTION");
        if let Err(error) = process.validate() {
            self.check("PROCESS", error.option, error.rule);
        }
        let mut shards = 1;
        self.number(&mut shards, "PROCESS_SHARDS");
        if !(1..=256).contains(&shards) {
            self.report("PROCESS_SHARDS", "1 to 256");
        }
        (process, shards)
    }

    fn locks(&mut self) -> (LockOptions, RedisLockOptions) {
        let mut locks = LockOptions::default();
        self.duration(&mut locks.ttl, "LOCK_TTL");
        self.duration(&mut locks.wait, "LOCK_WAIT");
        self.duration(&mut locks.retry_min, "LOCK_RETRY_MIN");
        self.duration(&mut locks.retry_max, "LOCK_RETRY_MAX");
        self.number(&mut locks.drift_percent, "LOCK_DRIFT_PERCENT");
        if let Err(error) = locks.validate() {
            self.check("LOCK", error.option, error.rule);
        }
        let mut redis = RedisLockOptions::default();
        self.duration(&mut redis.fence_ttl, "LOCK_FENCE_TTL");
        self.number(&mut redis.replicas, "LOCK_REPLICAS");
        if let Err(error) = redis.validate() {
            self.check("LOCK", error.option, error.rule);
        }
        (locks, redis)
    }

    fn leader(&mut self) -> LeaderOptions {
        let mut leader = LeaderOptions::default();
        if self.text("LEADER_TTL").is_some() {
            let mut ttl = leader.ttl;
            self.duration(&mut ttl, "LEADER_TTL");
            leader = leader.ttl(ttl);
        }
        self.duration(&mut leader.renew, "LEADER_RENEW");
        if let Err(error) = leader.validate() {
            self.check("LEADER", error.option, error.rule);
        }
        leader
    }
}

fn duration(text: &str) -> Option<Duration> {
    redis_client::duration(text).ok()
}
